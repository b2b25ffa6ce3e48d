"""What a model can do, known from its description before its weights are fetched."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Abilities:
    """What steps ask of a model; the attributes of :class:`modalens.towers.VLM` say the same of a loaded one.

    Attributes
    ----------
    modalities
        What the two sides are.
    differentiable
        Whether gradients reach the pixels.
    """

    modalities: tuple[str, str] = ("image", "text")
    differentiable: bool = False
