"""How far apart the two modalities lie as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from modalens.arrays import Matrix, default_block_rows, iter_blocks, paired_shape
from modalens.dominance.classes import check_modalities
from modalens.dominance.parts import Plan, Sums, sum_all
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets
from modalens.statistics.groups import group_keys, warn_of_copies
from modalens.statistics.intervals import interval
from modalens.store.base import PairStore
from modalens.store.documents import null_to_nan, read_document, write_document
from modalens.store.paired import paired
from modalens.version import __version__

_KIND = "modalens.ModalityGap"
_SCHEMA_VERSION = 2
DAMAGE = (KeyError, TypeError, AttributeError, OverflowError)
MEASURES = ("l2m_unbiased", "l2m", "l2i", "rmg", "separability")


@dataclass(frozen=True, repr=False)
class ModalityGap:
    """Model-level gap between the modalities; every measure is larger the further apart they are.

    Attributes
    ----------
    l2m_unbiased
        Norm of the difference of the two modality means, in [0, 2], without what noise adds: the square root of
        the mean product of differences of two groups, 0 where that is negative.
    l2m
        The same as published (Liang et al. 2022): the norm of the difference of the sample means, which noise
        makes larger, by much where the gap is small and pairs are few.
    l2i
        Mean norm of the difference within a pair, in [0, 2].
    rmg
        Relative modality gap, paired / (paired + within), in [0, 1]; under 0.5 pairs lie closer than samples
        of one modality do (Schrodi et al. 2025). Samples of one group are not compared. NaN where all embeddings
        are one.
    separability
        Held-out accuracy of a linear classifier that tells the modalities apart, 0.5 (chance) to 1.
    intervals
        95 % interval of each; NaN without resamples. Of distances by the jackknife over groups; that of ``l2m``
        is the one of ``l2m_unbiased``, and so may lie under the published value. Of separability Wilson's, by group.
    null
        Each as (mean, low, high) where modality labels are swapped at random within pairs; empty without
        resamples. For separability, five draws and their range.
    groups, effective_groups
        As for :class:`modalens.dominance.Dominance`.
    n_pairs, d, resamples, seed, modalities
        How it was made.
    source
        What the gap was measured on; free, kept in the file.
    version
        The modalens that made it.
    """

    l2m_unbiased: float
    l2m: float
    l2i: float
    rmg: float
    separability: float
    intervals: Mapping[str, tuple[float, float]]
    null: Mapping[str, tuple[float, float, float]]
    n_pairs: int
    groups: int
    effective_groups: float
    d: int
    resamples: int
    seed: int
    modalities: tuple[str, str]
    source: Mapping[str, Any]
    version: str

    def __repr__(self) -> str:
        measures = ", ".join(f"{name}={getattr(self, name):.3f}" for name in MEASURES)
        return f"ModalityGap({measures}, n_pairs={self.n_pairs})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by field."""
        return asdict(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a .json file, from which :meth:`load` gives the same numbers bit for bit."""
        write_document(json_path(path), _KIND, _SCHEMA_VERSION, self.to_dict())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        values = read_document(json_path(path), _KIND, _SCHEMA_VERSION)
        try:
            return cls.from_dict(values)
        except DAMAGE as error:
            raise ModalensError(f"{path} is damaged ({error!r}); measure the gap again.") from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`, with null for NaN; raises one of :data:`DAMAGE` for anything else."""
        values = {name: values[name] for name in cls.__dataclass_fields__}
        values |= {name: null_to_nan(values[name]) for name in MEASURES}
        for kept in ("intervals", "null"):
            values[kept] = {name: tuple(map(null_to_nan, row)) for name, row in values[kept].items()}
        return cls(**{**values, "modalities": tuple(values["modalities"])})


def modality_gap(
    image: PairStore | Matrix,
    text: Matrix | None = None,
    *,
    resamples: int = 200,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
    modalities: tuple[str, str] | None = None,
    block_rows: int | None = None,
    source: Mapping[str, Any] | None = None,
) -> ModalityGap:
    """Measure how far apart two modalities lie, on L2-normalised embeddings, in one pass.

    Parameters
    ----------
    image, text
        A store, whose matrices, groups and modalities are taken; or paired matrices (n, d): NumPy arrays, torch
        tensors, SciPy sparse matrices or lazy columns.
    resamples
        Label-swap draws; 0 leaves them and the intervals out.
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
    image, text, groups, modalities = paired(image, text, groups, modalities)
    n_pairs, d = paired_shape(image, text, check_modalities(modalities))
    if groups is None:
        warn_of_copies(image, modalities[0])
    keys = None if groups is None else group_keys(groups, n_pairs)
    plan = Plan(
        n_pairs,
        d,
        Buckets.of(n_pairs, keys, d),
        (),
        True,
        resamples=resamples,
        seed=seed,
        modalities=modalities,
        block_rows=block_rows,
    )
    return gap_of(sum_all(image, text, plan, keys), plan, keys, source)


def gap_of(
    sums: Sums,
    plan: Plan,
    keys: Int[np.ndarray, " n"] | None = None,
    source: Mapping[str, Any] | None = None,
) -> ModalityGap:
    """The gap that sums over all pairs come to; see :func:`modality_gap`."""
    assert sums.gap is not None
    assert sums.sample is not None
    accuracy, accuracy_null = sums.sample.separability(keys, plan.resamples, plan.seed)
    found = sums.gap.conclude(plan.resamples, plan.seed)
    intervals, null = dict.fromkeys(MEASURES, (np.nan, np.nan)), {}
    if plan.resamples:
        intervals = {**found.intervals, "separability": (accuracy.low, accuracy.high)}
        null = {name: (float(draws.mean()), *interval(draws)) for name, draws in found.swapped.items()}
        null["separability"] = (float(np.mean(accuracy_null)), min(accuracy_null), max(accuracy_null))
    return ModalityGap(
        **found.measures,
        separability=accuracy.value,
        intervals=intervals,
        null=null,
        n_pairs=plan.n_pairs,
        groups=plan.buckets.n_groups,
        effective_groups=plan.buckets.effective,
        d=plan.n_features,
        resamples=plan.resamples,
        seed=plan.seed,
        modalities=plan.modalities,
        source=dict(source or {}),
        version=__version__,
    )


def json_path(path: str | PathLike[str]) -> Path:
    """The path itself, if it is of a .json file."""
    if Path(path).suffix.lower() != ".json":
        raise ModalensError(f"A modality gap is kept in a .json file, and {path} is none.")
    return Path(path)


def both_fire(image: Matrix, text: Matrix) -> np.ndarray:
    """Which pairs the gap can be measured on: a sparse code of zeros has no direction."""
    if not (sp.issparse(image[:1]) and sp.issparse(text[:1])):
        return np.ones(1, dtype=bool)
    both: np.ndarray = _fires(image) & _fires(text)
    return both


def _fires(codes: Matrix) -> np.ndarray:
    """Which rows of sparse codes have an active feature."""
    blocks = iter_blocks(codes, default_block_rows(codes), "code")
    return np.concatenate([np.diff(block.indptr) > 0 for _, block in blocks])
