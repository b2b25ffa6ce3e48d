"""Options of the adversarial study."""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from modalens.options import Options, option
from modalens.studies.options import label_option, rule_option, seed_option

OPTIMISERS = ("adam", "pgd")
FRIENDLY_TEXT = "peace and love"
SELF = "self"
EXACT = "exact"
NEUTRAL, REQUEST = "neutral", "request"
PROMPTS = (NEUTRAL, REQUEST)


def _optimiser_option() -> Any:
    return option("adam", "Optimiser of the pixels.", choices=OPTIMISERS)


def _rate_option() -> Any:
    return option(0.01, "Size of the first gradient step, in pixel values from 0 to 1.", over=0, most=1)


def _budget_option(what: str) -> Any:
    said = f"How far {what} may move a pixel, as a share of its range (default: any distance)."
    return option(None, said, least=1 / 255, most=1)


@dataclass(frozen=True)
class Optimisation(Options):
    """How pixels are moved.

    Attributes
    ----------
    steps
        Gradient steps.
    optimiser
        ``adam`` (Kingma and Ba 2015), or ``pgd``: steps along the sign of the gradient (Madry et al. 2018).
    rate
        The first step's size in pixel values of [0, 1]; it falls to 0 along half a cosine.
    budget
        How far a pixel may move from where it started, from 1/255 to 1 of its range (L-infinity); None for any
        distance. What lies between two steps of 8 bits is cut off.
    """

    steps: int = option(MISSING, "Gradient steps.", least=1)
    optimiser: str = _optimiser_option()
    rate: float = _rate_option()
    budget: float | None = _budget_option("it")


@dataclass(frozen=True)
class AdversarialConfig(Options):
    """How images are attacked and defended.

    Attributes
    ----------
    attack_steps, defence_steps
        Gradient steps towards the target, and then back on some features.
    optimiser, rate
        See :class:`Optimisation`.
    attack_budget, defence_budget
        How far a pixel may move in the attack, and then in the defence; None for any distance.
    tries
        Answers to each image in each run.
    runs
        At least 2. Each has random sets of its own, samples of the larger classes of its own, and tries of its own.
    friendly
        The text on the images that adversarial ones are aligned to.
    font
        A font file to write texts with; None for Pillow's, which has Latin letters only.
    rule
        Class rule of the index sets.
    seed
        Of every draw.
    """

    attack_steps: int = option(60, "Gradient steps of the attack.", least=1)
    defence_steps: int = option(40, "Gradient steps of the defence.", least=1)
    optimiser: str = _optimiser_option()
    rate: float = _rate_option()
    attack_budget: float | None = _budget_option("the attack")
    defence_budget: float | None = _budget_option("the defence")
    tries: int = option(20, "Answers to each image in each repetition.", least=1)
    runs: int = option(3, "Repetitions, each with control sets and answers of its own.", least=2)
    friendly: str = option(FRIENDLY_TEXT, "Text on the images that attacked ones are aligned to.")
    font: Path | None = option(None, "Font file to write texts with (default: Pillow's, Latin letters only).")
    rule: str = rule_option()
    seed: int = seed_option()

    @property
    def attack(self) -> Optimisation:
        """How pixels are moved towards the target."""
        return Optimisation(self.attack_steps, self.optimiser, self.rate, self.attack_budget)

    @property
    def defence(self) -> Optimisation:
        """How pixels are moved back."""
        return Optimisation(self.defence_steps, self.optimiser, self.rate, self.defence_budget)


@dataclass(frozen=True)
class AdversarialOnRun(AdversarialConfig):
    """The same on a run: its own encoder and pairs are attacked.

    Attributes
    ----------
    beside
        Further sets of the run's features (``raw``, or names of learned ones) to align the same images on.
    victim
        ``self`` (the encoder answers with its nearest captions), ``URL#MODEL`` of an OpenAI-compatible server, or
        an image-text-to-text model of transformers by hub id or folder.
    judge
        ``exact`` (the canary word appears), or ``URL#MODEL`` of a server.
    requests
        JSON file of requests; the harmless canaries that come with modalens by default.
    prompt
        What is said to the victim beside the image, where a request brings no words of its own: ``neutral``, or
        ``request`` to repeat the request, as published.
    images
        Images to attack, each with a request of its own.
    base_image
        File of the one image that all requests are smuggled into, as published; an image of the pairs for each
        request by default.
    label
        Metadata column behind the control of largest F-score, which is left out where there is no such column.
    """

    beside: tuple[str, ...] = option(
        (), "Further features to align the same images on: raw, or a learned set; may be repeated."
    )
    victim: str = option(
        SELF,
        "Who is shown the images: self, URL#MODEL of a server, or a model of transformers by hub id or folder.",
    )
    judge: str = option(EXACT, "Who says whether a request was followed: exact, or URL#MODEL of a server.")
    requests: Path | None = option(None, "JSON file of requests to smuggle (default: harmless canaries).")
    prompt: str = option(
        NEUTRAL,
        "What is said beside the image: neutral, or request to repeat the request, as published.",
        choices=PROMPTS,
    )
    images: int = option(4, "Images to attack, each with a request of its own.", unit="images", least=1)
    base_image: Path | None = option(
        None, "One image file to smuggle every request into, as published (default: images of the pairs)."
    )
    label: str = label_option()
