"""A sweep over dictionary sizes, made of numbers."""

import numpy as np
import pandas as pd

from modalens.interpret.sweep import BESIDE, CHANCES, MEASURES, Sweep


def make_sweep(
    sizes: dict[tuple[int, int], tuple[float, float]], least: float = 0.5, mono: float = np.nan
) -> Sweep:
    """Two seeds a size, (found, unexplained) .02 apart."""
    rows = []
    for (n, k), (found, left) in sizes.items():
        for seed in (0, 1):
            row = dict.fromkeys((*MEASURES, *CHANCES, *BESIDE), 1.0) | {"n": n, "k": k, "seed": seed}
            shift = 0.01 if seed else -0.01
            row |= {
                "found": found + shift,
                "unexplained": left + shift,
                "mono_image": mono,
                "image": 7,
                "dead": 2,
            }
            rows.append(row | {"unexplained_image": left, "unexplained_text": left})
    pairs = {"trained": 80, "held_out": 20, "measured": 100}
    return Sweep(pd.DataFrame(rows), least, "topk", 64, pairs, 0.7, ("A note.",))
