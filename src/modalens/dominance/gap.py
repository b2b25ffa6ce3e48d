"""How far apart the two modalities lie as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

import modalens
from modalens.arrays import (
    Block,
    Matrix,
    default_block_rows,
    iter_paired_blocks,
    normalize_rows,
    paired_shape,
)
from modalens.dominance.bootstrap import check_resampling, draw, group_keys, percentile_interval
from modalens.dominance.classes import IMAGE, TEXT, class_names
from modalens.dominance.documents import null_to_nan, read_document, write_document
from modalens.dominance.separability import PairSample
from modalens.errors import ModalensError

_KIND = "modalens.ModalityGap"
_SCHEMA_VERSION = 1
_MIN_PAIRS = 4
# Distances between unit vectors below this are what rounding leaves of 0.
_ROUNDING = 1e-12
MEASURES = ("l2m", "l2i", "rmg", "separability")


@dataclass(frozen=True)
class ModalityGap:
    """Model-level gap between the modalities; every measure is larger the further apart they are.

    Attributes
    ----------
    l2m
        Norm of the difference of the two modality means, in [0, 2] (Liang et al. 2022).
    l2i
        Mean norm of the difference within a pair, in [0, 2].
    rmg
        Relative modality gap, paired / (paired + within), in [0, 1]; under 0.5 pairs lie closer than samples
        of one modality do (Schrodi et al. 2025). NaN where all embeddings are one.
    separability
        Held-out accuracy of a linear classifier that tells the modalities apart, 0.5 (chance) to 1.
    intervals
        Bootstrap 95 % interval of each; NaN without resamples. Of a distance near 0 it lies a little above
        the estimate, since resampling adds noise and a norm cannot be negative; hold it against ``null``.
    null
        Each as (mean, low, high) where modality labels are swapped at random within pairs; empty without
        resamples. For separability, five draws and their range.
    n_pairs, d, resamples, seed, modalities
        How it was made.
    source
        What the gap was measured on; free, kept in the file.
    version
        The modalens that made it.
    """

    l2m: float
    l2i: float
    rmg: float
    separability: float
    intervals: Mapping[str, tuple[float, float]]
    null: Mapping[str, tuple[float, float, float]]
    n_pairs: int
    d: int
    resamples: int
    seed: int
    modalities: tuple[str, str]
    source: Mapping[str, Any]
    version: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by field."""
        return asdict(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a .json file, from which :meth:`load` gives the same numbers bit for bit."""
        write_document(_json_path(path), _KIND, _SCHEMA_VERSION, self.to_dict())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        values = read_document(_json_path(path), _KIND, _SCHEMA_VERSION)
        try:
            values = {name: values[name] for name in cls.__dataclass_fields__}
            values |= {name: null_to_nan(values[name]) for name in MEASURES}
            for kept in ("intervals", "null"):
                values[kept] = {name: tuple(map(null_to_nan, row)) for name, row in values[kept].items()}
            return cls(**{**values, "modalities": tuple(values["modalities"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ModalensError(f"{path} is damaged ({error!r}); measure the gap again.") from error


def modality_gap(
    image: Matrix,
    text: Matrix,
    *,
    resamples: int = 200,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
    modalities: tuple[str, str] = ("image", "text"),
    block_rows: int | None = None,
    source: Mapping[str, Any] | None = None,
) -> ModalityGap:
    """Measure how far apart two modalities lie, on L2-normalised embeddings, in one pass.

    Parameters
    ----------
    image, text
        Paired matrices (n, d): NumPy arrays, torch tensors, SciPy sparse matrices or lazy columns.
    resamples
        Bootstrap resamples over pairs, and as many label-swap draws; 0 leaves both out.
    seed
        Seed of all draws and of the split behind separability.
    groups
        One label per pair; pairs of one group are drawn, and held out, together.
    modalities
        Names of the two sides, for error messages and labels.
    block_rows
        Pairs read at a time; by default as many as keep a block small.
    source
        What the gap is measured on, kept with the result.

    Returns
    -------
    ModalityGap
        ``l2m``, ``l2i``, ``rmg`` and ``separability`` with intervals and label-swap null. Separability is
        measured on at most 5,000 pairs, half of them held out.

    Raises
    ------
    ModalensError
        If the matrices are empty, do not match, hold NaN, infinite values or a row of zeros, or have fewer
        than 4 pairs or 2 groups; or if an option is not valid.
    """
    resamples, seed = check_resampling(resamples, seed)
    names = class_names(modalities)
    modalities = (names[IMAGE], names[TEXT])
    n_pairs, d = paired_shape(image, text, modalities)
    if n_pairs < _MIN_PAIRS:
        raise ModalensError(f"The gap needs at least {_MIN_PAIRS} pairs, and there are {n_pairs}.")
    keys = None if groups is None else group_keys(groups, n_pairs)
    sample = PairSample(n_pairs, seed)
    sums = _GapSums(d, resamples, seed)
    rows = default_block_rows(image) if block_rows is None else block_rows
    for start, a, b in iter_paired_blocks(image, text, rows, modalities):
        a, b = _unit(a, start, modalities[0]), _unit(b, start, modalities[1])
        if sp.issparse(a) != sp.issparse(b):
            a, b = sp.csr_array(a), sp.csr_array(b)
        sums.update(start, a, b, None if keys is None else keys[start : start + rows])
        sample.collect(start, a, b)

    accuracy, accuracy_resampled, accuracy_null = sample.separability(keys, resamples, seed)
    resampled = {**sums.resampled(), "separability": accuracy_resampled}
    intervals = {name: _interval(resampled[name]) for name in MEASURES}
    null = {}
    if resamples:
        null = {name: (float(draws.mean()), *_interval(draws)) for name, draws in sums.swapped().items()}
        null["separability"] = (float(np.mean(accuracy_null)), min(accuracy_null), max(accuracy_null))
    return ModalityGap(
        **sums.measures(),
        separability=accuracy,
        intervals=intervals,
        null=null,
        n_pairs=n_pairs,
        d=d,
        resamples=resamples,
        seed=seed,
        modalities=modalities,
        source=dict(source or {}),
        version=modalens.__version__,
    )


class _GapSums:
    """Sums over unit pairs from which the distances follow; column 0 of each is the plain sum."""

    def __init__(self, d: int, resamples: int, seed: int) -> None:
        self._resamples, self._seed = resamples, seed
        columns = 1 + resamples
        self._image, self._text = np.zeros((d, columns)), np.zeros((d, columns))
        self._swapped_difference = np.zeros((d, resamples))
        self._weight, self._weight_squared = np.zeros(columns), np.zeros(columns)
        self._distance, self._distance_squared = np.zeros(columns), np.zeros(columns)

    def update(self, start: int, image: Block, text: Block, keys: Int[np.ndarray, " n"] | None) -> None:
        rows = image.shape[0]
        weights, signs = draw(
            np.arange(start, start + rows) if keys is None else keys, self._resamples, self._seed
        )
        weights = np.hstack([np.ones((rows, 1)), weights])
        difference = image - text
        squares = (difference.multiply(difference) if sp.issparse(difference) else difference**2).sum(axis=1)
        self._image += image.T @ weights
        self._text += text.T @ weights
        self._swapped_difference += difference.T @ signs
        self._weight += weights.sum(axis=0)
        self._weight_squared += (weights**2).sum(axis=0)
        self._distance += np.sqrt(squares) @ weights
        self._distance_squared += squares @ weights

    def measures(self) -> dict[str, float]:
        return {name: float(values[0]) for name, values in self._weighted().items()}

    def resampled(self) -> dict[str, np.ndarray]:
        return {name: values[1:] for name, values in self._weighted().items()}

    def swapped(self) -> dict[str, np.ndarray]:
        """The measures under label swaps; what concerns pairs alone does not change."""
        n = self._weight[0]
        middle = (self._image[:, :1] + self._text[:, :1]) / 2
        image, text = middle + self._swapped_difference / 2, middle - self._swapped_difference / 2
        pairs = (values[0] for values in (self._weight_squared, self._distance, self._distance_squared))
        return _measures(image, text, n, *pairs)

    def _weighted(self) -> dict[str, np.ndarray]:
        return _measures(
            self._image,
            self._text,
            self._weight,
            self._weight_squared,
            self._distance,
            self._distance_squared,
        )


def _measures(
    image: Float[np.ndarray, "d r"],
    text: Float[np.ndarray, "d r"],
    weight: np.ndarray,
    weight_squared: np.ndarray,
    distance: np.ndarray,
    distance_squared: np.ndarray,
) -> dict[str, Float[np.ndarray, " r"]]:
    """L2M, L2I and RMG from weighted sums over unit pairs."""
    draws = image.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        # Sum over i != j of cos(x_i, x_j) is |sum x|^2 less the terms i = j. In a resample, copies of one
        # pair are such terms too: a pair drawn w times has w^2 of them.
        others = weight**2 - weight_squared
        cosines = [((side**2).sum(axis=0) - weight_squared) / others for side in (image, text)]
        within = np.maximum(2 - cosines[0] - cosines[1], 0.0) / 4
        paired = distance_squared / weight / 4  # (1 - cos) / 2 of unit vectors |a - b| apart
        return {
            "l2m": np.linalg.norm(image - text, axis=0) / weight,
            "l2i": np.broadcast_to(distance / weight, draws),
            "rmg": np.where(paired + within > _ROUNDING, paired / (paired + within), np.nan),
        }


def _unit(block: Block, start: int, modality: str) -> Block:
    unit, peaks = normalize_rows(block)
    if not peaks.all():
        raise ModalensError(
            f"Row {start + int(np.argmin(peaks))} of the {modality} matrix is all zeros and has no direction; "
            "remove that pair."
        )
    return unit


def _interval(draws: Float[np.ndarray, " r"]) -> tuple[float, float]:
    low, high = percentile_interval(draws)
    return float(low), float(high)


def _json_path(path: str | PathLike[str]) -> Path:
    if Path(path).suffix.lower() != ".json":
        raise ModalensError(f"A modality gap is kept in a .json file, and {path} is none.")
    return Path(path)
