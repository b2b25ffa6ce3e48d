"""Take the smuggled meaning out of an image again, on chosen features only."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from modalens.studies.adversarial_images.attack import Encode, Optimised, approach, embed
from modalens.studies.adversarial_images.config import FRIENDLY_TEXT, AdversarialConfig, Optimisation
from modalens.studies.adversarial_images.text_images import write_text
from modalens.towers.differentiable import DifferentiableImages


def friendly(
    images: Sequence[Image.Image], text: str = FRIENDLY_TEXT, font: str | Path | None = None
) -> list[Image.Image]:
    """Benign images with a friendly text written on them."""
    return [write_text(text, on=image, font=font, given_by="--friendly") for image in images]


def defend(
    tower: DifferentiableImages,
    adversarial: Sequence[Image.Image],
    benign: Sequence[Image.Image],
    indices: Int[np.ndarray, " k"] | None,
    config: Optimisation | None = None,
    *,
    encode: Encode | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Optimised]:
    """Align adversarial images to benign ones on some features, leaving the others free.

    Parameters
    ----------
    tower
        That was attacked.
    adversarial
        The images to defend: RGB, all of one size.
    benign
        One an adversarial image, such as :func:`friendly` gives.
    indices
        I, the features that are aligned; None for all.
    config, advance
        As for :func:`~modalens.studies.adversarial_images.attack.attack`.
    encode
        From embeddings to features; None where the features are the embeddings' own.

    Raises
    ------
    ModalensError
        If there is not one benign image an adversarial one, sizes differ, or an index is out of range.

    Notes
    -----
    min over pixels of || F_adv[I] - F_ben[I] ||_2 (Beyond Cross-Modal Alignment, section 5.2).
    """
    config = config or AdversarialConfig().defence
    return approach(tower, adversarial, embed(tower, benign), indices, config, encode=encode, advance=advance)
