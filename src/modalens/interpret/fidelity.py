"""Whether the features of a modality mean more in that modality: averages per class, and fidelity."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float

from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.interpret.scores import METRICS, Monosemanticity
from modalens.statistics.checks import check_whole
from modalens.statistics.intervals import percentile_interval

# Numbers drawn at a time, which bounds memory.
_BLOCK = 2**21


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
        Average with its bootstrap 95 % interval over features; NaN where no feature has a score.
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
        Fidelity with its bootstrap 95 % interval over features; NaN where a class has no score.
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
    resamples, seed
        How it was made.
    """

    averages: tuple[ClassAverage, ...]
    fidelities: tuple[ModalityFidelity, ...]
    resamples: int
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


def measure_fidelity(
    mono_image: Monosemanticity,
    mono_text: Monosemanticity,
    mds: Dominance,
    *,
    resamples: int = 1000,
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
    resamples
        Bootstrap resamples over the features of each class, and as many permutations of the labels.
    seed
        Seed of both.

    Returns
    -------
    Fidelity
        Averages and fidelities with intervals. A class without a scored feature has NaN.

    Raises
    ------
    ModalensError
        If the three do not have the same features, or a setting is out of range.
    """
    resamples, seed = check_whole("resamples", resamples, 1), check_whole("seed", seed, 0)
    sizes = {"image scores": mono_image.mono, "text scores": mono_text.mono, "classes": mds.score}
    if len({len(each) for each in sizes.values()}) > 1:
        counts = ", ".join(f"{len(each)} {name}" for name, each in sizes.items())
        raise ModalensError(f"Fidelity needs the same features throughout, but there are {counts}.")
    text, cross, image, dead = mds.classes
    # One column for each (metric, modality), so that a resample of features serves all of them.
    columns = [(metric, side) for metric in METRICS for side in (image, text)]
    of_side = {image: mono_image, text: mono_text}
    scores = np.stack([getattr(of_side[side], metric) for metric, side in columns], axis=1)
    live = mds.labels != dead
    members = {label: mds.labels == label for label in (image, cross, text)} | {"all": live}
    resampled = {
        label: _resampled_means(scores[inside], resamples, np.random.default_rng([seed, stream]))
        for stream, (label, inside) in enumerate(members.items())
    }
    averages = tuple(
        _average(
            metric,
            side,
            label,
            getattr(of_side[side], metric)[inside],
            of_side[side].chance[metric][inside],
            resampled[label][:, c],
        )
        for c, (metric, side) in enumerate(columns)
        for label, inside in members.items()
    )
    sign = np.array([1.0 if side == image else -1.0 for _, side in columns])
    value = sign * (_mean(scores[members[image]]) - _mean(scores[members[text]]))
    spread = sign * (resampled[image] - resampled[text])
    null = sign * _permuted_differences(
        scores[live],
        int(members[image].sum()),
        int(members[text].sum()),
        resamples,
        np.random.default_rng([seed, len(members)]),
    )
    fidelities = tuple(
        _fidelity(*columns[c], float(value[c]), spread[:, c], null[:, c]) for c in range(len(columns))
    )
    return Fidelity(averages=averages, fidelities=fidelities, resamples=resamples, seed=seed)


def _average(
    metric: str,
    side: str,
    label: str,
    scores: Float[np.ndarray, " c"],
    chance: Float[np.ndarray, " c"],
    resampled: Float[np.ndarray, " r"],
) -> ClassAverage:
    known = scores[~np.isnan(scores)]
    low, high = percentile_interval(resampled)
    return ClassAverage(
        metric=metric,
        modality=side,
        label=label,
        features=len(known),
        mean=float(known.mean()) if len(known) else np.nan,
        low=float(low),
        high=float(high),
        median=float(np.median(known)) if len(known) else np.nan,
        chance=float(_mean(chance[:, None])[0]),
    )


def _fidelity(
    metric: str, side: str, value: float, resampled: Float[np.ndarray, " r"], null: Float[np.ndarray, " r"]
) -> ModalityFidelity:
    low, high = percentile_interval(resampled)
    null_low, null_high = percentile_interval(null)
    known = null[~np.isnan(null)]
    far = int((np.abs(known) >= abs(value)).sum())
    return ModalityFidelity(
        metric=metric,
        modality=side,
        value=value,
        low=float(low),
        high=float(high),
        null_mean=float(known.mean()) if len(known) else np.nan,
        null_low=float(null_low),
        null_high=float(null_high),
        p=np.nan if np.isnan(value) else (1 + far) / (1 + len(known)),
    )


def _mean(scores: Float[np.ndarray, "f c"]) -> Float[np.ndarray, " c"]:
    """Mean of each column over the features that have a score; NaN without any."""
    known = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(known, scores, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean


def _resampled_means(
    scores: Float[np.ndarray, "f c"], resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "r c"]:
    """Mean of each column in each bootstrap resample of the features."""
    size = len(scores)
    if size == 0:
        return np.full((resamples, scores.shape[1]), np.nan)
    known = ~np.isnan(scores)
    filled = np.where(known, scores, 0.0)
    means = []
    for count in _portions(resamples, size):
        picks = generator.integers(0, size, size=(count, size)) + size * np.arange(count)[:, None]
        times = np.bincount(picks.ravel(), minlength=count * size).reshape(count, size).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((times @ filled) / (times @ known))
    return np.concatenate(means)


def _permuted_differences(
    scores: Float[np.ndarray, "f c"], first: int, second: int, resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "r c"]:
    """Mean over ``first`` features minus over ``second`` others, both picked at random, many times."""
    differences = np.empty((resamples, scores.shape[1]))
    for index in range(resamples):
        order = generator.permutation(len(scores))
        differences[index] = _mean(scores[order[:first]]) - _mean(scores[order[first : first + second]])
    return differences


def _portions(total: int, size: int) -> Iterator[int]:
    """Cut ``total`` draws of ``size`` numbers into portions that fit in a block."""
    step = max(1, _BLOCK // size)
    for start in range(0, total, step):
        yield min(step, total - start)


def _find(rows: Sequence[Row], **wanted: str) -> Row:
    for row in rows:
        if all(getattr(row, name) == value for name, value in wanted.items()):
            return row
    known = {name: sorted({getattr(row, name) for row in rows}) for name in wanted}
    raise ModalensError(f"There is nothing for {wanted}; the names are {known}.")
