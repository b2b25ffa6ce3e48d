"""Samples of three modalities made from known features, each carried by some of the modalities."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

NAMES = ("image", "text", "sound")


@dataclass(frozen=True)
class PlantedSeveral:
    codes: np.ndarray  # (3, n, f)
    sides: np.ndarray  # (3, n, d): codes times atoms, and a little noise
    atoms: np.ndarray  # (f, d), unit rows
    labels: np.ndarray  # (f,) of str


def plant_several(n=1500, d=48, per_class=6, rate=0.06, seed=0):
    """Each feature fires alike in the modalities of its class, up to noise, and now and then astray in the others."""
    rng = np.random.default_rng(seed)
    subsets = [subset for size in (1, 2, 3) for subset in combinations(range(3), size)]
    members = [subset for subset in subsets for _ in range(per_class)]
    f = len(members)
    carried = np.array([[m in subset for m in range(3)] for subset in members]).T[:, None]
    fires = (rng.random((n, f)) < rate) * rng.uniform(0.5, 1.5, (n, f))
    codes = carried * fires * rng.uniform(0.8, 1.2, (3, n, f))
    codes += ~carried * (rng.random((3, n, f)) < 0.003) * rng.uniform(0.2, 0.6, (3, n, f))
    atoms = rng.standard_normal((f, d))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    labels = np.array(
        ["shared" if len(subset) == 3 else "+".join(NAMES[m] for m in subset) for subset in members]
    )
    sides = codes @ atoms + 0.02 * rng.standard_normal((3, n, d))
    return PlantedSeveral(codes, sides, atoms, labels)
