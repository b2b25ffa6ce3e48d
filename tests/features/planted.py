"""Pairs made from known features, to see whether they are found again."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Planted:
    image: np.ndarray  # (n, d)
    text: np.ndarray
    atoms: np.ndarray  # (f, d), unit rows
    owner: np.ndarray  # (f,) of "image", "text", "cross"


def plant(n=6000, d=64, per_class=40, active=3, seed=0):
    """Sparse sums of unit atoms: some only in images, some only in texts, the rest alike in both."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(["image", "text", "cross"], per_class)
    atoms = rng.standard_normal((len(owner), d))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((2, n, len(owner)))
    for i in range(n):
        for modality, name in enumerate(("image", "text")):
            chosen = rng.choice(np.flatnonzero(owner == name), active, replace=False)
            codes[modality, i, chosen] = rng.uniform(0.5, 1.5, active)
        chosen = rng.choice(np.flatnonzero(owner == "cross"), active, replace=False)
        codes[:, i, chosen] = rng.uniform(0.5, 1.5, active) * rng.uniform(0.9, 1.1, (2, active))
    return Planted(codes[0] @ atoms, codes[1] @ atoms, atoms, owner)
