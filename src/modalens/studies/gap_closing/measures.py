"""What closing the gap is judged by: the gap itself, retrieval, and labels read across the modalities."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block, normalize_rows
from modalens.dominance import modality_gap
from modalens.dominance.gap import MEASURES as GAPS
from modalens.dominance.retrieval import RANKS
from modalens.errors import ModalensError
from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import one_more_draw
from modalens.statistics.groups import group_keys
from modalens.statistics.intervals import interval
from modalens.studies.gap_closing.recall import Recall
from modalens.studies.stats.heldout import (
    LabelledPairs,
    Split,
    cross_validation,
    labelled_pairs,
)

# By measure: its value, and a 95 % interval that is NaN where none was asked for.
Measured: TypeAlias = dict[str, tuple[float, float, float]]
RMG, ACCURACY, DIRECTED = "rmg", "accuracy", "pairs_left"
_LARGEST = {"l2m_unbiased": 2.0, "l2m": 2.0, "l2i": 2.0}
_LEAST_PAIRS, _LEAST_GROUPS = 4, 2
_PARTS = 10
_NOTHING = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class GapMeasures:
    """Pairs, and everything about them that an edit of their embeddings leaves alone.

    Attributes
    ----------
    keys
        A number that pairs share which are drawn and held out together, (n,).
    image_ids
        A label that pairs of one image share, (n,).
    grouped
        Whether keys are those of groups; else each pair has its own.
    labelled, splits
        The pairs with a label, and the folds that texts and images of one group are kept apart in; None and
        empty where no label is to be read.
    modalities
        Names of the two sides.
    seed
        Of every draw.
    """

    keys: Int[np.ndarray, " n"]
    image_ids: np.ndarray
    grouped: bool
    labelled: LabelledPairs | None
    splits: Sequence[Split]
    modalities: tuple[str, str]
    seed: int

    @classmethod
    def of(
        cls,
        n: int,
        *,
        labels: np.ndarray | None,
        groups: np.ndarray | None,
        image_ids: np.ndarray,
        modalities: tuple[str, str],
        folds: int,
        seed: int,
    ) -> tuple[Self, list[str]]:
        """Set up for ``n`` pairs; and what is left out, and why. Labels that cannot be read are no error."""
        keys = np.arange(n) if groups is None else group_keys(groups, n)
        labelled, splits, notes = None, [], ["No labels were given, so zero-shot accuracy is left out."]
        if labels is not None:
            try:
                labelled = labelled_pairs(labels, n, groups, seed)
                splits, notes = cross_validation(labelled, folds, seed), list(labelled.notes)
            except ModalensError as error:
                labelled, notes = None, [f"Zero-shot accuracy is left out: {error}"]
        return cls(keys, image_ids, groups is not None, labelled, splits, modalities, seed), notes

    @property
    def names(self) -> tuple[str, ...]:
        """The measures, in the order of tables."""
        recalls = (self.recall(side, rank) for side in (0, 1) for rank in RANKS)
        return (*GAPS, *recalls, *([ACCURACY] if self.labelled else []), DIRECTED)

    @property
    def tested(self) -> tuple[str, ...]:
        """The measures in which sets are tested against random ones."""
        return (GAPS[0], RMG, self.recall(0, 10), self.recall(1, 10), *([ACCURACY] if self.labelled else []))

    @property
    def majority(self) -> float | None:
        """Share of the commonest label; None without labels."""
        return float(np.bincount(self.labelled.labels).max() / len(self.labelled)) if self.labelled else None

    @cached_property
    def _recall(self) -> Recall:
        # Images are told by label: an edit can make the embeddings of two alike.
        return Recall.of(self.image_ids, self.keys if self.grouped else None)

    def recall(self, side: int, rank: int) -> str:
        """Name of the measure "recall at ``rank``" that starts from a side, 0 for the first."""
        return recall_name(self.modalities, side, rank)

    def measure(self, image: Block, text: Block, resamples: int = 0) -> Measured:
        """Judge paired embeddings or codes.

        Parameters
        ----------
        image, text
            (n, d), dense or CSR. Rows of zeros have no direction: their pairs are left out of the gap, and
            count as missed in retrieval and accuracy.
        resamples
            Bootstrap resamples over groups behind the intervals of accuracy; where there are any, the gap has its
            own intervals (see :class:`modalens.dominance.gap.ModalityGap`). Those of recall are Wilson's, by group.

        Returns
        -------
        dict
            See :attr:`names`. The gap is NaN where fewer than 4 pairs or 2 groups are left. ``accuracy``: the
            label of an image is read off the nearest class mean of texts of other groups, by cosine, so the
            texts are the prompts; a tie counts as wrong. ``pairs_left`` is the share of pairs in which both
            sides have a direction.
        """
        (image, of_image), (text, of_text) = normalize_rows(image), normalize_rows(text)
        directed = (of_image > 0) & (of_text > 0)
        measured = self._gap(image, text, directed, resamples)
        for side, recalls in enumerate(self._recall.measure(image, text)):
            measured |= {self.recall(side, rank): recalls[rank] for rank in RANKS}
        if self.labelled is not None:
            right = self.read_labels(image, text)
            draws = resampled_means(right[None], self.labelled.keys, resamples, self.seed)[0]
            measured[ACCURACY] = (float(right.mean()), *interval(draws))
        return {**measured, DIRECTED: (float(directed.mean()), np.nan, np.nan)}

    def read_labels(self, image: Block, text: Block) -> Bool[np.ndarray, " l"]:
        """Whether the nearest class mean of texts gives each labelled image its label; of unit rows."""
        if self.labelled is None:
            raise ModalensError("No pair has a label; give labels to read.")
        rows, labels = self.labelled.rows, self.labelled.labels
        images, texts = image[rows], text[rows]
        right = np.zeros(len(rows), dtype=bool)
        for train, test in self.splits:
            members = sp.csr_array(
                (np.ones(len(train)), (labels[train], np.arange(len(train)))),
                shape=(len(self.labelled.names), len(train)),
            )
            means = members @ texts[train]
            means = normalize_rows(means.toarray() if sp.issparse(means) else means)[0]
            scores = np.asarray(images[test] @ means.T)
            scores[:, np.bincount(labels[train], minlength=len(means)) == 0] = -np.inf
            own = np.take_along_axis(scores, labels[test, None], axis=1)[:, 0]
            np.put_along_axis(scores, labels[test, None], -np.inf, axis=1)
            right[test] = own > scores.max(axis=1)
        return right

    def _gap(self, image: Block, text: Block, directed: Bool[np.ndarray, " n"], resamples: int) -> Measured:
        keys = self.keys[directed]
        if len(keys) < _LEAST_PAIRS or len(np.unique(keys)) < _LEAST_GROUPS:
            return dict.fromkeys(GAPS, _NOTHING)
        if not directed.all():
            image, text = image[directed], text[directed]
        found = modality_gap(image, text, resamples=resamples, seed=self.seed, groups=keys)
        return {name: (getattr(found, name), *found.intervals[name]) for name in GAPS}


def recall_name(modalities: Sequence[str], side: int, rank: int) -> str:
    """Column of recall at a rank, from one side (0 is the first) to the other."""
    return f"recall_{rank}_{modalities[side]}_to_{modalities[1 - side]}"


def over_draws(measured: Sequence[Measured]) -> Measured:
    """Mean of every measure over random draws, with the interval in which one more would fall."""
    summary = {}
    for name in measured[0]:
        values = np.array([each[name][0] for each in measured])
        values = values[~np.isnan(values)]
        low, high = one_more_draw(values) if len(values) > 1 else (np.nan, np.nan)
        mean = float(values.mean()) if len(values) else np.nan
        summary[name] = (mean, max(low, 0.0), min(high, _LARGEST.get(name, 1.0)))
    return summary


def cells(measured: Measured) -> dict[str, float]:
    """Table cells of measures and their intervals."""
    return {
        f"{name}{end}": number
        for name, numbers in measured.items()
        for end, number in zip(("", "_low", "_high"), numbers, strict=True)
    }


def without_means(
    image: Block, text: Block, keys: Int[np.ndarray, " n"], seed: int, *, common: bool
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]:
    """Unit embeddings without the difference of the two modality means, or without the means themselves.

    The means that move a pair are those of the nine tenths of the groups that it is not in, so that nothing is
    moved by itself. Rows without direction stay so.

    Parameters
    ----------
    image, text
        Paired embeddings (n, d), dense or CSR.
    keys
        A number that pairs of one group share, (n,).
    seed
        Of the tenths.
    common
        Whether what the two means have in common goes too. Without it both sides meet half-way, and nothing but
        the offset between the modalities is taken away (the embedding shift of Liang et al. 2022).
    """
    sides = [normalize_rows(side)[0] for side in (image, text)]
    units = [side.toarray() if sp.issparse(side) else side for side in sides]
    directed = [_directed(side) for side in units]
    distinct, group = np.unique(keys, return_inverse=True)
    generator = np.random.default_rng(np.random.SeedSequence([seed, len(distinct)]))
    part = (generator.permutation(len(distinct)) % _PARTS)[group]
    moved = [unit.copy() for unit in units]
    for each in range(_PARTS):
        others = (part != each) & directed[0] & directed[1]
        if not others.any():
            continue
        means = [unit[others].mean(axis=0) for unit in units]
        stays = 0 if common else (means[0] + means[1]) / 2
        for side in (0, 1):
            moved[side][(part == each) & directed[side]] += stays - means[side]
    return moved[0], moved[1]


def _directed(x: Block) -> Bool[np.ndarray, " n"]:
    """Whether each row has a direction: is not all zeros."""
    if sp.issparse(x):
        directed: np.ndarray = abs(x).max(axis=1).toarray().ravel() > 0
        return directed
    dense: np.ndarray = np.any(x != 0, axis=1)
    return dense
