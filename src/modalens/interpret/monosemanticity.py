"""How monosemantic features are: how alike their strongest samples look to a model that is not under study."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.stats import t as student

from modalens.arrays import Matrix, matrix_shape
from modalens.errors import ModalensError
from modalens.interpret.cosines import SampleCosines
from modalens.interpret.scores import METRICS, Monosemanticity
from modalens.interpret.top import TopSamples, top_samples
from modalens.statistics.checks import check_ranking, check_whole
from modalens.version import __version__

# Features scored together, and drawn for from one generator: large enough that a read is worth its cost.
_CHUNK = 256
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
    by: str = "value",
    top: TopSamples | None = None,
    source: Mapping[str, Any] | None = None,
) -> Monosemanticity:
    """Score every feature of one modality by how alike its strongest samples are, beside random samples.

    S+ holds the cosines between the c strongest samples of a feature and S- those between random ones, drawn
    without replacement from all samples, anew for every feature and draw. Over pairs i != j, for each draw::

        embsim             = (mean S+ - mean S-) / abs(mean S-)
        embsim_elementwise = mean of (S+_ij - S-_ij) / S-_ij
        winrate            = mean of 1[S+_ij > S-_ij]
        mono               = (embsim + winrate) / 2

    (Multi-Faceted Monosemanticity, Eqs. 5 and 6, is the elementwise form.) A score is the mean over draws,
    and its interval says how well that many draws pin it down. c is m, or fewer where a feature fires less
    often. S- has c samples too, except in the mean that ``embsim`` divides by, which takes m: the mean cosine
    of two or three random samples is often near 0, and has the same expectation. Beside every score stands
    ``chance``: c more random samples, scored as if they were a feature's strongest.

    Parameters
    ----------
    codes
        Features of one modality, (n, f), dense or sparse. Give one row per image or per text, not per pair: a
        sample that appears twice is like itself.
    sample_embeddings
        The same samples, row by row, embedded by a model that is not under study, (n, d); used L2-normalised.
    m
        Strongest samples to compare, at least 2.
    seed
        Seed of the random samples. They depend on the number of samples, m and a feature's index.
    draws
        Random baselines to average over.
    by
        What samples are ranked by, ``value`` or ``magnitude``; see :func:`modalens.interpret.top_samples`.
    top
        Strongest samples that were found before, at least m for each feature; ``codes`` is then not read.
    source
        What the scores are measured on, kept with the result.

    Returns
    -------
    Monosemanticity
        Scores (f,), higher is more monosemantic, NaN for features without a score: those that fire in fewer
        than 2 samples, and those with one value for all samples, which rank none before another.

    Raises
    ------
    ModalensError
        If the matrices are empty or have different numbers of rows, a sample has no embedding (NaN, infinite
        or all zeros), ``top`` does not fit, or a setting is out of range.
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
    if top is None:
        top = top_samples(codes, m, by)
    else:
        _check_top(top, n_features, n_samples, m, check_ranking(by))
    cosines = SampleCosines(sample_embeddings)
    width = min(m, n_samples)
    found, chance = ({name: np.full((n_features, draws), np.nan) for name in METRICS} for _ in range(2))
    similarity, baseline = np.full((2, n_features), np.nan)
    small = np.zeros(n_features, dtype=np.int64)
    samples = np.minimum(top.counts, m)
    for features, drawn in random_samples(n_features, n_samples, width, draws + 1, seed):
        scored = (samples[features] >= 2) & ~top.constant[features]
        if not scored.any():
            continue
        features = features[scored]
        counted = _pairs_within(samples[features], width)
        strong = cosines.between(np.maximum(top.rows[features, :width], 0))
        stand_in = cosines.between(drawn[0][scored])
        similarity[features] = strong.mean(axis=1, where=counted)
        means = np.empty((len(features), draws))
        for draw, rows in enumerate(drawn[1:]):
            random = cosines.between(rows[scored])
            means[:, draw] = random.mean(axis=1)
            small[features] += 2 * ((np.abs(random) < SMALL_DENOMINATOR) & counted).sum(axis=1)
            for kept, likeness in ((found, strong), (chance, stand_in)):
                for name, scores in _compare(likeness, random, counted).items():
                    kept[name][features, draw] = scores
        baseline[features] = means.mean(axis=1)
    return Monosemanticity(
        **{name: scores.mean(axis=1) for name, scores in found.items()},
        intervals={name: _interval_of_mean(scores) for name, scores in found.items()},
        chance={name: scores.mean(axis=1) for name, scores in chance.items()},
        similarity=similarity,
        baseline=baseline,
        small_denominators=small,
        samples=samples,
        m=m,
        by=by,
        draws=draws,
        seed=seed,
        n_samples=n_samples,
        source=dict(source or {}),
        version=__version__,
    )


def random_samples(
    n_features: int, n_samples: int, width: int, draws: int, seed: int
) -> Iterator[tuple[Int64[np.ndarray, " c"], list[Int64[np.ndarray, "c m"]]]]:
    """Chunks of features with their random samples of every draw, without replacement within a draw.

    A feature's samples do not depend on how many features or further draws there are.
    """
    for start in range(0, n_features, _CHUNK):
        generator = np.random.default_rng([seed, start // _CHUNK])
        features = np.arange(start, min(start + _CHUNK, n_features))
        drawn = [distinct_rows(generator, _CHUNK, n_samples, width)[: len(features)] for _ in range(draws)]
        yield features, drawn


def distinct_rows(
    generator: np.random.Generator, sets: int, n_samples: int, width: int
) -> Int64[np.ndarray, "s m"]:
    """Sets of distinct rows, each ordered set as likely as any other (Floyd's algorithm, then a shuffle)."""
    chosen = np.empty((sets, width), dtype=np.int64)
    for place in range(width):
        newest = n_samples - width + place
        pick = generator.integers(0, newest + 1, size=sets)
        taken = (chosen[:, :place] == pick[:, None]).any(axis=1)
        chosen[:, place] = np.where(taken, newest, pick)
    shuffled: np.ndarray = generator.permuted(chosen, axis=1)
    return shuffled


def _pairs_within(samples: Int64[np.ndarray, " c"], width: int) -> Bool[np.ndarray, "c p"]:
    """Which pairs i < j lie among the first samples of each set."""
    return np.triu_indices(width, 1)[1] < samples[:, None]


def _compare(
    strong: Float[np.ndarray, "c p"], random: Float[np.ndarray, "c p"], counted: Bool[np.ndarray, "c p"]
) -> dict[str, Float[np.ndarray, " c"]]:
    """Every metric of one draw. Cosines are symmetric, so pairs i < j stand for all i != j."""
    difference = strong - random
    mean_strong, mean_random = strong.mean(axis=1, where=counted), random.mean(axis=1)
    defined = counted & (np.abs(random) > _ROUNDING)
    ratios = np.divide(difference, random, where=defined, out=np.zeros_like(random))
    with np.errstate(divide="ignore", invalid="ignore"):
        embsim = (mean_strong - mean_random) / np.abs(mean_random)
        elementwise = ratios.sum(axis=1) / defined.sum(axis=1)
    embsim[np.abs(mean_random) <= _ROUNDING] = np.nan
    winrate = (difference > _ROUNDING).mean(axis=1, where=counted)
    return {
        "embsim": embsim,
        "winrate": winrate,
        "mono": (embsim + winrate) / 2,
        "embsim_elementwise": elementwise,
    }


def _interval_of_mean(scores: Float[np.ndarray, "f r"]) -> Float[np.ndarray, "f 2"]:
    """Student's 95 % interval of the mean over draws; NaN for a single draw."""
    draws = scores.shape[1]
    if draws == 1:
        return np.full((len(scores), 2), np.nan)
    mean = scores.mean(axis=1)
    reach = student.ppf(0.975, draws - 1) * scores.std(axis=1, ddof=1) / np.sqrt(draws)
    return np.stack([mean - reach, mean + reach], axis=1)


def _check_top(top: TopSamples, n_features: int, n_samples: int, m: int, by: str) -> None:
    if top.by != by:
        raise ModalensError(f"top was ranked by {top.by}, not by {by}; give by={top.by!r} or rank again.")
    if len(top.rows) != n_features or top.rows.max(initial=-1) >= n_samples:
        raise ModalensError(
            f"top does not belong to these features: it lists {len(top.rows)} features up to row {top.rows.max()}, "
            f"and there are {n_features} features of {n_samples} samples."
        )
    if top.rows.shape[1] < min(m, n_samples):
        raise ModalensError(
            f"top lists {top.rows.shape[1]} samples for each feature; at least m={m} are needed."
        )
