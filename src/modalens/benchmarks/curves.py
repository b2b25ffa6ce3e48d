"""How cost grows with one number of a size while the others stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from modalens.benchmarks.case import Size


@dataclass(frozen=True)
class Curve:
    """One number that is varied.

    Attributes
    ----------
    row
        Whose work it is.
    varies, values
        The number, and its values.
    others
        The numbers that stay, where they differ from the row's short size.
    """

    row: str
    varies: str
    values: Sequence[int]
    others: Size = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Row and number."""
        return f"{self.row} by {self.varies}"


def slope(values: Sequence[float], costs: Sequence[float]) -> float:
    """The power of a number that cost grows with: least squares between logarithms."""
    x, y = np.log(np.asarray(values)), np.log(np.asarray(costs))
    return float(np.polyfit(x, y, 1)[0])


_ENCODE = {"samples": 2_048, "features": 4_096}
_TRAIN = {"features": 4_096, "width": 256, "batch": 1_024, "steps": 3}
_BRIDGES = {"pairs": 4_000, "features": 4_096, "k": 16}
CURVES: tuple[Curve, ...] = (
    Curve("dominance", "pairs", (12_500, 25_000, 50_000, 100_000), {"width": 512}),
    Curve("dominance", "width", (128, 256, 512, 1_024)),
    Curve("dominance-csr", "pairs", (25_000, 50_000, 100_000, 200_000)),
    Curve("dominance-csr", "features", (1_024, 4_096, 16_384, 65_536), {"pairs": 100_000}),
    Curve("dominance-csr", "k", (8, 16, 32, 64)),
    Curve("gap", "pairs", (12_500, 25_000, 50_000, 100_000), {"width": 256}),
    Curve("encode", "samples", (1_024, 2_048, 4_096, 8_192), _ENCODE),
    Curve("encode", "features", (1_024, 4_096, 16_384), _ENCODE),
    Curve("encode", "k", (8, 32, 128), _ENCODE),
    Curve("encode", "width", (128, 256, 512, 1_024), _ENCODE),
    Curve("top-samples", "samples", (25_000, 50_000, 100_000, 200_000)),
    Curve("top-samples-csr", "samples", (25_000, 50_000, 100_000, 200_000)),
    Curve("top-samples-csr", "features", (1_024, 4_096, 16_384, 65_536)),
    Curve("top-samples-csr", "k", (8, 16, 32, 64)),
    Curve("train-16384", "features", (1_024, 4_096, 16_384), _TRAIN),
    Curve("train-16384", "k", (8, 32, 128), _TRAIN),
    Curve("train-16384", "width", (128, 256, 512), _TRAIN),
    Curve("bridges", "pairs", (2_000, 4_000, 8_000, 16_000), _BRIDGES),
    Curve("bridges", "features", (1_024, 4_096, 16_384), _BRIDGES),
    Curve("bridges", "k", (8, 16, 32), _BRIDGES),
)
