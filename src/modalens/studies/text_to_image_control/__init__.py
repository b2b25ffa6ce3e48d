"""What the features of one class do to a generated picture, when they are moved towards a reference image."""

from modalens.studies.text_to_image_control.choice import choose_references, generator_of
from modalens.studies.text_to_image_control.prompted import Edit, Prompted, PromptedEmbedding
from modalens.studies.text_to_image_control.stable_diffusion import StableDiffusion, load_stable_diffusion
from modalens.studies.text_to_image_control.study import TextToImageConfig, read_references, text_to_image
from modalens.studies.text_to_image_control.unclip import UnclipGenerator, load_unclip

__all__ = [
    "Edit",
    "Prompted",
    "PromptedEmbedding",
    "StableDiffusion",
    "TextToImageConfig",
    "UnclipGenerator",
    "choose_references",
    "generator_of",
    "load_stable_diffusion",
    "load_unclip",
    "read_references",
    "text_to_image",
]
