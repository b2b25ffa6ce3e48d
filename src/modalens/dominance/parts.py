"""Everything that scores are made of, summed over parts of the pairs.

A part can be summed anywhere; parts are merged in order. They are of one size, and a part is summed on one core,
so that the sums are the same bits whoever made them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from modalens.arrays import Block, Matrix, default_block_rows, read_rows, sliceable, stored_rows
from modalens.compiled import one_blas_thread, read_ahead
from modalens.dominance.classes import check_modalities
from modalens.dominance.estimators import ESTIMATORS, check_estimator
from modalens.dominance.gap_sums import GapSums
from modalens.dominance.kernels import alike
from modalens.dominance.separability import PairSample
from modalens.dominance.sums import DominanceSums, why_undefined
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets
from modalens.statistics.checks import check_resampling

PART_ROWS = 65_536
# Blocks that are not widened may be so many times as long.
_COPIED = 8
# Sums of more numbers than this are not held for several things at once: they take 64 MiB and more each.
_MOST_AT_ONCE = 2**23
_MIN_PAIRS = 4


@dataclass(frozen=True)
class Plan:
    """What is summed over the pairs of two matrices.

    Attributes
    ----------
    n_pairs, n_features
        Pairs that are summed in all, and their width.
    buckets
        Buckets of the groups that pairs are in.
    estimators
        Estimators of dominance.
    gap
        Whether the model-level gap is measured too.
    normalize, resamples, seed, modalities
        As for :func:`modalens.dominance.modality_dominance`.
    block_rows
        Pairs read at a time; None for as many as keep a block small.
    Raises
    ------
    ModalensError
        If one of these is not valid.
    """

    n_pairs: int
    n_features: int
    buckets: Buckets
    estimators: Iterable[str]
    gap: bool
    normalize: bool = False
    resamples: int = 200
    seed: int = 0
    modalities: tuple[str, str] = ("image", "text")
    block_rows: int | None = None

    def __post_init__(self) -> None:
        for estimator in self.estimators:
            check_estimator(estimator)
        resamples, seed = check_resampling(self.resamples, self.seed)
        if self.block_rows is not None and self.block_rows < 1:
            raise ModalensError(f"A block must have at least 1 row, not {self.block_rows}.")
        if self.gap and self.n_pairs < _MIN_PAIRS:
            raise ModalensError(f"The gap needs at least {_MIN_PAIRS} pairs, and there are {self.n_pairs}.")
        checked = {
            "estimators": tuple(self.estimators),
            "resamples": resamples,
            "seed": seed,
            "modalities": check_modalities(self.modalities),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def steps(self, gap_apart: bool = False) -> list["Plan"]:
        """The same in as many passes as memory asks for: one where sums are small, else one for each measure.

        Parameters
        ----------
        gap_apart
            Leave the gap to someone else.
        """
        gap = self.gap and not gap_apart
        if self.n_features * self.buckets.n_cells <= _MOST_AT_ONCE:
            return [replace(self, gap=gap)]
        apart: dict[str, list[str]] = {}
        for name in self.estimators:
            apart.setdefault(ESTIMATORS[name].same_as or name, []).append(name)
        steps = [replace(self, estimators=names, gap=False) for names in apart.values()]
        return [*steps, replace(self, estimators=(), normalize=False)] if gap else steps


@dataclass(frozen=True)
class Part:
    """Some pairs that follow each other.

    Attributes
    ----------
    start, stop
        Their numbers among the pairs that are summed.
    rows
        Where they lie in the matrices, if not at these very numbers.
    keys
        Numbers of their groups, if not these very numbers.
    """

    start: int
    stop: int
    rows: Int[np.ndarray, " n"] | None = None
    keys: Int[np.ndarray, " n"] | None = None

    def __str__(self) -> str:
        return f"pairs {self.start} to {self.stop - 1}"


def cut_parts(
    n_pairs: int, rows: Int[np.ndarray, " n"] | None = None, keys: Int[np.ndarray, " n"] | None = None
) -> Iterator[Part]:
    """All pairs in parts; ``rows`` and ``keys`` of all of them, see :class:`Part`."""
    for start in range(0, n_pairs, PART_ROWS):
        stop = min(start + PART_ROWS, n_pairs)
        yield Part(start, stop, *(None if of is None else of[start:stop] for of in (rows, keys)))


@dataclass
class Sums:
    """The sums over some parts.

    Attributes
    ----------
    dominance
        By estimator; or the sentence that says why it is not defined on these pairs. Estimators that agree where both
        are defined share their sums.
    gap, sample
        What the gap is made of, if it is measured.
    """

    dominance: dict[str, DominanceSums | str] = field(default_factory=dict)
    gap: GapSums | None = None
    sample: PairSample | None = None

    @classmethod
    def empty(cls, plan: Plan, device: str | None = None) -> Self:
        """The sums over no pairs; of dense blocks they are taken on a device of PyTorch, if one is named."""
        drawn_over = plan.buckets if plan.resamples else None
        made: dict[str, DominanceSums] = {}
        for name in plan.estimators:
            same = ESTIMATORS[name].same_as
            made[name] = (
                made[same]
                if same in made
                else DominanceSums(
                    plan.n_features,
                    name,
                    normalize=plan.normalize,
                    buckets=drawn_over,
                    modalities=plan.modalities,
                    device=device,
                )
            )
        return cls(
            dict(made),
            GapSums(plan.n_features, plan.buckets, plan.modalities, device) if plan.gap else None,
            PairSample(plan.n_pairs, plan.seed) if plan.gap else None,
        )

    def own(self) -> list[tuple[str, DominanceSums]]:
        """The sums that are still of use, each once, by the first estimator that they are of."""
        found: dict[int, tuple[str, DominanceSums]] = {}
        for name, each in self.dominance.items():
            if not isinstance(each, str):
                found.setdefault(id(each), (name, each))
        return list(found.values())

    def merge(self, other: Self) -> None:
        """Add the sums over the parts that follow."""
        for name, mine in self.own():
            theirs = other.dominance[name]
            if not isinstance(theirs, str):
                mine.merge(theirs)
        for name, theirs in other.dominance.items():
            if isinstance(theirs, str) and not isinstance(self.dominance[name], str):
                self.dominance[name] = theirs
        if self.gap and self.sample and other.gap and other.sample:
            self.gap.merge(other.gap)
            self.sample.merge(other.sample)

    def finite(self) -> bool:
        """Whether all values so far were finite."""
        return all(each.finite() for _, each in self.own()) and (self.gap is None or self.gap.finite())

    def of(self, estimator: str) -> DominanceSums:
        """The sums of one estimator.

        Raises
        ------
        ModalensError
            If it is not defined on these pairs.
        """
        found = self.dominance[estimator]
        if isinstance(found, str):
            raise ModalensError(found)
        return found


def sum_part(image: Matrix, text: Matrix, plan: Plan, part: Part, device: str | None = None) -> Sums:
    """The sums over one part, in one pass.

    Parameters
    ----------
    image, text
        The whole matrices.
    plan, part
        What is summed over which pairs.
    device
        PyTorch's name of a device on which dense blocks are summed; compiled code by default.

    Raises
    ------
    ModalensError
        If a value is NaN or infinite or, where the gap is measured, a row is all zeros.
    """
    sums = _sum_rows(image, text, plan, part, Sums.empty(plan, device), as_stored=True)
    # What is not finite is found in the sums; the slower walk then says where it stands.
    return sums if sums.finite() else _sum_rows(image, text, plan, part, Sums.empty(plan), as_stored=False)


def _sum_rows(image: Matrix, text: Matrix, plan: Plan, part: Part, sums: Sums, *, as_stored: bool) -> Sums:
    """Add the pairs of a part to sums."""
    as_stored &= all(ESTIMATORS[name].compiled is not None for name in plan.estimators)
    block_rows = plan.block_rows or (_stored_rows(image, text) if as_stored else default_block_rows(image))
    sides = [side if part.rows is None else _Rows(side, part) for side in (image, text)]
    ends = [(start, min(start + block_rows, part.stop)) for start in range(part.start, part.stop, block_rows)]

    def read(start: int, stop: int) -> tuple[int, int, Block, Block]:
        a, b = _read(sides, start, stop, plan.modalities, as_stored)
        return start, stop, a, b

    with one_blas_thread():
        for start, stop, a, b in read_ahead(read, ends):
            keys = (
                np.arange(start, stop)
                if part.keys is None
                else part.keys[start - part.start :][: stop - start]
            )
            for name, each in sums.dominance.items():
                # Not every estimator is defined for features that change sign.
                if not isinstance(each, str) and (
                    why := why_undefined(name, start, zip(plan.modalities, (a, b), strict=True))
                ):
                    sums.dominance[name] = why
            for _, own in sums.own():
                own.update(start, a, b, keys)
            if sums.gap and sums.sample:
                sums.gap.update(start, a, b, keys)
                sums.sample.collect(start, a, b)
            del a, b  # before the one after the next is read
    return sums


def _read(
    sides: Sequence[Matrix], start: int, stop: int, names: tuple[str, str], as_stored: bool
) -> list[Block]:
    """Rows of both sides: as they are stored where compiled passes take them so, else in float64."""
    if as_stored:
        stored = [stored_rows(side, start, stop, name) for side, name in zip(sides, names, strict=True)]
        if all(each is not None for each in stored) and alike(*stored):
            return stored
    return [read_rows(side, start, stop, name) for side, name in zip(sides, names, strict=True)]


def _stored_rows(image: Matrix, text: Matrix) -> int:
    """Rows to read at a time as they are stored: a part of what lies in memory, some megabytes of what is copied."""
    if all(isinstance(side, np.ndarray) and side.dtype in (np.float16, np.float32) for side in (image, text)):
        return PART_ROWS
    rows = default_block_rows(image)
    return rows if sp.issparse(image[:1]) else _COPIED * rows


def sum_all(image: Matrix, text: Matrix, plan: Plan, keys: Int[np.ndarray, " n"] | None = None) -> Sums:
    """The sums over all pairs of two matrices, part by part."""
    image, text = sliceable(image), sliceable(text)
    sums: Sums | None = None
    for part in cut_parts(plan.n_pairs, keys=keys):
        summed = sum_part(image, text, plan, part)
        if sums is None:
            sums = summed
        else:
            sums.merge(summed)
        del summed
        if not plan.gap and all(isinstance(each, str) for each in sums.dominance.values()):
            break
    return sums or Sums.empty(plan)


class _Rows:
    """The rows of a part, under the numbers that the part gives them."""

    def __init__(self, matrix: Matrix, part: Part) -> None:
        self._matrix, self._part = matrix, part

    def __getitem__(self, rows: slice) -> Any:
        assert self._part.rows is not None
        first = self._part.start
        return self._matrix[self._part.rows[rows.start - first : rows.stop - first]]
