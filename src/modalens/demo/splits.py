"""Which OpenMoji concepts the demo encoder never sees in training."""

import hashlib
from collections.abc import Iterable
from typing import Literal

HELD_OUT_SHARE = 0.15
Split = Literal["train", "held-out"]


def split_of(concept: str) -> Split:
    """Split a base concept belongs to.

    The split is read off a hash of the concept alone, so it is the same on every machine, in every
    release of OpenMoji and for every seed; all genders and skin tones of a concept share it.
    """
    digest = hashlib.sha256(f"modalens demo split/{concept}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "held-out" if share < HELD_OUT_SHARE else "train"


def held_out_concepts(concepts: Iterable[str]) -> list[str]:
    """Distinct concepts of the held-out split, sorted; about 15 % of all."""
    return sorted({concept for concept in concepts if split_of(concept) == "held-out"})
