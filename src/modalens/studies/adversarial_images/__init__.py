"""Texts smuggled into images: the attack, the defence on chosen features, victims and judges."""

from modalens.studies.adversarial_images.attack import Optimisation, attack
from modalens.studies.adversarial_images.canaries import Request, canaries, load_requests
from modalens.studies.adversarial_images.defence import defend
from modalens.studies.adversarial_images.judges import ExactJudge, ModelJudge
from modalens.studies.adversarial_images.servers import ChatServer
from modalens.studies.adversarial_images.study import AdversarialConfig, adversarial
from modalens.studies.adversarial_images.text_images import write_text
from modalens.studies.adversarial_images.victims import DualEncoderVictim, ServerVictim, TransformersVictim

__all__ = [
    "AdversarialConfig",
    "ChatServer",
    "DualEncoderVictim",
    "ExactJudge",
    "ModelJudge",
    "Optimisation",
    "Request",
    "ServerVictim",
    "TransformersVictim",
    "adversarial",
    "attack",
    "canaries",
    "defend",
    "load_requests",
    "write_text",
]
