"""Calibration of what is said of features: intervals of averages over features, and verdicts on one-sided ones.

Run ``python benchmarks/calibrate_interpret.py`` for a table in Markdown, one row a setting. Samples are drawn from
known populations: features answer to topics, and halves of concepts fire together with a correlation that follows from
how they are drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from modalens.dominance import modality_dominance
from modalens.interpret import average_of_features, bridges, monosemanticity

SIZES = (50, 200, 1000)
COPIES = 5
LIMIT = 0.3
_TOPICS = 8


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    pairs: int
    grouped: bool
    sparse: bool
    what: str
    value: float
    goal: str

    def __str__(self) -> str:
        kind = "sparse" if self.sparse else "dense"
        groups = "groups of 5" if self.grouped else "none"
        return f"| {self.pairs:,} | {groups} | {kind} | {self.what} | {self.value:.3f} | {self.goal} |"


# Averages over features


def draw_features(
    pairs: int, grouped: bool, sparse: bool, features: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (n, f) of features that each answer to a topic, embeddings (n, d) that show topics, and groups (n,).

    The population, what each feature answers to and how strongly, is the same in every draw.
    """
    fixed = np.random.default_rng(5)
    shown, liking = fixed.normal(size=(_TOPICS, 12)) + 0.7, fixed.uniform(0, 2.5, features)
    answers = np.eye(_TOPICS)[np.arange(features) % _TOPICS] * liking[:, None]
    groups = np.arange(pairs) // (COPIES if grouped else 1)
    topics = np.eye(_TOPICS)[generator.integers(0, _TOPICS, groups.max() + 1)]
    marks = generator.normal(size=(groups.max() + 1, 12))
    drive = topics @ answers.T + generator.normal(size=(groups.max() + 1, features))
    codes = drive[groups] + 0.3 * generator.normal(size=(pairs, features))
    embeddings = (topics @ shown + marks)[groups] + 0.3 * generator.normal(size=(pairs, 12))
    return (np.maximum(codes - 1.5, 0) if sparse else codes), embeddings, groups


def averages(pairs: int, grouped: bool, sparse: bool, draws: int, seed: int = 0) -> Iterator[Row]:
    """Coverage of the intervals of averages over all features and over a class, and of a difference of two classes."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    first, small = np.arange(40) % 2 == 0, np.arange(40) < 6
    for draw in range(draws):
        codes, embeddings, groups = draw_features(
            pairs, grouped, sparse, 40, np.random.default_rng([seed, draw])
        )
        m = min(20, (int(groups.max()) + 1) // 2)
        scores = monosemanticity(
            sp.csr_array(codes) if sparse else codes, embeddings, m, draw, draws=3, groups=groups
        )
        for metric in ("mono", "winrate"):
            for name, inside in (("40", first | ~first), ("6", small)):
                mean = average_of_features(scores, metric, inside)
                found.setdefault(f"coverage, mean {metric} of {name} features", []).append(mean[1:])
    for what, estimates in found.items():
        value, low, high = np.transpose(estimates)
        scored = ~np.isnan(low)  # where features fire for few groups none may have a score
        inside = (low <= np.nanmean(value)) & (np.nanmean(value) <= high)
        yield Row(pairs, grouped, sparse, what, float(inside[scored].mean()), "0.90 to 0.99")


# Verdicts


@dataclass(frozen=True)
class Planted:
    """Codes of both sides, (n, 2 f): the first f features are the images', the others the texts'.

    ``correlation`` is that of image feature i and text feature f + i in the population; all others are 0.
    """

    image: np.ndarray
    text: np.ndarray
    groups: np.ndarray
    correlation: np.ndarray


def plant(
    pairs: int, grouped: bool, sparse: bool, kept: np.ndarray, rate: float, generator: np.random.Generator
) -> Planted:
    """Concepts, each of which fires one image feature and one text feature.

    Sparse: a concept is on in a share ``rate`` of groups at lognormal strength; either half misses a pair with a chance
    of 1 - ``kept``, and adds noise of its own. A half of a concept with ``kept`` 0 fires for its own reasons. Dense:
    normal features whose correlation is ``kept``.
    """
    groups = np.arange(pairs) // (COPIES if grouped else 1)
    n_groups, f = int(groups.max()) + 1, len(kept)

    def concept() -> np.ndarray:
        if not sparse:
            return generator.normal(size=(n_groups, f))[groups]
        return ((generator.random((n_groups, f)) < rate) * generator.lognormal(0, 0.5, (n_groups, f)))[groups]

    shared, alone = concept(), (concept(), concept())
    sides = []
    for own in alone:
        if sparse:
            value = np.where(kept > 0, shared, own)
            value = value * (generator.random(value.shape) < np.where(kept > 0, kept, 0.8))
            sides.append(value * generator.lognormal(0, 0.2, value.shape))
        else:
            sides.append(np.sqrt(kept) * shared + np.sqrt(1 - kept) * own)
    if sparse:
        # Of x = k c u, with P(k) = kept, E c = rate e, E c^2 = rate e2, and E u, E u^2 of the noise.
        e, e2, u, u2 = (np.exp(s) for s in (0.125, 0.5, 0.02, 0.08))
        mean, square = kept * rate * e * u, kept * rate * e2 * u2
        with np.errstate(invalid="ignore"):
            correlation = np.nan_to_num((kept**2 * rate * e2 * u**2 - mean**2) / (square - mean**2))
    else:
        correlation = kept
    zeros = np.zeros((pairs, f))
    return Planted(np.hstack([sides[0], zeros]), np.hstack([zeros, sides[1]]), groups, correlation)


# Concepts that are hard to tell: just over the limit, clearly over it, and none at all.
MIXED = np.repeat([0.36, 0.6, 0.9, 0.0], 10)
NONE_PRIVATE = np.repeat([0.36, 0.42], 20)


def judge(planted: Planted, sparse: bool, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Verdicts, bounds and true correlations of the features that get a verdict."""
    image, text = (sp.csr_array(side) if sparse else side for side in (planted.image, planted.text))
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    links = bridges(image, text, None, mds, seed, shuffles=100, groups=planted.groups)
    judged = links.verdict != ""
    truth = np.tile(planted.correlation, 2)
    return links.verdict[judged], links.correlation_bound[judged], truth[judged]


def verdicts(pairs: int, grouped: bool, sparse: bool, draws: int, seed: int = 0) -> Iterator[Row]:
    """False-discovery rates of both verdicts, how often each is found, and what the bound covers."""
    wrong: dict[str, list[float]] = {}
    for draw in range(draws):
        generator = np.random.default_rng([seed, draw])
        rate = generator.uniform(0.05, 0.2)
        for name, kept in (("some", MIXED), ("none private", NONE_PRIVATE)):
            verdict, bound, truth = judge(plant(pairs, grouped, sparse, kept, rate, generator), sparse, draw)
            split, private, over = verdict == "split", verdict == "private", truth > LIMIT
            shares = {
                f"false discoveries of private, {name}": (private & over).sum() / max(private.sum(), 1),
                f"coverage of the bound, {name}": np.mean(bound[over] >= truth[over]),
            }
            if name == "some":
                shares["false discoveries of split"] = (split & (truth == 0)).sum() / max(split.sum(), 1)
                shares["private features found"] = np.mean(private[truth == 0])
                shares["split features found"] = np.mean(split[truth > 0.5])
            for what, share in shares.items():
                wrong.setdefault(what, []).append(float(share))
    goals = {"false": "under 0.05", "coverage": "over 0.95"}
    for what, found in wrong.items():
        yield Row(pairs, grouped, sparse, what, float(np.nanmean(found)), goals.get(what.split()[0], ""))


def table(draws: int = 300, judged: int = 30) -> Iterator[Row]:
    """Every row, setting by setting."""
    for pairs in SIZES:
        for grouped in (False, True):
            for sparse in (False, True):
                yield from averages(pairs, grouped, sparse, draws)
                yield from verdicts(pairs, grouped, sparse, judged)


def main() -> None:
    print("| Pairs | Groups | Codes | What | Value | Goal |\n| --- | --- | --- | --- | --- | --- |")
    for row in table():
        print(row, flush=True)


if __name__ == "__main__":
    main()
