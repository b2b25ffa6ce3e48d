"""How monosemantic features are: how alike their strongest samples look to a model that is not under study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from modalens.arrays import Matrix, matrix_shape
from modalens.compiled import on_cores
from modalens.errors import ModalensError
from modalens.interpret.cosines import SampleCosines
from modalens.interpret.draws import RandomSamples
from modalens.interpret.kernels import score_likeness
from modalens.interpret.scores import METRICS, Monosemanticity
from modalens.interpret.top import TopSamples, top_samples
from modalens.statistics.checks import DEFAULT_RANKING, check_ranking, check_whole
from modalens.statistics.groups import group_keys, random_blocks, warn_of_copies
from modalens.store.paired import known_groups
from modalens.version import __version__

# Blocks of groups that are left out in turn, behind intervals of averages over features.
_BLOCKS = 20
# Cosines that differ by less than this differ by rounding.
_ROUNDING = 1e-12
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
    scores.add_all()
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
        self._top, self._cosines = top, cosines
        self.width = min(m, n_groups)
        self._drawn = RandomSamples(n_features, keys, self.width, draws + 1, seed)
        blocks = random_blocks(n_groups, _BLOCKS, seed)
        self._blocks = blocks[keys]
        numbers = range(int(blocks.max()) + 1)
        ones: list[tuple[int, ...]] = [(block,) for block in numbers]
        twos: list[tuple[int, ...]] = list(zip(numbers[0::2], numbers[1::2], strict=False))
        self._baselines = np.array(cosines.by_chance(keys, blocks, [*ones, *twos]))
        self.baseline = float(self._baselines[0])
        self._stays = np.array([~np.isin(numbers, case) for case in ((), *ones, *twos)], dtype=np.float64).T
        self._cases = len(ones), len(twos)
        self._found, self._chance = np.full((2, 4, n_features, draws), np.nan)
        self._left_out = np.full((4, n_features, len(ones) + len(twos)), np.nan)
        self.similarity = np.full(n_features, np.nan)
        self.small = np.zeros(n_features, dtype=np.int64)
        self.samples = np.minimum(top.counts, m)

    def add_all(self) -> None:
        """Score all features, several chunks at a time."""
        on_cores(self._add, ((chunk,) for chunk in range(len(self._drawn))))

    @property
    def found(self) -> dict[str, Float[np.ndarray, "f r"]]:
        """Scores of every draw."""
        return dict(zip(METRICS, self._found, strict=True))

    @property
    def chance(self) -> dict[str, Float[np.ndarray, "f r"]]:
        """What random sets of as many samples score in every draw."""
        return dict(zip(METRICS, self._chance, strict=True))

    @property
    def left_out(self) -> dict[str, Float[np.ndarray, "f b"]]:
        """Means over draws without each block."""
        return dict(zip(METRICS, self._left_out[:, :, : self._cases[0]], strict=True))

    @property
    def left_out_two(self) -> dict[str, Float[np.ndarray, "f b2"]]:
        """Means over draws without two blocks."""
        return dict(zip(METRICS, self._left_out[:, :, self._cases[0] :], strict=True))

    def _add(self, chunk: int) -> None:
        """Score some features beside their random samples, of which the first are the stand-ins of chance."""
        features, drawn = self._drawn[chunk]
        scored = (self.samples[features] >= 2) & ~self._top.constant[features]
        if not scored.any():
            return
        features, drawn = features[scored], drawn[:, scored]
        listed = np.maximum(self._top.rows[features, : self.width], 0)
        sets = np.stack([listed, *drawn])
        cosines = self._cosines.between(sets.reshape(-1, self.width)).reshape(*sets.shape[:2], -1)
        strong, stand_in, random = cosines[0], cosines[1], cosines[2:]
        samples, blocks = self.samples[features], self._blocks[sets]
        counted = np.triu_indices(self.width, 1)[1] < samples[:, None]
        self.similarity[features] = strong.mean(axis=1, where=counted)
        self.small[features] = 2 * ((np.abs(random) < SMALL_DENOMINATOR) & counted).sum(axis=(0, 2))
        beside = (random, samples, blocks[0], blocks[2:])
        scores = score_likeness(strong, *beside, self._stays, self._baselines, _ROUNDING)
        self._found[:, features] = scores[..., 0].transpose(1, 2, 0)
        self._left_out[:, features] = scores[..., 1:].mean(axis=0)
        by_chance = score_likeness(
            stand_in, *beside, self._stays[:, :1].copy(), self._baselines[:1], _ROUNDING
        )
        self._chance[:, features] = by_chance[..., 0].transpose(1, 2, 0)


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
