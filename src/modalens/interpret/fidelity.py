"""Whether the features of a modality mean more in that modality: averages per class, and fidelity."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.interpret.scores import METRICS, Monosemanticity
from modalens.statistics.checks import check_whole
from modalens.statistics.intervals import jackknife_interval, percentile_interval


class FeatureMean(NamedTuple):
    """Mean of a metric over some features: how many have a score, and the 95 % interval over samples."""

    features: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassAverage:
    """One metric in one modality, averaged over the features of one class that have a score.

    Attributes
    ----------
    metric, modality
        What was measured, and on the samples of which modality.
    label
        The class; ``all`` stands for every live feature.
    features
        How many features have this score.
    mean, low, high
        Average with its 95 % interval, which says how it varies over samples (see :func:`average_of_features`);
        NaN where no feature has a score.
    median
        The middle score, which a few extreme features do not move.
    chance
        Average over the same features of what random samples score.
    """

    metric: str
    modality: str
    label: str
    features: int
    mean: float
    low: float
    high: float
    median: float
    chance: float


@dataclass(frozen=True)
class ModalityFidelity:
    """One metric in one modality: its average over the modality's own class minus over the other one's.

    Over 0, features that belong to the modality are more monosemantic in it than features of the other.

    Attributes
    ----------
    metric, modality
        What was measured, and on the samples of which modality.
    value, low, high
        Fidelity with its 95 % interval over samples; NaN where a class has no score.
    null_mean, null_low, null_high
        Mean and 95 % interval where classes mean nothing: the labels permuted over live features.
    p
        Share of permutations, the real labels counted as one, whose fidelity lies as far from 0.
    """

    metric: str
    modality: str
    value: float
    low: float
    high: float
    null_mean: float
    null_low: float
    null_high: float
    p: float


Row = TypeVar("Row", ClassAverage, ModalityFidelity)


@dataclass(frozen=True, repr=False)
class Fidelity:
    """Averages per class and fidelity of both modalities, for every metric.

    Attributes
    ----------
    averages
        For each metric and modality: the image side's class, cross, the text side's class, and all.
    fidelities
        For each metric and modality; visual fidelity is the image side's, textual fidelity the text side's.
    permutations, seed
        How it was made.
    """

    averages: tuple[ClassAverage, ...]
    fidelities: tuple[ModalityFidelity, ...]
    permutations: int
    seed: int

    def __repr__(self) -> str:
        found = ", ".join(f"{each.metric} {each.modality}={each.value:.3f}" for each in self.fidelities)
        return f"Fidelity({found})"

    def average(self, metric: str, modality: str, label: str = "all") -> ClassAverage:
        """One of the averages; the errors of a wrong name list the right ones."""
        return _find(self.averages, metric=metric, modality=modality, label=label)

    def fidelity(self, metric: str, modality: str) -> ModalityFidelity:
        """One of the fidelities; the errors of a wrong name list the right ones."""
        return _find(self.fidelities, metric=metric, modality=modality)

    def averages_frame(self) -> pd.DataFrame:
        """One row per metric, modality and class."""
        return pd.DataFrame([asdict(average) for average in self.averages])

    def fidelity_frame(self) -> pd.DataFrame:
        """One row per metric and modality."""
        return pd.DataFrame([asdict(fidelity) for fidelity in self.fidelities])


def average_of_features(scores: Monosemanticity, metric: str, inside: Bool[np.ndarray, " f"]) -> FeatureMean:
    """Mean of a metric over some features, with its 95 % interval for other samples of the same kind.

    Features share their samples, so they are not independent and are not resampled. The interval is that of the
    jackknife over about 20 random blocks of groups: every feature is scored again without the samples of each, and
    without those of two (:func:`modalens.statistics.intervals.jackknife_interval`).

    Parameters
    ----------
    scores
        Scores of all features.
    metric
        One of :data:`modalens.interpret.METRICS`.
    inside
        Which features to average, (f,); those without a score are left out.
    """
    mean = float(_mean(getattr(scores, metric)[inside]))
    features = int((~np.isnan(getattr(scores, metric)[inside])).sum())
    return FeatureMean(features, mean, *_interval(mean, lambda values: _mean(values[inside]), scores, metric))


def measure_fidelity(
    mono_image: Monosemanticity,
    mono_text: Monosemanticity,
    mds: Dominance,
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> Fidelity:
    """Average monosemanticity over each class, and subtract: do a modality's features mean more in it?

    Visual fidelity is a metric on images averaged over image-dominant features minus over text-dominant ones,
    textual fidelity the metric on texts the other way round (Beyond Cross-Modal Alignment, section 4.2).

    Parameters
    ----------
    mono_image, mono_text
        Scores of the same features on the samples of both modalities.
    mds
        Their classes. Dead features are left out throughout.
    permutations
        Permutations of the labels over live features.
    seed
        Seed of these.

    Returns
    -------
    Fidelity
        Averages and fidelities with intervals over samples. A class without a scored feature has NaN.

    Raises
    ------
    ModalensError
        If the three do not have the same features, or a setting is out of range.
    """
    permutations, seed = check_whole("permutations", permutations, 1), check_whole("seed", seed, 0)
    sizes = {"image scores": mono_image.mono, "text scores": mono_text.mono, "classes": mds.score}
    if len({len(each) for each in sizes.values()}) > 1:
        counts = ", ".join(f"{len(each)} {name}" for name, each in sizes.items())
        raise ModalensError(f"Fidelity needs the same features throughout, but there are {counts}.")
    text, cross, image, dead = mds.classes
    live = mds.labels != dead
    members = {label: mds.labels == label for label in (image, cross, text)} | {"all": live}
    columns = [
        (metric, side, scores)
        for metric in METRICS
        for side, scores in ((image, mono_image), (text, mono_text))
    ]
    averages = tuple(
        _average(scores, metric, side, label, inside)
        for metric, side, scores in columns
        for label, inside in members.items()
    )
    # One column for each (metric, modality), so that a permutation serves all of them.
    permuted = _permuted_differences(
        np.stack([getattr(scores, metric)[live] for metric, _, scores in columns], axis=1),
        int(members[image].sum()),
        int(members[text].sum()),
        permutations,
        np.random.default_rng(seed),
    ) * [1.0 if side == image else -1.0 for _, side, _ in columns]
    fidelities = tuple(
        _fidelity(scores, metric, side, members[side], members[text if side == image else image], null)
        for (metric, side, scores), null in zip(columns, permuted.T, strict=True)
    )
    return Fidelity(averages=averages, fidelities=fidelities, permutations=permutations, seed=seed)


def _average(
    scores: Monosemanticity, metric: str, side: str, label: str, inside: Bool[np.ndarray, " f"]
) -> ClassAverage:
    found = average_of_features(scores, metric, inside)
    known = getattr(scores, metric)[inside]
    return ClassAverage(
        metric=metric,
        modality=side,
        label=label,
        **found._asdict(),
        median=float(np.nanmedian(known)) if found.features else np.nan,
        chance=float(_mean(scores.chance[metric][inside])),
    )


def _fidelity(
    scores: Monosemanticity,
    metric: str,
    side: str,
    own: Bool[np.ndarray, " f"],
    other: Bool[np.ndarray, " f"],
    null: Float[np.ndarray, " r"],
) -> ModalityFidelity:
    value = float(_mean(getattr(scores, metric)[own]) - _mean(getattr(scores, metric)[other]))
    low, high = _interval(value, lambda values: _mean(values[own]) - _mean(values[other]), scores, metric)
    null_low, null_high = percentile_interval(null)
    known = null[~np.isnan(null)]
    far = int((np.abs(known) >= abs(value)).sum())
    return ModalityFidelity(
        metric=metric,
        modality=side,
        value=value,
        low=low,
        high=high,
        null_mean=float(known.mean()) if len(known) else np.nan,
        null_low=float(null_low),
        null_high=float(null_high),
        p=np.nan if np.isnan(value) else (1 + far) / (1 + len(known)),
    )


def _mean(scores: Float[np.ndarray, "f ..."]) -> Float[np.ndarray, "..."]:
    """Mean over the features that have a score; NaN without any."""
    known = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(known, scores, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean


def _interval(
    value: float, statistic: Callable[[np.ndarray], np.ndarray], scores: Monosemanticity, metric: str
) -> tuple[float, float]:
    """The jackknife's interval of a statistic of the scores of all features; NaN where a block takes all away."""
    one, two = statistic(scores.left_out[metric]), statistic(scores.left_out_two[metric])
    return jackknife_interval(value, one, two)


def _permuted_differences(
    scores: Float[np.ndarray, "f c"],
    first: int,
    second: int,
    permutations: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "r c"]:
    """Mean over ``first`` features minus over ``second`` others, both picked at random, many times."""
    differences = np.empty((permutations, scores.shape[1]))
    for index in range(permutations):
        order = generator.permutation(len(scores))
        differences[index] = _mean(scores[order[:first]]) - _mean(scores[order[first : first + second]])
    return differences


def _find(rows: Sequence[Row], **wanted: str) -> Row:
    for row in rows:
        if all(getattr(row, name) == value for name, value in wanted.items()):
            return row
    known = {name: sorted({getattr(row, name) for row in rows}) for name in wanted}
    raise ModalensError(f"There is nothing for {wanted}; the names are {known}.")
