"""What :func:`modality_dominance` hands back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.dominance.classes import CROSS, DEAD, class_names, moments
from modalens.dominance.files import read_result, write_result
from modalens.dominance.rules import check_rule, class_codes, indices_of
from modalens.errors import ModalensError
from modalens.store.documents import null_to_nan

_KIND = "modalens.Dominance"
_SCHEMA_VERSION = 2
_SETTINGS = (
    "estimator",
    "rule",
    "normalize",
    "modalities",
    "n_pairs",
    "groups",
    "effective_groups",
    "resamples",
    "seed",
    "source",
    "version",
)
_SIDES = ("text", "cross", "image")  # names of the class columns, whatever the modalities are called


@dataclass(frozen=True, eq=False)
class LabelSwapNull:
    """Scores where the modality labels mean nothing: swapped at random within pairs.

    Attributes
    ----------
    scores
        One draw of R, (d,), NaN for dead features: the histogram to put under the real one.
    stds
        Spread of R over live features in each draw, (r,): what the real spread has to exceed.
    class_counts
        For each rule, the mean number of features in each class over the draws.
    """

    scores: Float[np.ndarray, " d"]
    stds: Float[np.ndarray, " r"]
    class_counts: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False, repr=False)
class Dominance:
    """Modality dominance score of every feature, with its class, uncertainty and baseline.

    Attributes
    ----------
    score
        R in [0, 1], (d,): near 1 the first modality (image) drives the feature, near 0 the second (text).
        NaN for dead features. Neither end is better.
    low, high
        Bootstrap 95 % interval of R, (d,); NaN without resamples. A feature that few groups show has a wide one.
    pairs
        Number of pairs in which either side is not 0, (d,).
    groups, effective_groups
        Number of groups, which are resampled whole, and their effective number, (sum m)^2 / sum m^2 over their
        sizes m: a few large groups tell as much as so many of equal size.
    estimator, rule, normalize, modalities, n_pairs, resamples, seed
        How it was made. ``modalities`` is (image side, text side).
    class_shares
        For each rule, the share of resamples that put a feature in each class, (d, 3).
    count_ranges
        For each rule, the 95 % interval of the number of features in each class, (3, 2).
    null
        The label-swap baseline; None without resamples.
    source
        What the scores were measured on; free, kept in the file.
    version
        The modalens that made it.
    """

    score: Float[np.ndarray, " d"]
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    pairs: Int[np.ndarray, " d"]
    estimator: str
    rule: str
    normalize: bool
    modalities: tuple[str, str]
    n_pairs: int
    groups: int
    effective_groups: float
    resamples: int
    seed: int
    class_shares: Mapping[str, Float[np.ndarray, "d 3"]] = field(repr=False)
    count_ranges: Mapping[str, Float[np.ndarray, "3 2"]] = field(repr=False)
    null: LabelSwapNull | None = field(repr=False)
    source: Mapping[str, Any]
    version: str

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={count}" for name, count in self.counts().items())
        how = f"{self.estimator}, {self.rule}, n_pairs={self.n_pairs}"
        return f"Dominance({len(self.score)} features: {counts}; mean={self.mean:.3f}, std={self.std:.3f}; {how})"

    @property
    def classes(self) -> tuple[str, str, str, str]:
        """The labels there are: text side, cross, image side, dead."""
        return class_names(self.modalities)

    @cached_property
    def mean(self) -> float:
        """Mean score over live features; NaN if all are dead."""
        return float(moments(self.score)[0])

    @cached_property
    def std(self) -> float:
        """Population standard deviation of the score over live features; NaN if all are dead."""
        return float(moments(self.score)[1])

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every feature, (d,) of str."""
        labels: np.ndarray = np.array(self.classes)[class_codes(self.score, self.rule)]
        return labels

    @cached_property
    def probability(self) -> Float[np.ndarray, " d"]:
        """Bootstrap probability, in [0, 1], of the class each feature has; NaN for dead features."""
        codes = class_codes(self.score, self.rule)
        own = np.take_along_axis(
            self.class_probability(), np.minimum(codes, 2)[:, None].astype(np.int64), axis=1
        )
        return np.where(codes == DEAD, np.nan, own[:, 0])

    def class_probability(self, rule: str | None = None) -> Float[np.ndarray, "d 3"]:
        """Bootstrap probability of (text, cross, image) for every feature; NaN for dead features.

        Parameters
        ----------
        rule
            The class rule; by default this result's own.
        """
        return self._of_rule(self.class_shares, rule)

    def counts(self, rule: str | None = None) -> dict[str, int]:
        """Number of features in each class, dead ones included."""
        codes = class_codes(self.score, self._rule(rule))
        return dict(zip(self.classes, np.bincount(codes, minlength=4).tolist(), strict=True))

    def count_intervals(self, rule: str | None = None) -> dict[str, tuple[float, float]]:
        """Bootstrap 95 % interval of the number of features in each class.

        The hull of the percentile and the basic interval: noise in R moves features over a bound, in the sample and
        again in each resample, so that counts are biased where pairs are few. Dead features are the same in every
        resample.
        """
        rule = self._rule(rule)
        dead = float(self.counts(rule)[self.classes[DEAD]]) if self.resamples else np.nan
        ranges = [(low, high) for low, high in self._of_rule(self.count_ranges, rule).tolist()]
        return dict(zip(self.classes, [*ranges, (dead, dead)], strict=True))

    def tails(self, rule: str | None = None) -> dict[str, int]:
        """Features that lie far out and still are called cross: under 0.1 (text) and over 0.9 (image).

        ``mu_sigma`` leaves such features where scores have two peaks; a report says so.
        """
        cross = class_codes(self.score, self._rule(rule)) == CROSS
        text, _, image, _ = self.classes
        return {text: int((cross & (self.score < 0.1)).sum()), image: int((cross & (self.score > 0.9)).sum())}

    def indices(self, label: str) -> Int[np.ndarray, " k"]:
        """Sorted indices of the features of one class.

        Raises
        ------
        ModalensError
            If there is no such class.
        """
        return indices_of(self.labels, self.classes, label)

    def with_rule(self, rule: str) -> Self:
        """The same scores under another class rule, such as ``mu_sigma``; nothing is computed again."""
        return replace(self, rule=check_rule(rule))

    def to_frame(self) -> pd.DataFrame:
        """One row per feature: score, interval, pairs, label and class probabilities."""
        frame = pd.DataFrame(
            {
                "feature": np.arange(len(self.score)),
                "score": self.score,
                "low": self.low,
                "high": self.high,
                "pairs": self.pairs,
                "label": self.labels,
                "probability": self.probability,
            }
        )
        for name, share in zip(self.classes, self.class_probability().T, strict=False):
            frame[f"p_{name}"] = share
        return frame

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a .json or .parquet file, from which :meth:`load` gives the same numbers bit for bit."""
        write_result(Path(path), _KIND, _SCHEMA_VERSION, self._header(), self._columns())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Dominance":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        header, columns = read_result(Path(path), _KIND, _SCHEMA_VERSION)
        try:
            return _assemble(header, columns)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModalensError(f"{path} is damaged ({error!r}); score the embeddings again.") from error

    def _header(self) -> dict[str, Any]:
        header = {name: getattr(self, name) for name in _SETTINGS}
        header["modalities"] = list(self.modalities)
        header["source"] = dict(self.source)
        header["count_ranges"] = {rule: ranges.tolist() for rule, ranges in self.count_ranges.items()}
        header["null"] = self.null and {
            "stds": self.null.stds.tolist(),
            "class_counts": {rule: dict(counts) for rule, counts in self.null.class_counts.items()},
        }
        return header

    def _columns(self) -> dict[str, np.ndarray]:
        columns = {name: getattr(self, name) for name in ("score", "low", "high", "pairs")}
        columns["label"] = self.labels  # for people who open the file; not read back
        for rule, shares in self.class_shares.items():
            for side, share in zip(_SIDES, shares.T, strict=True):
                columns[f"p_{rule}_{side}"] = np.ascontiguousarray(share)
        if self.null is not None:
            columns["null_score"] = self.null.scores
        return columns

    def _of_rule(self, found: Mapping[str, np.ndarray], rule: str | None) -> np.ndarray:
        """What was kept of a rule; files written before there was such a rule lack it."""
        rule = self._rule(rule)
        if rule not in found:
            raise ModalensError(f"These scores were made before there was the rule {rule!r}; score again.")
        return found[rule]

    def _rule(self, rule: str | None) -> str:
        return self.rule if rule is None else check_rule(rule)


def _assemble(header: Mapping[str, Any], columns: Mapping[str, Any]) -> Dominance:
    def numbers(name: str) -> np.ndarray:
        return np.array(columns[name], dtype=np.float64)  # null becomes NaN

    ranges = {rule: np.array(of, dtype=np.float64) for rule, of in header["count_ranges"].items()}
    shares = {rule: np.stack([numbers(f"p_{rule}_{side}") for side in _SIDES], axis=1) for rule in ranges}
    null = header["null"] and LabelSwapNull(
        scores=numbers("null_score"),
        stds=np.array(header["null"]["stds"], dtype=np.float64),
        class_counts={
            rule: {name: null_to_nan(count) for name, count in counts.items()}
            for rule, counts in header["null"]["class_counts"].items()
        },
    )
    settings = {name: header[name] for name in _SETTINGS}
    settings["modalities"] = tuple(settings["modalities"])
    return Dominance(
        score=numbers("score"),
        low=numbers("low"),
        high=numbers("high"),
        pairs=np.array(columns["pairs"], dtype=np.int64),
        class_shares=shares,
        count_ranges=ranges,
        null=null,
        **settings,
    )
