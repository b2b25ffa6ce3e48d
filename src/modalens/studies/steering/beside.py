"""What else moves when a direction is added: retrieval, and probes of other columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.statistics.buckets import resampled_means
from modalens.statistics.intervals import percentile_interval
from modalens.studies.steering.effects import RESAMPLES, Effects, Read
from modalens.studies.steering.halves import fitted_probe
from modalens.studies.steering.moved import SteeredSide

RETRIEVED, KEPT = "retrieved", "kept"
_READ_OF_OTHERS = 256  # directions at a time


@dataclass(frozen=True, eq=False)
class BySample:
    """What directions do to each sample, mean over directions.

    Attributes
    ----------
    values
        By dose and sample, (s, n), each direction's weighted by 1 / its share of samples that count for it: the mean
        over samples is the mean over directions.
    weights
        Mean weight of each sample, (n,), whose mean over samples is 1.
    """

    values: Float[np.ndarray, "s n"]
    weights: Float[np.ndarray, " n"]

    @classmethod
    def empty(cls, doses: int, samples: int) -> Self:
        """Of no direction yet."""
        return cls(np.zeros((doses, samples)), np.zeros(samples))


def retrieval_of(
    side: SteeredSide,
    directions: Float[np.ndarray, "m d"],
    targets: Int[np.ndarray, " m"],
    fires: np.ndarray | None,
    advance: Callable[[int], None],
) -> dict[str, tuple[Float[np.ndarray, "m s"], BySample]]:
    """What steering queries does to what they retrieve.

    Returns
    -------
    dict
        ``retrieved``: how much the share of the direction's label among the nearest 10 grows, over queries of other
        labels. ``kept``: how much the share of queries grows whose own partner is among the nearest 10, over queries of
        other labels on which the feature does not fire. Each by direction and dose, and by query.
    """
    gallery, lengths = side.gallery, side.lengths.tolist()
    labels, number = side.labels[gallery.queries], len(directions)
    found = {
        name: (np.zeros((number, len(lengths))), BySample.empty(len(lengths), len(labels)))
        for name in (RETRIEVED, KEPT)
    }
    before = {
        target: next(gallery.retrieved(None, [0.0], int(target))) for target in np.unique(targets).tolist()
    }
    for place, (direction, target) in enumerate(zip(directions, targets.tolist(), strict=True)):
        others = labels != target
        silent = others if fires is None else others & ~fires[gallery.queries, place]
        among = {
            name: each / each.mean() if each.any() else np.zeros(len(labels))
            for name, each in ((RETRIEVED, others), (KEPT, silent))
        }
        for name, weights in among.items():
            found[name][1].weights[:] += weights / number
        for dose, after in enumerate(gallery.retrieved(direction, lengths, target)):
            for name, one, start in zip(found, after, before[target], strict=True):
                change = (one.astype(np.float64) - start) * among[name]
                found[name][0][place, dose] = change.mean()
                found[name][1].values[dose] += change / number
        advance(1)
    return found


def others_changed(
    side: SteeredSide,
    labels: Int[np.ndarray, " n"],
    directions: Float[np.ndarray, "m d"],
    targets: np.ndarray,
) -> tuple[Float[np.ndarray, "m s"], BySample]:
    """Share of samples of other labels for which a probe of another column reads something else than before.

    By direction and dose; and by sample.
    """
    halves = side.halves
    probe = fitted_probe(halves.embeddings[side.side][halves.choosing], labels[halves.choosing])
    now, whole = side.now(probe), BySample.empty(len(side.lengths), len(side.x))
    parts = []
    for start in range(0, len(directions), _READ_OF_OTHERS):
        some = slice(start, start + _READ_OF_OTHERS)
        changed = side.read(probe, directions[some], lambda _: None) != now
        others = np.stack([side.others(target) for target in targets[some].tolist()])[:, None]
        weights = others / np.maximum(others.mean(axis=2, keepdims=True), 1e-12)
        parts.append((changed * weights).mean(axis=2))
        whole.values[:] += (changed * weights).sum(axis=0) / len(directions)
        whole.weights[:] += weights.sum(axis=(0, 1)) / len(directions)
    return np.concatenate(parts), whole


def by_dose(effects: Effects, read: Read, now: np.ndarray, targets: np.ndarray, some: np.ndarray) -> BySample:
    """What some directions do to each sample."""
    whole, number = BySample.empty(*read.shape[1:]), max(int(some.sum()), 1)
    for place in np.flatnonzero(some):
        others = effects.others[place]
        weights = others / max(float(others.mean()), 1e-12)
        moved = (read[place] == targets[place]).astype(np.float64) - (now == targets[place])
        whole.values[:] += moved * weights / number
        whole.weights[:] += weights / number
    return whole


def dose_rows(
    start: Mapping[str, object],
    doses: Sequence[float],
    samples: BySample,
    keys: Int[np.ndarray, " n"],
    seed: int,
) -> pd.DataFrame:
    """A row a dose: mean over samples with the 95 % interval of a bootstrap over their groups."""
    whole = resampled_means(samples.weights[None], keys, RESAMPLES, seed)
    draws = resampled_means(samples.values, keys, RESAMPLES, seed) / np.where(whole > 0, whole, np.nan)
    low, high = percentile_interval(draws)
    value = samples.values.mean(axis=1)
    return pd.DataFrame({**start, "dose": list(doses), "value": value, "value_low": low, "value_high": high})
