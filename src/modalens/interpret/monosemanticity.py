"""How monosemantic features are: how alike their strongest samples look to a model that is not under study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int64
from scipy.stats import t as student

from modalens.arrays import Matrix, matrix_shape
from modalens.errors import ModalensError
from modalens.interpret.cosines import SampleCosines
from modalens.interpret.draws import random_samples
from modalens.interpret.likeness import embsim, embsim_elementwise, pairs_touching, pairs_within, winrate
from modalens.interpret.scores import METRICS, Monosemanticity
from modalens.interpret.top import TopSamples, top_samples
from modalens.statistics.checks import DEFAULT_RANKING, check_ranking, check_whole
from modalens.statistics.groups import group_keys, random_blocks, warn_of_copies
from modalens.store.paired import known_groups
from modalens.version import __version__

# Blocks of groups that are left out in turn, behind intervals of averages over features.
_BLOCKS = 20
SMALL_DENOMINATOR = 1e-3


def monosemanticity(
    codes: Matrix,
    sample_embeddings: Matrix,
    m: int = 20,
    seed: int = 0,
    *,
    draws: int = 5,
    by: str = DEFAULT_RANKING,
    groups: Sequence[Any] | np.ndarray | None = None,
    top: TopSamples | None = None,
    source: Mapping[str, Any] | None = None,
) -> Monosemanticity:
    """Score every feature of one modality by how alike its strongest samples are, beside random samples.

    S+ holds the cosines between the c strongest samples of a feature and S- those between c random ones, drawn
    anew for every feature and draw. Over pairs i != j, for each draw::

        embsim             = (mean S+ - chance) / abs(chance)
        embsim_elementwise = mean of (S+_ij - S-_ij) / S-_ij
        winrate            = mean of 1[S+_ij > S-_ij]
        mono               = (embsim + winrate) / 2

    (Multi-Faceted Monosemanticity, Eqs. 5 and 6, is the elementwise form.) What ``embsim`` divides by, the mean
    cosine of two random samples, is not drawn: it follows exactly from the sum of all embeddings. The other scores
    are means over draws, and an interval says how well that many draws pin them down. c is m, or fewer where a
    feature fires less often. Beside every score stands ``chance``: c more random samples, scored as if they were a
    feature's strongest.

    Samples of one group (captions of one image, skin tones of one drawing) are copies and count once: a feature's
    strongest samples are of different groups, and so are random ones, members of random groups.

    Parameters
    ----------
    codes
        Features of one modality, (n, f), dense or sparse.
    sample_embeddings
        The same samples, row by row, embedded by a model that is not under study, (n, d); used L2-normalised.
    m
        Strongest samples to compare, at least 2.
    seed
        Seed of the random samples. They depend on the groups, m and a feature's index.
    draws
        Random baselines to average over.
    by
        What samples are ranked by, ``magnitude`` or ``value``; see :func:`modalens.interpret.top_samples`.
    groups
        One label a sample. By default those of the store that either matrix is a column of; for other matrices every
        sample is its own group, and a warning says so if many rows are equal.
    top
        Strongest samples that were found before with the same groups, at least m for each feature; ``codes`` is then
        not read.
    source
        What the scores are measured on, kept with the result.

    Returns
    -------
    Monosemanticity
        Scores (f,), higher is more monosemantic, NaN for features without a score: those that fire in fewer
        than 2 groups, and those with one value for all samples, which rank none before another.

    Raises
    ------
    ModalensError
        If the matrices are empty or have different numbers of rows, a sample has no embedding (NaN, infinite
        or all zeros), ``groups`` or ``top`` do not fit, or a setting is out of range.
    """
    m, draws = check_whole("m", m, 2), check_whole("draws", draws, 1)
    seed = check_whole("seed", seed, 0)
    n_samples, n_features = matrix_shape(codes, "The feature matrix")
    matrix_shape(sample_embeddings, "The matrix of sample embeddings")
    if sample_embeddings.shape[0] != n_samples:
        raise ModalensError(
            f"There are features of {n_samples} samples and embeddings of {sample_embeddings.shape[0]}: row i of "
            "one must be the sample in row i of the other."
        )
    check_ranking(by)
    groups = known_groups(codes, sample_embeddings) if groups is None else groups
    if groups is None:
        warn_of_copies(sample_embeddings, "sample embedding")
    keys = np.arange(n_samples) if groups is None else group_keys(groups, n_samples)
    if top is None:
        top = top_samples(codes, m, by, groups=keys)
    else:
        _check_top(top, n_features, keys, m, by)
    cosines = SampleCosines(sample_embeddings)
    scores = _Scores(top, cosines, keys, m, draws, seed)
    for features, drawn in random_samples(n_features, keys, scores.width, draws + 1, seed):
        scores.add(features, drawn)
    return Monosemanticity(
        **{name: values.mean(axis=1) for name, values in scores.found.items()},
        intervals={name: _interval_of_mean(values) for name, values in scores.found.items()},
        chance={name: values.mean(axis=1) for name, values in scores.chance.items()},
        left_out=scores.left_out,
        left_out_two=scores.left_out_two,
        similarity=scores.similarity,
        small_denominators=scores.small,
        samples=scores.samples,
        baseline=scores.baseline,
        m=m,
        by=by,
        draws=draws,
        seed=seed,
        n_samples=n_samples,
        n_groups=int(keys.max()) + 1,
        source=dict(source or {}),
        version=__version__,
    )


class _Scores:
    """Scores of features, chunk by chunk: by draw, by chance, and without blocks of groups."""

    def __init__(
        self,
        top: TopSamples,
        cosines: SampleCosines,
        keys: Int[np.ndarray, " n"],
        m: int,
        draws: int,
        seed: int,
    ) -> None:
        n_features, n_groups = len(top.rows), int(keys.max()) + 1
        self._top, self._cosines, self._keys = top, cosines, keys
        self.width = min(m, n_groups)
        self._blocks = random_blocks(n_groups, _BLOCKS, seed)
        blocks = range(int(self._blocks.max()) + 1)
        ones: list[tuple[int, ...]] = [(block,) for block in blocks]
        twos: list[tuple[int, ...]] = list(zip(blocks[0::2], blocks[1::2], strict=False))
        self.baseline, *left = cosines.by_chance(keys, self._blocks, [*ones, *twos])
        self._cases = list(zip([*ones, *twos], left, strict=True))
        self.found, self.chance, self.left_out, self.left_out_two = (
            {name: np.full((n_features, size), np.nan) for name in METRICS}
            for size in (draws, draws, len(ones), len(twos))
        )
        self.similarity = np.full(n_features, np.nan)
        self.small = np.zeros(n_features, dtype=np.int64)
        self.samples = np.minimum(top.counts, m)

    def add(self, features: Int64[np.ndarray, " c"], drawn: Sequence[Int64[np.ndarray, "c w"]]) -> None:
        """Score some features beside their random samples, of which the first are the stand-ins of chance."""
        scored = (self.samples[features] >= 2) & ~self._top.constant[features]
        if not scored.any():
            return
        features = features[scored]
        listed = np.maximum(self._top.rows[features, : self.width], 0)
        strong, stand_in, *random = (
            self._cosines.between(rows) for rows in (listed, *(rows[scored] for rows in drawn))
        )
        counted = pairs_within(self.samples[features], self.width)
        self.similarity[features] = strong.mean(axis=1, where=counted)
        for draw, other in enumerate(random):
            self.small[features] += 2 * ((np.abs(other) < SMALL_DENOMINATOR) & counted).sum(axis=1)
            for kept, likeness in ((self.found, strong), (self.chance, stand_in)):
                for name, values in _compare(likeness, other, counted, counted, self.baseline).items():
                    kept[name][features, draw] = values
        blocks = [self._blocks[self._keys[rows]] for rows in (listed, *(rows[scored] for rows in drawn[1:]))]
        for place, (left_out, baseline) in enumerate(self._cases):
            stays, *others = (~pairs_touching(each, left_out) for each in blocks)
            draws = [
                _compare(strong, other, counted & stays, counted & stays & there, baseline)
                for other, there in zip(random, others, strict=True)
            ]
            kept = self.left_out if len(left_out) == 1 else self.left_out_two
            for name in METRICS:
                mean = np.mean([values[name] for values in draws], axis=0)
                kept[name][features, place % (int(self._blocks.max()) + 1)] = mean


def _compare(
    strong: Float[np.ndarray, "c p"],
    random: Float[np.ndarray, "c p"],
    counted: Bool[np.ndarray, "c p"],
    compared: Bool[np.ndarray, "c p"],
    baseline: float,
) -> dict[str, Float[np.ndarray, " c"]]:
    """Every metric of one draw, over the pairs that count and those that are compared one by one.

    Cosines are symmetric, so pairs i < j stand for all i != j.
    """
    found = {
        "embsim": embsim(strong, counted, baseline),
        "winrate": winrate(strong, random, compared),
        "embsim_elementwise": embsim_elementwise(strong, random, compared),
    }
    return found | {"mono": (found["embsim"] + found["winrate"]) / 2}


def _interval_of_mean(scores: Float[np.ndarray, "f r"]) -> Float[np.ndarray, "f 2"]:
    """Student's 95 % interval of the mean over draws; NaN for a single draw."""
    draws = scores.shape[1]
    if draws == 1:
        return np.full((len(scores), 2), np.nan)
    mean = scores.mean(axis=1)
    reach = student.ppf(0.975, draws - 1) * scores.std(axis=1, ddof=1) / np.sqrt(draws)
    return np.stack([mean - reach, mean + reach], axis=1)


def _check_top(top: TopSamples, n_features: int, keys: Int[np.ndarray, " n"], m: int, by: str) -> None:
    if top.by != by:
        raise ModalensError(f"top was ranked by {top.by}, not by {by}; give by={top.by!r} or rank again.")
    if len(top.rows) != n_features or top.rows.max(initial=-1) >= len(keys):
        raise ModalensError(
            f"top does not belong to these features: it lists {len(top.rows)} features up to row {top.rows.max()}, "
            f"and there are {n_features} features of {len(keys)} samples."
        )
    if top.rows.shape[1] < min(m, int(keys.max()) + 1):
        raise ModalensError(
            f"top lists {top.rows.shape[1]} samples for each feature; at least m={m} are needed."
        )
    listed = np.where(top.rows >= 0, keys[np.maximum(top.rows, 0)], -1 - np.arange(top.rows.shape[1]))
    if (np.diff(np.sort(listed, axis=1), axis=1) == 0).any():
        raise ModalensError("top lists several samples of one group; find it with the same groups.")
