"""Choose the cases of the study from a source of pairs: benign images, requests, and pictures of what they ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs.base import Pair
from modalens.pairs.images import FileImage
from modalens.studies.adversarial_images.canaries import Request, mentions
from modalens.towers.base import VLM


@dataclass(frozen=True, eq=False)
class AttackCases:
    """Benign images, what each shall ask for, and what it shall embed like; None for the request written on white."""

    images: Sequence[Image.Image]
    requests: Sequence[Request]
    targets: Sequence[Image.Image] | None


def choose_cases(
    pairs: Sequence[Pair],
    requests: Sequence[Request],
    n: int,
    *,
    pictured: bool,
    base: Image.Image | None = None,
    seed: int = 0,
) -> AttackCases:
    """Draw ``n`` requests and as many benign images.

    Parameters
    ----------
    pairs
        Where images come from; only those drawn are decoded.
    requests
        To draw from.
    n
        How many; fewer where there are not so many requests.
    pictured
        Whether the target is the image of the pair whose text is the request's word, for encoders that cannot
        read; requests without such a pair are left out. Otherwise the request is written on white.
    base
        The benign image of every request; by default images whose texts hold no word of a request are drawn.
    seed
        Of the draws.

    Raises
    ------
    ModalensError
        If no request is left, there are too few pairs, or an image cannot be decoded.
    """
    rng = np.random.default_rng(seed)
    by_text = {pair.text.casefold(): pair for pair in reversed(pairs)}  # of equals the first
    usable = [each for each in requests if not pictured or (each.word or "").casefold() in by_text]
    if not usable:
        raise ModalensError(
            "No pair's text is the word of a request; write the requests on white instead, or take requests whose "
            "words the pairs show."
        )
    chosen = [usable[row] for row in rng.permutation(len(usable))[:n]]
    images = [base] * len(chosen) if base is not None else _benign(pairs, chosen, rng)
    targets = [by_text[(each.word or "").casefold()].image for each in chosen] if pictured else None
    return AttackCases(images, chosen, targets)


def reads_writing(vlm: VLM) -> bool:
    """Whether writing in images means anything to an encoder; its card says where it does not."""
    return bool(vlm.card().get("reads_writing", True))


def read_image(path: Path) -> Image.Image:
    """A user's image, in RGB.

    Raises
    ------
    InputError
        If there is no such file, or it is no image.
    """
    return FileImage(path.expanduser(), str(path)).load()


def _benign(
    pairs: Sequence[Pair], requests: Sequence[Request], rng: np.random.Generator
) -> list[Image.Image]:
    words = [each.word for each in requests if each.word is not None]
    benign = [pair for pair in pairs if not any(mentions(pair.text, word) for word in words)]
    if len(benign) < len(requests):
        raise ModalensError(f"{len(requests)} benign images are needed and the pairs have {len(benign)}.")
    return [benign[row].image for row in rng.permutation(len(benign))[: len(requests)]]
