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


def plant_offset(n=6000, d=64, concepts=80, active=4, offset=0.4, seed=0):
    """Pairs whose every concept is shared, along an atom that leans one way in images and the other in texts."""
    rng = np.random.default_rng(seed)
    atoms, shift = rng.standard_normal((2, concepts, d))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    shift *= offset / np.linalg.norm(shift, axis=1, keepdims=True)
    codes = np.zeros((n, concepts))
    for row in codes:
        row[rng.choice(concepts, active, replace=False)] = rng.uniform(0.5, 1.5, active)
    sides = (atoms + shift, atoms - shift)
    image, text = (codes @ (side / np.linalg.norm(side, axis=1, keepdims=True)) for side in sides)
    return image, text
