"""The pairs of the study in two halves: one chooses labels and fits what reads them, the other is steered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from modalens.arrays import Matrix, normalize_rows
from modalens.errors import ModalensError
from modalens.studies.stats.heldout import cross_validation, labelled_pairs, read_pairs
from modalens.studies.stats.labels import read_labels

SIDES = ("image", "text")
ZERO_SHOT, PROBE = "zero_shot", "probe"
READERS = {ZERO_SHOT: "zero-shot classes", PROBE: "probe"}
# In the terms of scikit-learn's LogisticRegression, as for removal.
_C = 0.01


@dataclass(frozen=True, eq=False)
class Reader:
    """What reads a label from embeddings of one side: x goes to the label of largest ``x @ weights + bias``."""

    weights: Float[np.ndarray, "d k"]
    bias: Float[np.ndarray, " k"]

    def logits(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        """How strongly each label is read."""
        found: np.ndarray = x @ self.weights + self.bias
        return found


@dataclass(frozen=True, eq=False)
class Halves:
    """Embeddings, labels and groups of the pairs, and which of them choose.

    Attributes
    ----------
    rows
        Rows of the pairs in the matrices, (n,).
    embeddings
        Of each side, (n, d).
    labels
        Number of each pair's label, (n,).
    names
        The labels by number.
    keys
        A number that pairs of one group share, (n,).
    choosing
        Which pairs choose; the others are steered, and share no group with them.
    notes
        A sentence for everything left out.
    """

    rows: Int[np.ndarray, " n"]
    embeddings: tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]
    labels: Int[np.ndarray, " n"]
    names: tuple[str, ...]
    keys: Int[np.ndarray, " n"]
    choosing: Bool[np.ndarray, " n"]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        sides: tuple[Matrix, Matrix],
        labels: Sequence[Any] | np.ndarray,
        groups: Sequence[Any] | np.ndarray | None,
        *,
        most_labels: int,
        max_pairs: int,
        seed: int,
    ) -> "Halves":
        """Read the labelled pairs and split them, groups whole and labels alike in both halves.

        Raises
        ------
        ModalensError
            If labels leave nothing to tell apart.
        """
        commonest, note = _commonest(labels, most_labels)
        pairs = labelled_pairs(commonest, int(sides[0].shape[0]), groups, seed, max_pairs)
        first, _ = cross_validation(pairs, 2, seed)[0]
        choosing = np.zeros(len(pairs), dtype=bool)
        choosing[first] = True
        kept = np.isin(pairs.labels, np.intersect1d(pairs.labels[choosing], pairs.labels[~choosing]))
        known, numbers = np.unique(pairs.labels[kept], return_inverse=True)
        if len(known) < 2:
            raise ModalensError(
                "Fewer than two labels have groups in both halves of the pairs; give labels that more groups have."
            )
        read = [read_pairs(side, pairs, name) for side, name in zip(sides, SIDES, strict=True)]
        dense = [np.asarray(x.toarray() if hasattr(x, "toarray") else x, dtype=np.float64) for x in read]
        return cls(
            pairs.rows[kept],
            (dense[0][kept], dense[1][kept]),
            numbers,
            tuple(pairs.names[number] for number in known),
            pairs.keys[kept],
            choosing[kept],
            (*note, *pairs.notes),
        )

    @property
    def steered(self) -> Bool[np.ndarray, " n"]:
        """Which pairs are steered."""
        return ~self.choosing

    def readers(self, side: int) -> dict[str, Reader]:
        """What reads the label from a side: the other side's mean embedding of each label, and a probe."""
        other = normalize_rows(self.embeddings[1 - side][self.choosing])[0]
        labels = self.labels[self.choosing]
        means = np.stack([other[labels == number].mean(axis=0) for number in range(len(self.names))])
        zero_shot = Reader(normalize_rows(means)[0].T, np.zeros(len(means)))
        return {ZERO_SHOT: zero_shot, PROBE: fitted_probe(self.embeddings[side][self.choosing], labels)}

    def association(self, codes: Sequence[Float[np.ndarray, "n f"]]) -> Float[np.ndarray, "f k"]:
        """Correlation of each activation with each label on the choosing half, both sides together, in [-1, 1].

        Means are taken off each side, so that the offset between the sides plays no part.
        """
        is_label = (self.labels[self.choosing, None] == np.arange(len(self.names))).astype(np.float64)
        is_label -= is_label.mean(axis=0)
        together, squares = 0.0, 0.0
        for side in codes:
            own = side[self.choosing] - side[self.choosing].mean(axis=0)
            together = together + own.T @ is_label
            squares = squares + (own**2).sum(axis=0)
        scale = np.sqrt(np.outer(squares, len(codes) * (is_label**2).sum(axis=0)))
        return np.asarray(np.divide(together, scale, out=np.zeros_like(scale), where=scale > 0))


def fitted_probe(x: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]) -> Reader:
    """A logistic regression on standardised embeddings, as it reads embeddings as they are."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    fitted = LogisticRegression(C=_C, max_iter=300, tol=1e-3).fit((x - mean) / scale, labels)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:  # of two labels it keeps one
        weights, bias = np.hstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2
    weights = weights / scale[:, None]
    return Reader(weights, bias - mean @ weights)


def other_labels(values: np.ndarray, most: int) -> Int[np.ndarray, " n"] | None:
    """Another column's labels as numbers, rare ones and none together; None where there is one only."""
    texts = pd.Series(read_labels(values).texts).fillna("").astype(str)
    common = texts.value_counts().index[:most]
    numbers = pd.Categorical(texts.where(texts.isin(common), "")).codes.astype(np.int64)
    return numbers if len(np.unique(numbers)) > 1 else None


def _commonest(labels: Sequence[Any] | np.ndarray, most: int) -> tuple[np.ndarray, list[str]]:
    """Labels as texts, None but for the commonest, and a sentence on the others."""
    found = read_labels(labels)
    texts = pd.Series(found.texts, dtype=object)
    common = texts.value_counts().index[:most]
    left = texts.notna() & ~texts.isin(common)
    values = texts.where(~left, None).to_numpy(dtype=object)
    more = [f"{int(left.sum()):,} pairs have rarer labels than the {most} commonest and are left out."]
    return values, [*found.notes, *(more if left.any() else [])]
