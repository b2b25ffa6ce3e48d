"""Choose the cases of the study from a source of pairs: benign images, requests, and pictures of what they ask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs.base import Pair
from modalens.studies.adversarial_images.canaries import Request, mentions


@dataclass(frozen=True, eq=False)
class AttackCases:
    """Benign images, what each shall ask for, and what it shall embed like; None for the request written on white."""

    images: Sequence[Image.Image]
    requests: Sequence[Request]
    targets: Sequence[Image.Image] | None


def choose_cases(
    pairs: Sequence[Pair], requests: Sequence[Request], n: int, *, pictured: bool, seed: int = 0
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
    words = [each.word for each in chosen if each.word is not None]
    benign = [pair for pair in pairs if not any(mentions(pair.text, word) for word in words)]
    if len(benign) < len(chosen):
        raise ModalensError(f"{len(chosen)} benign images are needed and the pairs have {len(benign)}.")
    images = [benign[row].image for row in rng.permutation(len(benign))[: len(chosen)]]
    targets = [by_text[(each.word or "").casefold()].image for each in chosen] if pictured else None
    return AttackCases(images, chosen, targets)
