"""Tables of the bench: one row an attribute, and means over attributes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import against_random, corrected
from modalens.statistics.intervals import hull_interval, interval
from modalens.studies.sparse_probing.absorbing import Absorption
from modalens.studies.sparse_probing.aligning import Alignment
from modalens.studies.sparse_probing.answers import Answers
from modalens.studies.sparse_probing.attributes import Attributes
from modalens.studies.sparse_probing.balanced import (
    RESAMPLES,
    accuracy_interval,
    balanced_accuracy,
    mean_accuracy,
    mean_share,
)
from modalens.studies.sparse_probing.removing import Removal

PROBE, OTHER_SIDE, EMBEDDING, FEATURES = (
    "sparse probe",
    "sparse probe, picked by the other modality",
    "dense probe of the embedding",
    "dense probe of all features",
)
SPLIT, SILENT, ABSORBED = "features that share an attribute", "main features silent", "absorbed"
DROP, SPECIFIC, SHARED = "drop", "drop beyond other attributes'", "picked by both modalities"


def probing_table(
    modality: str, answers: Answers, attributes: Attributes, numbers: Sequence[int]
) -> pd.DataFrame:
    """One row an attribute and k: held-out balanced accuracy of the probe of k features beside its controls.

    Returns
    -------
    DataFrame
        ``accuracy`` with its interval; ``random``, the mean with k random live features; ``shuffled``, the mean for
        shuffled labels; ``other_side``, with the k features that the other modality picks; ``embedding`` and
        ``all_features``, of dense probes; ``difference`` to random features, see
        :class:`modalens.statistics.controls.AgainstRandom`.
    """
    rows, weights, keys = [], attributes.weights, attributes.pairs.keys
    random = balanced_accuracy(answers.random, attributes.positive).mean(axis=1)
    shuffled = balanced_accuracy(answers.shuffled, answers.shuffled_labels).mean(axis=1)
    for place, number in enumerate(numbers):
        for attribute, there in enumerate(attributes.positive):
            right = answers.sparse[place, attribute]
            own = accuracy_interval(right, there, keys)
            controls = answers.random[place, :, attribute] * weights[attribute]
            test = asdict(against_random(right * weights[attribute], controls, keys))
            rows.append(
                {
                    **_named(modality, attributes, attribute),
                    "k": number,
                    "accuracy": own.value,
                    "accuracy_low": own.low,
                    "accuracy_high": own.high,
                    "random": random[place, attribute],
                    "shuffled": shuffled[place, attribute],
                    "other_side": _balanced(answers.other_side[place, attribute], there),
                    "embedding": _balanced(answers.embedding[attribute], there),
                    "all_features": _balanced(answers.features[attribute], there),
                    **_as_difference(test),
                }
            )
    return pd.DataFrame(rows)


def absorption_table(
    modality: str,
    found: Absorption,
    splits: Int[np.ndarray, " A"],
    first: Int[np.ndarray, " A"],
    classes: np.ndarray,
    attributes: Attributes,
) -> pd.DataFrame:
    """One row an attribute: the feature picked first and its class, how many share it, how often one stands in.

    Returns
    -------
    DataFrame
        ``features`` that share the attribute; of the ``pairs`` with it that the dense probe gets right the share on
        which its main features are ``silent``, and on which another has ``absorbed`` it; ``chance``, the latter with
        features' contributions exchanged; ``difference`` to chance, see
        :class:`modalens.statistics.controls.AgainstRandom`.
    """
    rows, keys = [], attributes.pairs.keys
    for attribute in range(len(attributes)):
        among = found.right[attribute]
        row = {
            **_named(modality, attributes, attribute),
            "feature": int(first[attribute]),
            "class": str(classes[first[attribute]]),
            "features": int(splits[attribute]),
            "pairs": int(among.sum()),
        }
        shares = [each[attribute] for each in (found.silent, found.absorbed)]
        for name, each in zip(("silent", "absorbed"), shares, strict=True):
            own = mean_share(each[None], among[None], keys, 0)
            row |= {name: own.value, f"{name}_low": own.low, f"{name}_high": own.high}
        draws = found.chance[:, attribute][:, among].astype(np.float64)
        row["chance"] = float(draws.mean()) if among.any() else np.nan
        if among.any():
            test = asdict(against_random(found.absorbed[attribute, among].astype(float), draws, keys[among]))
            row |= _as_difference(test)
        rows.append(row)
    return pd.DataFrame(rows)


def perturbation_table(
    modality: str, found: Removal, attributes: Attributes, numbers: Sequence[int], seed: int
) -> pd.DataFrame:
    """One row an attribute and k: what its probe loses without its k features, and the probes of other attributes.

    Returns
    -------
    DataFrame
        ``removed`` features and their share of ``energy``; ``drop`` of the attribute's balanced accuracy, ``others``,
        the mean drop of other attributes', and ``specific``, the first less the second, with its interval; ``random``,
        the same of random features of equal energy; ``difference`` to them.
    """
    rows, keys = [], attributes.pairs.keys
    for place, number in enumerate(numbers):
        for attribute in range(len(attributes)):
            own, others = found.own[place, attribute], found.others[place, attribute]
            lone = np.isnan(others).any()
            outcome = own if lone else own - others
            low, high = interval(resampled_means(outcome[None], keys, RESAMPLES, seed)[0])
            random = found.random[place, attribute].astype(np.float64)
            rows.append(
                {
                    **_named(modality, attributes, attribute),
                    "k": number,
                    "removed": found.removed[place, attribute],
                    "energy": found.energy[place, attribute],
                    "drop": float(own.mean(dtype=np.float64)),
                    "others": np.nan if lone else float(others.mean(dtype=np.float64)),
                    "specific": float(outcome.mean(dtype=np.float64)),
                    "specific_low": low,
                    "specific_high": high,
                    "random": float(random.mean()),
                    **_as_difference(asdict(against_random(outcome.astype(np.float64), random, keys))),
                }
            )
    return pd.DataFrame(rows)


def alignment_table(found: Alignment, attributes: Attributes, numbers: Sequence[int]) -> pd.DataFrame:
    """One row an attribute and k: share of the k features that both modalities pick.

    Returns
    -------
    DataFrame
        ``shared``; ``chance``, a mean over labels dealt out anew, with its one-sided ``p``; ``exchanged``, the share
        with another attribute of the column on the other side.
    """
    rows = []
    for place, number in enumerate(numbers):
        for attribute in range(len(attributes)):
            shared, chance = found.shared[place, attribute], found.shuffled[:, place, attribute]
            rows.append(
                {
                    "column": attributes.columns[attribute],
                    "attribute": attributes.names[attribute],
                    "k": number,
                    "shared": shared,
                    "chance": float(chance.mean()),
                    "exchanged": found.exchanged[place, attribute],
                    "p": (1 + int((chance >= shared - 1e-12).sum())) / (1 + len(chance)),
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(q=corrected(table["p"].to_numpy()))


def probing_means(
    modality: str, answers: Answers, attributes: Attributes, numbers: Sequence[int], seed: int
) -> Iterator[dict[str, Any]]:
    """Means over attributes of what probes get right, with intervals over groups of pairs."""
    labels, keys = attributes.positive, attributes.pairs.keys
    random = balanced_accuracy(answers.random, labels)
    shuffled = balanced_accuracy(answers.shuffled, answers.shuffled_labels)
    for place, number in enumerate(numbers):
        controls = {
            "random": float(random[place].mean()),
            "chance": float(shuffled[place].mean()),
        }
        for name, right in ((PROBE, answers.sparse), (OTHER_SIDE, answers.other_side)):
            found = mean_accuracy(right[place], labels, keys, seed)
            yield _mean(name, modality, number, *found, **controls)
    for name, right in ((EMBEDDING, answers.embedding), (FEATURES, answers.features)):
        yield _mean(name, modality, 0, *mean_accuracy(right, labels, keys, seed), chance=0.5)


def absorption_means(
    modality: str,
    found: Absorption,
    splits: Int[np.ndarray, " A"],
    by_chance: float,
    attributes: Attributes,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Means over attributes of splitting and absorption."""
    keys = attributes.pairs.keys
    yield _mean(SPLIT, modality, 0, float(splits.mean()), np.nan, np.nan, chance=by_chance)
    yield _mean(SILENT, modality, 0, *mean_share(found.silent, found.right, keys, seed))
    chance = [mean_share(each, found.right, np.arange(len(keys)), seed).value for each in found.chance]
    own = mean_share(found.absorbed, found.right, keys, seed)
    yield _mean(ABSORBED, modality, 0, *own, chance=float(np.mean(chance)))


def perturbation_means(
    modality: str, found: Removal, attributes: Attributes, numbers: Sequence[int], seed: int
) -> Iterator[dict[str, Any]]:
    """Means over attributes of drops, and of drops beyond those of other attributes where there are any."""
    keys = attributes.pairs.keys
    beside = ~np.isnan(found.others).any(axis=(0, 2))
    for place, number in enumerate(numbers):
        kinds = [(DROP, found.own[place], np.nan)]
        if beside.any():
            specific = (found.own - found.others)[place, beside]
            kinds.append((SPECIFIC, specific, float(found.random[place, beside].mean(dtype=np.float64))))
        for name, values, random in kinds:
            outcome = values.mean(axis=0, dtype=np.float64)
            ends = interval(resampled_means(outcome[None], keys, RESAMPLES, seed)[0])
            yield _mean(name, modality, number, float(outcome.mean()), *ends, random=random)


def alignment_means(found: Alignment, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Means over attributes of the share of features that both modalities pick.

    Noise exchanges the picked features in the sample and again in each resample, so the interval is the hull of the
    percentile and the basic one.
    """
    for place, number in enumerate(numbers):
        value = float(found.shared[place].mean())
        low, high = hull_interval(np.array(value), found.resampled[:, place].mean(axis=1))
        chance = float(found.shuffled[:, place].mean())
        yield _mean(SHARED, "both", number, value, max(0.0, float(low)), min(1.0, float(high)), chance=chance)


def _mean(
    measure: str,
    modality: str,
    k: int,
    value: float,
    low: float,
    high: float,
    *,
    random: float = np.nan,
    chance: float = np.nan,
) -> dict[str, Any]:
    return {
        "measure": measure,
        "modality": modality,
        "k": k,
        "value": value,
        "value_low": low,
        "value_high": high,
        "random": random,
        "chance": chance,
    }


def _named(modality: str, attributes: Attributes, place: int) -> dict[str, Any]:
    return {
        "modality": modality,
        "column": attributes.columns[place],
        "attribute": attributes.names[place],
        "having": int(attributes.positive[place].sum()),
    }


def _as_difference(test: dict[str, float]) -> dict[str, float]:
    return {
        "difference": test["difference"],
        "difference_low": test["low"],
        "difference_high": test["high"],
        "p": test["p"],
        "detectable": test["detectable"],
    }


def _balanced(right: np.ndarray, labels: np.ndarray) -> float:
    return float(balanced_accuracy(right[None], labels[None])[0])
