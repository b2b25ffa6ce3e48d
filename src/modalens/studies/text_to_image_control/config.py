"""Options of the text-to-image study."""

from dataclasses import dataclass
from pathlib import Path

from modalens.errors import ModalensError
from modalens.options import Options, option
from modalens.studies.options import draws_option, label_option, rule_option, seed_option

SELF = "self"
# As the modules that do it call them; named here, where no library is needed.
_SPACES = ("projected", "token")
_TOKENS = ("all", "end")


def is_unclip(name: str) -> bool:
    """Whether a pipeline is an unCLIP, which draws from embeddings, by its hub id or folder."""
    return "unclip" in name.lower()


@dataclass(frozen=True)
class TextToImageConfig(Options):
    """How a prompt's features are moved towards references.

    Attributes
    ----------
    strengths
        Ascending, in [0, 1], at least two.
    seeds
        Pictures of each edit, from as many seeds; 1 for a generator in which nothing is random.
    draws
        Random sets of equal number, and as many of equal energy, at least 2, each of which costs as many pictures as a
        class; the first is shown.
    shown
        Of how many references to show the pictures.
    rule
        Class rule of the index sets.
    seed
        The first seed of pictures, and that of every draw.
    """

    strengths: tuple[float, ...] = option(
        tuple(step / 10 for step in range(10)),
        "How far features are moved towards the reference, ascending; may be repeated.",
        least=0,
        most=1,
    )
    seeds: int = option(2, "Pictures of each edit, from as many seeds.", least=1)
    draws: int = draws_option(8, least=2)
    shown: int = option(3, "References whose pictures are shown.", least=0)
    rule: str = rule_option()
    seed: int = seed_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = list(self.strengths)
        if len(steps) < 2 or steps != sorted(set(steps)):
            raise ModalensError(f"strengths must be at least two, ascending, not {steps}.")


@dataclass(frozen=True)
class TextToImageOnRun(TextToImageConfig):
    """The same on a run: its own encoder's features are moved.

    Attributes
    ----------
    prompt
        What to draw.
    generator
        ``self`` (the generator that was trained on the encoder's embeddings where there is one, else the nearest
        picture of the pairs), or a Stable Diffusion or unCLIP pipeline of diffusers by hub id or folder.
    space
        Where Stable Diffusion's prompt is moved: in the ``projected`` space, which is scored, or on the features of the
        ``token`` vectors, as published; both by default, the first shown first. Other generators draw from embeddings,
        which are scored themselves.
    tokens, steps, guidance
        Which token vectors Stable Diffusion has moved; steps of denoising and scale of classifier-free guidance of a
        pipeline, its own by default.
    reference
        Image files to move the prompt towards, say one content in several styles; by default held-out pictures of the
        pairs, of the kind that the prompt names where one of the columns ``kind``, ``label`` and ``caption`` knows it.
    n_references, kind, label
        How many of these, and the metadata columns that tell kinds of pictures; labels also choose the features of
        largest F-score.
    judge
        Who says how alike the content of two pictures is: a sample embedder of images (see
        :func:`modalens.towers.samples.load_sample_embedder`).
    """

    prompt: str = option("an animal", "What to draw.")
    generator: str = option(
        SELF, "Who draws: self, or a Stable Diffusion or unCLIP pipeline by hub id or folder."
    )
    space: tuple[str, ...] = option(
        _SPACES,
        "Space in which Stable Diffusion's prompt is moved: projected or token; may be repeated.",
        choices=_SPACES,
    )
    tokens: str = option("all", "Token vectors that Stable Diffusion has moved.", choices=_TOKENS)
    steps: int | None = option(None, "Steps of denoising of a pipeline (default: 50, of unCLIP 20).", least=1)
    guidance: float | None = option(
        None, "Scale of classifier-free guidance of a pipeline (default: 7.5, of unCLIP 10).", least=0
    )
    reference: tuple[Path, ...] = option((), "Image file to move the prompt towards; may be repeated.")
    n_references: int = option(8, "Pictures of the pairs to move towards where no file is named.", least=1)
    kind: str = option("subgroup", "Metadata column that names the kind of each picture.")
    label: str = label_option()
    judge: str = option(
        "efficientnet-lite0",
        "Who says how alike the content of two pictures is: an embedder of images by name, hub id or folder.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.space:
            raise ModalensError("There is no space to move the prompt in; name projected, token or both.")
