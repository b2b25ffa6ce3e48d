"""Compiled loops: the strongest samples of features, and how alike samples are."""

import numpy as np
from jaxtyping import Float, Int

from modalens.compiled import compiled, compiled_in_any_order

# Features looked at together for a sample that is listed; few are.
_LANES = 64


@compiled
def rank_dense(
    block: Float[np.ndarray, "n f"],
    start: int,
    by_magnitude: bool,
    keys: Int[np.ndarray, " g"],
    first: int,
    last: int,
    rows: Int[np.ndarray, "f m"],
    values: Float[np.ndarray, "f m"],
    strength: Float[np.ndarray, "f m"],
    fired: Int[np.ndarray, " f"],
    lowest: Float[np.ndarray, " f"],
    highest: Float[np.ndarray, " f"],
) -> None:
    """Merge the rows of a block, numbered from ``start``, into the lists of features ``first`` to ``last``."""
    weakest = strength[first:last, -1].copy()
    for row in range(block.shape[0]):
        for lane in range(first, last, _LANES):
            beats = False
            for feature in range(lane, min(lane + _LANES, last)):
                value = block[row, feature]
                fired[feature] += value != 0
                lowest[feature] = min(lowest[feature], value)
                highest[feature] = max(highest[feature], value)
                strong = abs(value) if by_magnitude else value
                beats |= strong > weakest[feature - first]
            if beats:
                for feature in range(lane, min(lane + _LANES, last)):
                    value = block[row, feature]
                    strong = abs(value) if by_magnitude else value
                    if strong > weakest[feature - first]:
                        insert(
                            start + row,
                            value,
                            strong,
                            keys,
                            rows[feature],
                            values[feature],
                            strength[feature],
                        )
                        weakest[feature - first] = strength[feature, -1]


@compiled
def rank_sparse(
    data: Float[np.ndarray, " nnz"],
    entry_rows: Int[np.ndarray, " nnz"],
    ends: Int[np.ndarray, " f1"],
    start: int,
    by_magnitude: bool,
    keys: Int[np.ndarray, " g"],
    first: int,
    last: int,
    rows: Int[np.ndarray, "f m"],
    values: Float[np.ndarray, "f m"],
    strength: Float[np.ndarray, "f m"],
    fired: Int[np.ndarray, " f"],
    lowest: Float[np.ndarray, " f"],
    highest: Float[np.ndarray, " f"],
) -> None:
    """The same for a block in CSC form with sorted rows; ``lowest`` and ``highest`` are of stored entries."""
    for feature in range(first, last):
        for place in range(ends[feature], ends[feature + 1]):
            value = data[place]
            lowest[feature] = min(lowest[feature], value)
            highest[feature] = max(highest[feature], value)
            strong = abs(value) if by_magnitude else value
            if strong > strength[feature, -1]:
                insert(
                    start + entry_rows[place],
                    value,
                    strong,
                    keys,
                    rows[feature],
                    values[feature],
                    strength[feature],
                )
        fired[feature] += ends[feature + 1] - ends[feature]


@compiled
def insert(
    row: int,
    value: float,
    strong: float,
    keys: Int[np.ndarray, " g"],
    rows: Int[np.ndarray, " m"],
    values: Float[np.ndarray, " m"],
    strength: Float[np.ndarray, " m"],
) -> None:
    """Put a sample into a list, strongest first, behind those as strong; it is stronger than the last one.

    ``keys`` is the group of every row, of which a list holds one sample; empty where no two rows share a group.
    """
    end = len(rows) - 1
    if len(keys):
        for place in range(len(rows)):
            if rows[place] >= 0 and keys[rows[place]] == keys[row]:
                if strong <= strength[place]:
                    return
                end = place
                break
    while end > 0 and strength[end - 1] < strong:
        rows[end], values[end], strength[end] = rows[end - 1], values[end - 1], strength[end - 1]
        end -= 1
    rows[end], values[end], strength[end] = row, value, strong


@compiled
def distinct(picks: Int[np.ndarray, "w s"], n: int) -> Int[np.ndarray, "s w"]:
    """Sets of distinct numbers under n by Floyd's algorithm: pick i of a set lies from 0 to n - w + i."""
    width, sets = picks.shape
    chosen = np.empty((sets, width), dtype=np.int64)
    for row in range(sets):
        for place in range(width):
            pick = picks[place, row]
            for before in range(place):
                if chosen[row, before] == pick:
                    pick = n - width + place
                    break
            chosen[row, place] = pick
    return chosen


@compiled_in_any_order
def cosines_within(
    matrix: Float[np.ndarray, "n d"], rows: Int[np.ndarray, "s w"], norms: Float[np.ndarray, "s w"]
) -> Float[np.ndarray, "s p"]:
    """Cosines of the pairs i < j of sets of rows, in float64; ``norms`` are those of the rows."""
    sets, width = rows.shape
    d = matrix.shape[1]
    cosines = np.empty((sets, width * (width - 1) // 2))
    # Four products are made together, so that three more rows are read than there are.
    held = np.zeros((width + 3, d))
    for chosen in range(sets):
        for place in range(width):
            row = rows[chosen, place]
            for column in range(d):
                held[place, column] = matrix[row, column]
        pair = 0
        for i in range(width):
            for j in range(i + 1, width, 4):
                one, two, three, four = 0.0, 0.0, 0.0, 0.0
                for column in range(d):
                    value = held[i, column]
                    one += value * held[j, column]
                    two += value * held[j + 1, column]
                    three += value * held[j + 2, column]
                    four += value * held[j + 3, column]
                for offset, product in enumerate((one, two, three, four)):
                    if j + offset < width:
                        cosines[chosen, pair] = product / (norms[chosen, i] * norms[chosen, j + offset])
                        pair += 1
    return cosines


@compiled
def score_likeness(
    strong: Float[np.ndarray, "c p"],
    random: Float[np.ndarray, "r c p"],
    samples: Int[np.ndarray, " c"],
    blocks: Int[np.ndarray, "c w"],
    random_blocks: Int[np.ndarray, "r c w"],
    stays: Float[np.ndarray, "b q"],
    chance: Float[np.ndarray, " q"],
    rounding: float,
) -> Float[np.ndarray, "r 4 c q"]:
    """EmbSim, WinRate, their mean and the elementwise EmbSim of sets of samples, for each draw of random ones.

    A case leaves out the pairs with a sample of some blocks. EmbSim counts the pairs that stay; the others compare pair
    by pair and need the random pair to stay too. NaN where nothing is left, and for EmbSim where chance is 0.

    Parameters
    ----------
    strong, random
        Cosines of the pairs i < j of each set, and of the random sets of each draw.
    samples
        How many samples each set has; the pairs of further ones do not count.
    blocks, random_blocks
        Block of each sample.
    stays
        1 where a block stays in a case, 0 where it is left out.
    chance
        Mean cosine of two random samples, for each case.
    rounding
        Cosines that differ by less are equal.
    """
    draws, sets, _ = random.shape
    width, cases = blocks.shape[1], stays.shape[1]
    scores = np.empty((draws, 4, sets, cases))
    kept = np.empty((width * (width - 1) // 2, cases))
    total, number, compared, wins, ratios, defined = np.empty((6, cases))
    for chosen in range(sets):
        total[:], number[:] = 0.0, 0.0
        pair = -1
        for i in range(width):
            for j in range(i + 1, width):
                pair += 1
                if j >= samples[chosen]:
                    continue
                likeness = strong[chosen, pair]
                first, second = stays[blocks[chosen, i]], stays[blocks[chosen, j]]
                for case in range(cases):
                    kept[pair, case] = first[case] * second[case]
                    total[case] += kept[pair, case] * likeness
                    number[case] += kept[pair, case]
        for draw in range(draws):
            compared[:], wins[:], ratios[:], defined[:] = 0.0, 0.0, 0.0, 0.0
            pair = -1
            for i in range(width):
                for j in range(i + 1, width):
                    pair += 1
                    if j >= samples[chosen]:
                        continue
                    by_chance = random[draw, chosen, pair]
                    more = strong[chosen, pair] - by_chance
                    win = 1.0 if more > rounding else 0.0
                    divides = 1.0 if abs(by_chance) > rounding else 0.0
                    ratio = more / by_chance if abs(by_chance) > rounding else 0.0
                    first = stays[random_blocks[draw, chosen, i]]
                    second = stays[random_blocks[draw, chosen, j]]
                    for case in range(cases):
                        there = kept[pair, case] * first[case] * second[case]
                        compared[case] += there
                        wins[case] += there * win
                        ratios[case] += there * ratio
                        defined[case] += there * divides
            for case in range(cases):
                mean = total[case] / number[case]
                embsim = (mean - chance[case]) / abs(chance[case]) if abs(chance[case]) > rounding else np.nan
                winrate = wins[case] / compared[case]
                scores[draw, 0, chosen, case] = embsim
                scores[draw, 1, chosen, case] = winrate
                scores[draw, 2, chosen, case] = (embsim + winrate) / 2
                scores[draw, 3, chosen, case] = ratios[case] / defined[case]
    return scores
