"""What :func:`modality_dominance` hands back for more than two modalities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from modalens.dominance.files import read_result, write_result
from modalens.dominance.rules import check_rule, class_masks, indices_of, rules_of_several
from modalens.errors import InputError, ModalensError
from modalens.store.documents import null_to_nan

MOST_MODALITIES = 8
SHARED, DEAD = "shared", "dead"
_KIND = "modalens.SimplexDominance"
_SCHEMA_VERSION = 1
_SETTINGS = (
    "estimator",
    "rule",
    "normalize",
    "n_samples",
    "groups",
    "effective_groups",
    "resamples",
    "seed",
    "source",
    "version",
)


def simplex_classes(modalities: Sequence[str]) -> dict[int, str]:
    """Labels by class mask: single modalities, subsets by size, shared by all, dead.

    Raises
    ------
    InputError
        If the modalities are not 2 to 8 different names from which different labels follow.
    """
    names = tuple(modalities)
    if not 2 <= len(names) <= MOST_MODALITIES or not all(isinstance(each, str) and each for each in names):
        raise InputError(
            f"modalities must be 2 to {MOST_MODALITIES} names, such as ('image', 'text', 'sound'), not {modalities!r}."
        )
    m = len(names)
    labels = {
        sum(1 << each for each in chosen): "+".join(names[each] for each in chosen)
        for size in range(1, m)
        for chosen in combinations(range(m), size)
    }
    labels |= {2**m - 1: SHARED, 0: DEAD}
    if len(set(labels.values())) < len(labels):
        raise InputError(
            f"The modalities {', '.join(names)} give two classes one name; give each its own, other than "
            f"{SHARED!r} and {DEAD!r} and without '+'."
        )
    return labels


@dataclass(frozen=True, eq=False)
class LabelTurnNull:
    """Shares where the modality labels mean nothing: turned at random within samples.

    Attributes
    ----------
    shares
        One draw of the shares, (d, m), NaN for dead features.
    spreads
        Spread of the shares over live features in each draw, (r,); see :attr:`SimplexDominance.spread`.
    class_counts
        For each rule, the mean number of features in each class over the draws.
    """

    shares: Float[np.ndarray, "d m"]
    spreads: Float[np.ndarray, " r"]
    class_counts: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False, repr=False)
class SimplexDominance:
    """Share of each of several modalities in every feature: a point on a simplex, with its class and uncertainty.

    Attributes
    ----------
    shares
        Share of each modality, (d, m), rows of live features sum to 1; NaN for dead features.
    low, high
        Bootstrap 95 % interval of each share, (d, m); NaN without resamples.
    samples
        Number of samples in which any side is not 0, (d,).
    groups, effective_groups
        As for :class:`modalens.dominance.Dominance`.
    estimator, rule, normalize, modalities, n_samples, resamples, seed
        How it was made.
    certainties
        For each rule, the share of resamples that give a feature its class, (d,); NaN for dead features.
    count_ranges
        For each rule, the 95 % interval of the number of features in each class, by label.
    null
        The baseline of turned labels; None without resamples.
    source
        What the shares were measured on; free, kept in the file.
    version
        The modalens that made it.
    """

    shares: Float[np.ndarray, "d m"]
    low: Float[np.ndarray, "d m"]
    high: Float[np.ndarray, "d m"]
    samples: Int[np.ndarray, " d"]
    estimator: str
    rule: str
    normalize: bool
    modalities: tuple[str, ...]
    n_samples: int
    groups: int
    effective_groups: float
    resamples: int
    seed: int
    certainties: Mapping[str, Float[np.ndarray, " d"]] = field(repr=False)
    count_ranges: Mapping[str, Mapping[str, tuple[float, float]]] = field(repr=False)
    null: LabelTurnNull | None = field(repr=False)
    source: Mapping[str, Any]
    version: str

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={count}" for name, count in self.counts().items() if count)
        how = f"{self.estimator}, {self.rule}, n_samples={self.n_samples}"
        return f"SimplexDominance({len(self.shares)} features: {counts}; {how})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels there are: each modality, each subset (as ``image+text``), shared, dead."""
        return tuple(simplex_classes(self.modalities).values())

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every feature, (d,) of str: the modalities that carry it under the rule."""
        return self._labels(self.rule)

    @cached_property
    def carriers(self) -> Bool[np.ndarray, "d m"]:
        """Which modalities carry each feature, (d, m); none carries a dead one."""
        masks = class_masks(self.shares.T, self.rule)
        found: np.ndarray = (masks[:, None] >> np.arange(len(self.modalities))) & 1 > 0
        return found

    @cached_property
    def probability(self) -> Float[np.ndarray, " d"]:
        """Bootstrap probability, in [0, 1], of the class each feature has; NaN for dead features."""
        return self.certainties[self.rule]

    @cached_property
    def spread(self) -> float:
        """Root mean squared distance of live features from their mean point; NaN if all are dead."""
        return float(spread_of(self.shares.T[..., None])[0])

    def counts(self, rule: str | None = None) -> dict[str, int]:
        """Number of features in each class, dead ones included."""
        labels = self._labels(self._rule(rule))
        return {name: int((labels == name).sum()) for name in self.classes}

    def count_intervals(self, rule: str | None = None) -> dict[str, tuple[float, float]]:
        """Bootstrap 95 % interval of the number of features in each class; see :meth:`Dominance.count_intervals`."""
        return dict(self.count_ranges[self._rule(rule)])

    def indices(self, label: str) -> Int[np.ndarray, " k"]:
        """Sorted indices of the features of one class.

        Raises
        ------
        ModalensError
            If there is no such class.
        """
        return indices_of(self.labels, self.classes, label)

    def with_rule(self, rule: str) -> Self:
        """The same shares under another class rule; nothing is computed again."""
        return replace(self, rule=check_rule(rule))

    def to_frame(self) -> pd.DataFrame:
        """One row per feature: each modality's share and interval, samples, label and its probability."""
        columns: dict[str, np.ndarray] = {"feature": np.arange(len(self.shares))}
        for each, name in enumerate(self.modalities):
            for what, of in (("share", self.shares), ("low", self.low), ("high", self.high)):
                columns[f"{what}_{name}"] = of[:, each]
        return pd.DataFrame(
            columns | {"samples": self.samples, "label": self.labels, "probability": self.probability}
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a .json or .parquet file, from which :meth:`load` gives the same numbers bit for bit."""
        header = {name: getattr(self, name) for name in _SETTINGS}
        header |= {"modalities": list(self.modalities), "source": dict(self.source)}
        header["count_ranges"] = {
            rule: {name: list(ends) for name, ends in ranges.items()}
            for rule, ranges in self.count_ranges.items()
        }
        header["null"] = self.null and {
            "spreads": self.null.spreads.tolist(),
            "class_counts": {rule: dict(counts) for rule, counts in self.null.class_counts.items()},
        }
        columns = {"samples": self.samples, "label": self.labels}  # labels are for people, and not read back
        for name, values in self._matrices().items():
            columns |= {f"{name}_{each}": np.ascontiguousarray(of) for each, of in enumerate(values.T)}
        columns |= {f"p_{rule}": certainty for rule, certainty in self.certainties.items()}
        write_result(Path(path), _KIND, _SCHEMA_VERSION, header, columns)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "SimplexDominance":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        header, columns = read_result(Path(path), _KIND, _SCHEMA_VERSION)
        try:
            return _assemble(header, columns)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModalensError(f"{path} is damaged ({error!r}); score the embeddings again.") from error

    def _matrices(self) -> dict[str, np.ndarray]:
        found = {"share": self.shares, "low": self.low, "high": self.high}
        return found if self.null is None else {**found, "null_share": self.null.shares}

    def _labels(self, rule: str) -> np.ndarray:
        names = simplex_classes(self.modalities)
        by_mask = np.array([names[mask] for mask in range(len(names))])
        labels: np.ndarray = by_mask[class_masks(self.shares.T, rule)]
        return labels

    def _rule(self, rule: str | None) -> str:
        return self.rule if rule is None else check_rule(rule)


def spread_of(shares: Float[np.ndarray, "m d r"]) -> Float[np.ndarray, " r"]:
    """Root mean squared distance of live features from their mean point, of each set of shares."""
    live = shares[:, ~np.isnan(shares[0]).any(axis=-1)]
    if not live.shape[1]:
        return np.full(shares.shape[2], np.nan)
    spread: np.ndarray = np.sqrt(live.var(axis=1).sum(axis=0))
    return spread


def _assemble(header: Mapping[str, Any], columns: Mapping[str, Any]) -> SimplexDominance:
    modalities = tuple(header["modalities"])
    labels = simplex_classes(modalities).values()

    def matrix(name: str) -> np.ndarray:
        # null becomes NaN
        return np.stack(
            [np.array(columns[f"{name}_{each}"], dtype=np.float64) for each in range(len(modalities))], axis=1
        )

    null = header["null"] and LabelTurnNull(
        shares=matrix("null_share"),
        spreads=np.array(header["null"]["spreads"], dtype=np.float64),
        class_counts={
            rule: {name: null_to_nan(counts[name]) for name in labels}
            for rule, counts in header["null"]["class_counts"].items()
        },
    )
    return SimplexDominance(
        shares=matrix("share"),
        low=matrix("low"),
        high=matrix("high"),
        samples=np.array(columns["samples"], dtype=np.int64),
        modalities=modalities,
        certainties={rule: np.array(columns[f"p_{rule}"], dtype=np.float64) for rule in rules_of_several()},
        count_ranges={
            rule: {name: (null_to_nan(ranges[name][0]), null_to_nan(ranges[name][1])) for name in labels}
            for rule, ranges in header["count_ranges"].items()
        },
        null=null,
        **{name: header[name] for name in _SETTINGS},
    )
