"""Compiled loops over what features of two sides fire together."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from modalens.compiled import compiled

# With more products than a 16th of the right features, a walk over all of these is faster than a list of those met.
_FEW = 16

# A sparse matrix in CSR form: where rows end, and the columns and values of entries. It is a plain tuple, as what Numba
# keeps on disk would name another class.
Compressed: TypeAlias = tuple[Int[np.ndarray, " r1"], Int[np.ndarray, " nnz"], Float[np.ndarray, " nnz"]]
# What each feature of a side does in each block of groups: its mean over pairs; whether it varies; sums over blocks,
# (f, b); shares of its energy, a group added, (f, b); the energy of that group, where that of all
# others is 1; Student's t.
Spread: TypeAlias = tuple[
    Float[np.ndarray, " f"],
    Bool[np.ndarray, " f"],
    Float[np.ndarray, "f b"],
    Float[np.ndarray, "f b"],
    Float[np.ndarray, " f"],
    Float[np.ndarray, " f"],
]


@compiled
def best_of_pairing(
    left: Compressed,
    right: Compressed,
    first: int,
    last: int,
    order: Int[np.ndarray, " n"],
    offsets: tuple[Float[np.ndarray, " f1"], Float[np.ndarray, " f2"]],
    scale: Float[np.ndarray, " f2"],
    geometry: Float32[np.ndarray, "q f2"],
    best_left: Float[np.ndarray, " f1"],
    best_right: Float[np.ndarray, " f2"],
) -> None:
    """Raise the best bridges to those of the left features ``first`` to ``last``, for one pairing of the rows.

    Parameters
    ----------
    left, right
        The left features over pairs, and the pairs over right features.
    order
        Row of the right that each row of the left is paired with.
    offsets, scale
        What a product has too much by, as a product of two, and what it is multiplied by then; no scale for 1.
    geometry
        max(0, cosine) of the decoder rows of these left features and all right ones; no rows where there is no decoder.
    best_left, best_right
        The best bridges so far.
    """
    (left_ends, left_rows, left_values), (right_ends, right_columns, right_values) = left, right
    n_right = len(best_right)
    sums, seen, met = np.zeros(n_right), np.full(n_right, -1), np.empty(n_right + 1, dtype=np.int64)
    for feature in range(first, last):
        number = products = 0
        for place in range(left_ends[feature], left_ends[feature + 1]):
            row = order[left_rows[place]]
            products += right_ends[row + 1] - right_ends[row]
        many = products > n_right // _FEW  # then a walk over all right features is the faster one
        if many:
            sums[:] = 0.0
        for place in range(left_ends[feature], left_ends[feature + 1]):
            row, value = order[left_rows[place]], left_values[place]
            if many:
                for entry in range(right_ends[row], right_ends[row + 1]):
                    other = right_columns[entry]
                    seen[other] = feature
                    sums[other] += value * right_values[entry]
            else:
                for entry in range(right_ends[row], right_ends[row + 1]):
                    other = right_columns[entry]
                    new = seen[other] != feature  # without a branch, since none could tell what comes
                    met[number] = other
                    number += new
                    seen[other] = feature
                    sums[other] = (0.0 if new else sums[other]) + value * right_values[entry]
        offset, there = offsets[0][feature], feature - first
        if many:
            _bridge(sums, offset, offsets[1], scale, geometry[there : there + 1])
            for other in range(n_right):
                sums[other] = sums[other] if seen[other] == feature else 0.0
                best_right[other] = max(best_right[other], sums[other])
            best_left[feature] = max(best_left[feature], sums.max())
            continue
        best = best_left[feature]
        for other in met[:number]:
            bridge = sums[other] - offset * offsets[1][other]
            if len(scale):
                bridge *= scale[other]
            if bridge > best or bridge > best_right[other]:  # a cosine makes it no larger
                if len(geometry):
                    bridge *= geometry[there, other]
                best = max(best, bridge)
                best_right[other] = max(best_right[other], bridge)
        best_left[feature] = best


@compiled
def _bridge(
    sums: Float[np.ndarray, " f2"],
    offset: float,
    offsets: Float[np.ndarray, " f2"],
    scale: Float[np.ndarray, " f2"],
    geometry: Float32[np.ndarray, "g f2"],
) -> None:
    """Turn sums of products into bridges, in place; ``geometry`` has one row or none."""
    for other in range(len(sums)):
        sums[other] -= offset * offsets[other]
    if len(scale):
        for other in range(len(sums)):
            sums[other] *= scale[other]
    if len(geometry):
        weights = geometry[0]
        for other in range(len(sums)):
            sums[other] *= weights[other]


@compiled
def keep_strongest(
    rows: Int[np.ndarray, " e"],
    columns: Int[np.ndarray, " e"],
    values: Float[np.ndarray, " e"],
    cosines: Float32[np.ndarray, " e"],
    lists: tuple[
        Int[np.ndarray, "f k"], Float[np.ndarray, "f k"], Float[np.ndarray, "f k"], Float[np.ndarray, "f k"]
    ],
    highest: Float[np.ndarray, " f"],
) -> None:
    """Merge correlations of features (rows) with others (columns) into the lists of their strongest partners.

    Lists hold partners, correlations, cosines and bridges, the strongest bridge first, of equal ones the lower column.
    Without cosines a bridge is the correlation.
    """
    partners, correlations, geometries, bridges = lists
    for entry in range(len(rows)):
        row, column, value = rows[entry], columns[entry], values[entry]
        if not highest[row] >= value:  # NaN where there is none yet
            highest[row] = value
        bridge = value * cosines[entry] if len(cosines) else value
        end = partners.shape[1]
        while end > 0:
            before = partners[row, end - 1]
            if before >= 0 and (
                bridges[row, end - 1] > bridge or (bridges[row, end - 1] == bridge and before < column)
            ):
                break
            end -= 1
        if bridge > 0 and end < partners.shape[1]:
            for place in range(partners.shape[1] - 1, end, -1):
                partners[row, place] = partners[row, place - 1]
                correlations[row, place] = correlations[row, place - 1]
                geometries[row, place] = geometries[row, place - 1]
                bridges[row, place] = bridges[row, place - 1]
            partners[row, end], correlations[row, end], bridges[row, end] = column, value, bridge
            geometries[row, end] = cosines[entry] if len(cosines) else np.nan


@compiled
def bound_pairs(
    first: int,
    last: int,
    entries: tuple[Compressed, Compressed],
    spreads: tuple[Spread, Spread],
    blocks: Int[np.ndarray, " n"],
    limit: float,
    upper: tuple[Float[np.ndarray, " f1"], Float[np.ndarray, " f2"]],
    room: tuple[Float[np.ndarray, " f1"], Float[np.ndarray, " f2"]],
) -> None:
    """Raise ``upper`` and lower ``room`` to those of the left features ``first`` to ``last`` with all right ones.

    The error of two features that never fire in one pair has a bound that costs no walk over blocks: the size of the
    influences is at most the sum of their parts' sizes. Where that much would change nothing the pair is passed over.

    Parameters
    ----------
    entries
        The left features over pairs, and the pairs over right features.
    spreads
        What each does in each block.
    blocks
        Block of each pair.
    limit, upper, room
        See :func:`modalens.interpret.bounds.bound_partners`; both sides', left first.
    """
    means, varies, totals, energies, extras, reaches = spreads[0]
    their_mean, their_varies, their_total, their_energy, their_extra, their_reach = spreads[1]
    n_right, n_blocks = their_total.shape
    n, more = len(blocks), n_blocks / max(n_blocks - 1, 1)
    sizes = np.bincount(blocks)
    sums, place_of, met = (
        np.zeros((n_right, n_blocks)),
        np.full(n_right, -1),
        np.empty(n_right, dtype=np.int64),
    )
    centred, nothing = np.empty(n_blocks), np.zeros(n_blocks)
    shrink = 1 / np.sqrt(1 + their_extra)
    size_of_total, size_of_energy = (
        np.sqrt((their_total**2).sum(axis=1)),
        np.sqrt((their_energy**2).sum(axis=1)),
    )
    for feature in range(first, last):
        if not varies[feature]:
            continue
        number = _products(feature, entries, blocks, sums, place_of, met)
        mean, extra, energy, reach = means[feature], extras[feature], energies[feature], reaches[feature]
        for block in range(n_blocks):
            centred[block] = totals[feature, block] - sizes[block] * mean
        all_centred = centred.sum()
        size_of_centred, size_of_mine = np.sqrt((centred**2).sum()), np.sqrt((energy**2).sum())
        for other in range(n_right):
            if not their_varies[other]:
                continue
            scale = shrink[other] / np.sqrt(1 + extra)
            added = np.sqrt(extra * their_extra[other])
            shares = extra / (1 + extra) + their_extra[other] / (1 + their_extra[other])
            apart = place_of[other] < 0
            together = nothing if apart else sums[place_of[other]]
            product = together.sum() if not apart else 0.0
            product -= n * mean * their_mean[other] + all_centred * their_mean[other]
            raised = (product + added) * scale
            own = (added * scale - raised / 2 * shares) ** 2
            if apart:
                parts = scale * (abs(mean) * size_of_total[other] + abs(their_mean[other]) * size_of_centred)
                parts += abs(raised) / 2 * (size_of_mine + size_of_energy[other])
                most = max((parts**2 + own) * more, 1e-12) * (1 + 1e-9)  # of its square; rounding is less
                above = upper[0][feature] - raised, upper[1][other] - raised
                below = limit - raised
                if (
                    min(above) >= 0
                    and below > 0
                    and above[0] ** 2 >= reach**2 * most
                    and above[1] ** 2 >= their_reach[other] ** 2 * most
                    and (room[0][feature] < 0 or below**2 >= room[0][feature] ** 2 * most)
                    and (room[1][other] < 0 or below**2 >= room[1][other] ** 2 * most)
                ):
                    continue
            square = 0.0
            for block in range(n_blocks):
                found = (
                    together[block] - mean * their_total[other, block] - centred[block] * their_mean[other]
                )
                square += (scale * found - raised / 2 * (energy[block] + their_energy[other, block])) ** 2
            error = np.sqrt(max((square + own) * more, 1e-12))
            upper[0][feature] = max(upper[0][feature], raised + reach * error)
            upper[1][other] = max(upper[1][other], raised + their_reach[other] * error)
            room[0][feature] = min(room[0][feature], (limit - raised) / error)
            room[1][other] = min(room[1][other], (limit - raised) / error)
        for other in met[:number]:
            place_of[other] = -1


@compiled
def _products(
    feature: int,
    entries: tuple[Compressed, Compressed],
    blocks: Int[np.ndarray, " n"],
    sums: Float[np.ndarray, "f b"],
    place_of: Int[np.ndarray, " f"],
    met: Int[np.ndarray, " f"],
) -> int:
    """Sum a left feature's products with all right ones that it fires together with, by block; gives their number.

    The right ones are put into ``met``, and their place there, which is their row of ``sums``, into ``place_of``.
    """
    (left_ends, left_rows, left_values), (right_ends, right_columns, right_values) = entries
    number = 0
    for place in range(left_ends[feature], left_ends[feature + 1]):
        row, value = left_rows[place], left_values[place]
        for entry in range(right_ends[row], right_ends[row + 1]):
            other = right_columns[entry]
            if place_of[other] < 0:
                place_of[other], met[number] = number, other
                sums[number] = 0.0
                number += 1
            sums[place_of[other], blocks[row]] += value * right_values[entry]
    return number
