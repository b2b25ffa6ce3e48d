"""How strong the best partner of a feature may be: an upper bound on its correlation, by group."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy import stats

from modalens.compiled import cores, on_cores
from modalens.interpret.bridge_kernels import bound_pairs
from modalens.interpret.correlation import Side
from modalens.statistics.buckets import add_by_cell
from modalens.statistics.groups import random_blocks

# Blocks of groups over which the variance of a correlation is taken.
_BLOCKS = 32
# Correlations in memory at a time.
_ENTRIES = 2**20


class Bound(NamedTuple):
    """What the data rule out for the best partner of each feature of one side.

    Attributes
    ----------
    upper
        95 % upper bound of the largest correlation with any feature of the other side, (f,), in [-1, 1]; -1 where
        the other side has no feature that varies.
    p_value
        Chance of correlations as low as these where a feature of the other side correlates by the limit or more, (f,).
    groups
        Groups of pairs in which the feature is not 0, (f,).
    """

    upper: Float[np.ndarray, " f"]
    p_value: Float[np.ndarray, " f"]
    groups: Int[np.ndarray, " f"]


class _Sums(NamedTuple):
    """What each feature of a side does in each block of groups."""

    mean: Float[np.ndarray, " f"]
    total: Float[np.ndarray, "b f"]
    energy: Float[np.ndarray, "b f"]
    groups: Int[np.ndarray, " f"]
    extra: Float[np.ndarray, " f"]

    @property
    def freedom(self) -> Int[np.ndarray, " f"]:
        """Degrees of freedom of the variance."""
        freedom: np.ndarray = np.maximum(np.minimum(self.groups, len(self.total)) - 1, 1)
        return freedom

    @property
    def reach(self) -> Float[np.ndarray, " f"]:
        """Student's t of a one-sided 95 % bound."""
        reach: np.ndarray = stats.t.ppf(0.95, self.freedom)
        return reach


def bound_partners(
    left: Side, right: Side, keys: Int[np.ndarray, " n"], limit: float, seed: int
) -> tuple[Bound, Bound]:
    """Bound the largest correlation of each feature of either side with any feature of the other side.

    A correlation r has the influence x y - r (x^2 + y^2) / 2 in each pair, with x and y the standardised features. Its
    variance is the sum of squares of these over random blocks of groups, however pairs within a group depend on each
    other. Of features that fire rarely a sample may hold no pair in which both fire, and the variance 0; so a group is
    added in which both fire, each with the energy of one of its n_eff groups, n_eff = (sum e)^2 / sum e^2 over the
    energies e of groups (for features that are 0 or 1 the bound is then close to Clopper and Pearson's). A bound is
    r + t se with Student's t, of one degree of freedom less than the feature fires in groups or there are blocks.

    The bound of the largest correlation is the largest bound: if any partner correlates by the limit, its own bound
    lies under that in 5 % of samples, whatever the other partners do (an intersection-union test, Berger 1982).

    Parameters
    ----------
    left, right
        Features of both sides over the same pairs.
    keys
        Group of each pair, numbers from 0 without gaps.
    limit
        Correlation that ``p_value`` is about.
    seed
        Seed of the blocks.
    """
    blocks = random_blocks(int(keys.max()) + 1, _BLOCKS, seed)[keys]
    n_blocks = int(blocks.max()) + 1
    sums = [_sums(side, keys, blocks, n_blocks) for side in (left, right)]
    bound = _bound_sparse if sp.issparse(left.values) and sp.issparse(right.values) else _bound_dense
    upper, room = bound((left, right), sums, blocks, limit)
    image, text = (
        Bound(np.minimum(high, 1.0), stats.t.sf(far, each.freedom), each.groups)
        for high, far, each in zip(upper, room, sums, strict=True)
    )
    return image, text


def _sums(side: Side, keys: Int[np.ndarray, " n"], blocks: Int[np.ndarray, " n"], n_blocks: int) -> _Sums:
    values, f = side.values, side.values.shape[1]
    mean = side.offset / np.sqrt(len(keys))
    total, squares = np.zeros((2, n_blocks, f))
    add_by_cell(total, blocks, values)
    add_by_cell(squares, blocks, values.power(2) if sp.issparse(values) else values**2)
    sizes = np.bincount(blocks, minlength=n_blocks)[:, None]
    raw = values.power(2) if sp.issparse(values) else sp.csr_array((values - side.rest) ** 2)
    by_group = sp.csr_array((np.ones(len(keys)), (keys, np.arange(len(keys))))) @ raw
    groups = np.bincount(by_group.indices, minlength=f)
    squared = by_group.sum(axis=0) ** 2
    extra = np.divide(by_group.power(2).sum(axis=0), squared, where=squared > 0, out=np.ones(f))
    return _Sums(mean, total, squares - 2 * mean * total + sizes * mean**2, groups, extra)


def _bound_sparse(
    sides: tuple[Side, Side], sums: list[_Sums], blocks: Int[np.ndarray, " n"], limit: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The largest bound of each feature and its least distance from the limit in errors, both sides'."""
    left, right = sides[0].values.T.tocsr(), sides[1].values
    entries = tuple((each.indptr, each.indices, each.data) for each in (left, right))
    spreads = tuple(
        (
            each.mean,
            side.varies,
            np.ascontiguousarray(each.total.T),
            np.ascontiguousarray((each.energy / (1 + each.extra)).T),
            each.extra,
            each.reach,
        )
        for side, each in zip(sides, sums, strict=True)
    )
    ends = np.linspace(0, left.shape[0], cores() + 1).astype(int).tolist()
    parts = []
    for first, last in pairwise(ends):
        upper, room = (tuple(np.full(len(each.mean), start) for each in sums) for start in (-1.0, np.inf))
        parts.append((first, last, entries, spreads, blocks, limit, upper, room))
    on_cores(bound_pairs, parts)
    highest = [np.max([part[-2][side] for part in parts], axis=0) for side in (0, 1)]
    least = [np.min([part[-1][side] for part in parts], axis=0) for side in (0, 1)]
    return highest, least


def _bound_dense(
    sides: tuple[Side, Side], sums: list[_Sums], blocks: Int[np.ndarray, " n"], limit: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The same, some left features with all right ones at a time."""
    left, right = sides
    rows = [np.flatnonzero(blocks == block) for block in range(len(sums[0].total))]
    parts = [(left.values[chosen].T, right.values[chosen], len(chosen)) for chosen in rows]
    parts = [(sp.csr_array(a) if sp.issparse(a) else a, b, size) for a, b, size in parts]
    reach = [each.reach for each in sums]
    upper = [np.full(len(each.mean), -1.0) for each in sums]
    room = [np.full(len(each.mean), np.inf) for each in sums]
    step = max(_ENTRIES // max(len(upper[1]), 1), 1)
    for start in range(0, len(upper[0]) if len(upper[1]) else 0, step):
        here = slice(start, min(start + step, len(upper[0])))
        raised, error = _raised(parts, sums[0], sums[1], here)
        hidden = ~(left.varies[here, None] & right.varies)
        error = np.sqrt(np.maximum(error, 1e-12))
        space = np.where(hidden, np.inf, (limit - raised) / error)
        raised[hidden], error[hidden] = -1.0, 0.0
        upper[0][here] = (raised + reach[0][here, None] * error).max(axis=1)
        np.maximum(upper[1], (raised + reach[1] * error).max(axis=0), out=upper[1])
        room[0][here] = space.min(axis=1)
        np.minimum(room[1], space.min(axis=0), out=room[1])
    return upper, room


def _raised(
    parts: list, left: _Sums, right: _Sums, here: slice
) -> tuple[Float[np.ndarray, "q f"], Float[np.ndarray, "q f"]]:
    """Correlations of some left features with all right ones, a group added in which both fire, and their variances."""
    extra = [left.extra[here], right.extra]  # energies of the added group; a feature's own sum up to 1
    shrink = [1 / (1 + each) for each in extra]
    energy = [left.energy[:, here] * shrink[0], right.energy * shrink[1]]
    scale = np.sqrt(np.outer(*shrink))
    product, square, mixed = np.zeros((3, *scale.shape))
    for block, (one, other, size) in enumerate(parts):
        found = one[here] @ other
        found = found.toarray() if sp.issparse(found) else found
        found = found - np.outer(left.mean[here], right.total[block])
        found -= np.outer(left.total[block, here] - size * left.mean[here], right.mean)
        product += found
        square += found**2
        mixed += found * (energy[0][block][:, None] + energy[1][block])
    added = np.sqrt(np.outer(*extra))
    raised = (product + added) * scale
    spread = (
        (energy[0] ** 2).sum(axis=0)[:, None] + (energy[1] ** 2).sum(axis=0) + 2 * energy[0].T @ energy[1]
    )
    own = added * scale - raised / 2 * ((extra[0] * shrink[0])[:, None] + extra[1] * shrink[1])
    n_blocks = len(parts)
    variance = square * scale**2 - raised * scale * mixed + raised**2 / 4 * spread
    return raised, (variance + own**2) * n_blocks / max(n_blocks - 1, 1)
