"""Do the classes carry what they are named for? Remove one and see what a classifier loses, beside controls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.arrays import Block, Matrix, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import IndexSet, class_sets, f_score_set, live_features, random_sets, variance_set
from modalens.errors import ModalensError
from modalens.progress import progress_bar
from modalens.studies.class_removal.config import RemovalConfig
from modalens.studies.result import StudyResult
from modalens.studies.stats.controls import against_random, one_more_draw
from modalens.studies.stats.heldout import (
    CLASSIFIER,
    FoldClassifier,
    LabelledPairs,
    Split,
    accuracy_draws,
    beyond_chance,
    cross_validation,
    interval,
    labelled_pairs,
    read_pairs,
)

_RESAMPLES = 500


@dataclass(frozen=True)
class PublishedRemoval:
    """Accuracies with and without one class, and without as many random features (Beyond Cross-Modal Alignment).

    OpenCLIP ViT-H/14 on COCO, whose classes have ``removed`` of 1024 features.
    """

    modality: str
    without: str
    removed: int
    whole: float
    accuracy: float
    random: float


PUBLISHED = (
    PublishedRemoval("image", "image", 426, 0.776, 0.750, 0.757),
    PublishedRemoval("image", "cross", 44, 0.776, 0.769, 0.773),
    PublishedRemoval("image", "text", 554, 0.776, 0.760, 0.756),
    PublishedRemoval("text", "image", 426, 0.713, 0.702, 0.694),
    PublishedRemoval("text", "cross", 44, 0.713, 0.712, 0.710),
    PublishedRemoval("text", "text", 554, 0.713, 0.683, 0.693),
)


def removal(
    image: Matrix,
    text: Matrix,
    labels: Sequence[Any] | np.ndarray,
    mds: Dominance,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    source: Mapping[str, Any] | None = None,
    config: RemovalConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Classify images and texts without the features of one class, beside controls of equal size.

    For each modality a logistic regression reads the labels from all features, from all but one class, and from
    all but as many others: random live ones (several draws), those of largest variance, and those of largest
    F-score, the last two chosen on the training samples. Every accuracy is over the test samples of the same
    stratified cross-validation, so each pair is tested once by a classifier that saw neither it nor its group.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    labels
        One label a pair; None, NaN and empty strings mark pairs without one, which are left out.
    mds
        Dominance scores of these features; the option ``rule`` makes the classes.
    groups
        One label a pair; pairs of one group (say, captions of one image) are never apart in a split, and are
        drawn together in intervals.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`RemovalConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Table ``removal``, one row a modality and class. ``whole``, ``accuracy`` (without the class),
        ``variance`` and ``f_score`` (without those controls) and ``drop`` = whole - accuracy carry 95 % intervals
        of a bootstrap over test pairs (by group), which leave out what another training set would change.
        ``random`` is the mean over the draws, with the interval in which one more would fall. ``difference``
        compares the class with the draws, with its 95 % interval: under 0 the class carries more than its size.
        It counts accuracy beyond chance (:func:`modalens.studies.stats.heldout.beyond_chance`), since a classifier that
        is left with nothing names the commonest label and gains by it. ``p`` is two-sided, of the hypothesis
        that the class is one more random set, and not corrected for the number of rows.
        ``majority`` is the share of the commonest label.

    Raises
    ------
    ModalensError
        If sizes do not match, labels leave nothing to tell apart, or an option is unknown or out of range.

    Notes
    -----
    Removal: Beyond Cross-Modal Alignment, section on validation. p: a t test over the draws, see
    :func:`modalens.studies.stats.controls.against_random`. Without information in any feature it is under 0.05 in at
    most about 5 % of rows (measured with shuffled labels).
    """
    config = RemovalConfig.of(config, options, "removal")
    _, n_features = paired_shape(image, text, mds.modalities)
    if n_features != len(mds.score):
        raise ModalensError(
            f"The scores are of {len(mds.score)} features and the matrices have {n_features}; give the matrices "
            "that were scored."
        )
    mds, draws, seed = mds.with_rule(config.rule), config.draws, config.seed
    pairs = labelled_pairs(labels, int(image.shape[0]), groups, seed, config.max_pairs)
    splits = cross_validation(pairs, config.folds, seed)
    sets = class_sets(mds)
    used = [each for each in sets if not each.skipped]
    live = live_features(mds)
    randoms = {each.name: random_sets(live, len(each), draws, seed) for each in used}
    rows = []
    with progress_bar("Removing features", 2 * len(splits) * (1 + len(used) * (3 + draws))) as advance:
        for modality, matrix in zip(mds.modalities, (image, text), strict=True):
            x = read_pairs(matrix, pairs, modality)
            whole, found = _classify(x, pairs, splits, used, randoms, live, advance)
            rows += [_row(modality, each, whole, found[each.name], pairs, seed) for each in used]
    table = pd.DataFrame(rows)
    notes = [*pairs.notes, *(each.note for each in sets if each.skipped)]
    return StudyResult(
        name="removal",
        title="What is lost without a class",
        tables={"removal": table},
        statements=[*_statements(table, draws), *notes],
        config={
            "rule": mds.rule,
            "estimator": mds.estimator,
            "modalities": list(mds.modalities),
            "labels": list(pairs.names),
            "pairs": len(pairs),
            "groups": len(np.unique(pairs.keys)) if pairs.grouped else None,
            "live_features": len(live),
            "classifier": {"name": "logistic regression, standardised features", **CLASSIFIER},
            "draws": draws,
            "folds": config.folds,
            "resamples": _RESAMPLES,
            "seed": seed,
        },
        source=dict(source or {}),
    )


@dataclass(frozen=True, eq=False)
class _Predicted:
    """Predicted label of each pair without a class and without its controls: (n,), or (r, n) for random ones."""

    own: Int[np.ndarray, " n"]
    variance: Int[np.ndarray, " n"]
    f_score: Int[np.ndarray, " n"]
    random: Int[np.ndarray, "r n"]

    @classmethod
    def empty(cls, n: int, draws: int) -> Self:
        own, variance, f_score = np.zeros((3, n), dtype=np.int64)
        return cls(own, variance, f_score, np.zeros((draws, n), dtype=np.int64))


def _classify(
    x: Block,
    pairs: LabelledPairs,
    splits: Sequence[Split],
    sets: Sequence[IndexSet],
    randoms: Mapping[str, Sequence[IndexSet]],
    live: Int[np.ndarray, " k"],
    advance: Callable[[int], None],
) -> tuple[Int[np.ndarray, " n"], dict[str, _Predicted]]:
    """Predict with all features, and without every set by its class, on every fold."""
    whole = np.zeros(len(pairs), dtype=np.int64)
    found = {each.name: _Predicted.empty(len(pairs), len(randoms[each.name])) for each in sets}
    for train, test in splits:
        fold = FoldClassifier(x, pairs.labels, (train, test))
        whole[test] = fold.predict(np.arange(0))
        advance(1)
        for each in sets:
            predicted, size = found[each.name], len(each)
            by_variance = variance_set(x[train], size, live)
            by_f_score = f_score_set(x[train], pairs.labels[train], size, live)
            predicted.own[test] = fold.predict(each.indices)
            predicted.variance[test] = fold.predict(by_variance.indices)
            predicted.f_score[test] = fold.predict(by_f_score.indices)
            advance(3)
            for draw, control in enumerate(randoms[each.name]):
                predicted.random[draw, test] = fold.predict(control.indices)
                advance(1)
    return whole, found


def _row(
    modality: str,
    each: IndexSet,
    whole: Int[np.ndarray, " n"],
    predicted: _Predicted,
    pairs: LabelledPairs,
    seed: int,
) -> dict[str, Any]:
    measured = {
        "whole": whole,
        "accuracy": predicted.own,
        "variance": predicted.variance,
        "f_score": predicted.f_score,
    }
    correct = np.stack(list(measured.values())) == pairs.labels
    value = dict(zip(measured, correct.mean(axis=1).tolist(), strict=True))
    draws = dict(zip(measured, accuracy_draws(correct, pairs.keys, _RESAMPLES, seed), strict=True))
    value["drop"] = value["whole"] - value["accuracy"]
    draws["drop"] = draws["whole"] - draws["accuracy"]
    cells = {name: _cell(name, value[name], *interval(draws[name])) for name in value}
    random = (predicted.random == pairs.labels).mean(axis=1)
    against = against_random(
        beyond_chance(predicted.own, pairs.labels), beyond_chance(predicted.random, pairs.labels), pairs.keys
    )
    return {
        "modality": modality,
        "without": each.name,
        "removed": len(each),
        **cells["whole"],
        **cells["accuracy"],
        **cells["drop"],
        **_cell("random", float(random.mean()), *np.clip(one_more_draw(random), 0, 1).tolist()),
        **_cell("difference", against.difference, against.low, against.high),
        "p": against.p,
        **cells["variance"],
        **cells["f_score"],
        "majority": float(np.bincount(pairs.labels).max() / len(pairs)),
    }


def _cell(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _statements(table: pd.DataFrame, draws: int) -> list[str]:
    """One sentence a row, and how many small p-values chance would give."""
    said = []
    for row in table.to_dict("records"):
        p = "p < 0.001" if row["p"] < 0.001 else f"p = {row['p']:.3f}"
        said.append(
            f"Without its {row['removed']} {row['without']} features {row['modality']} accuracy goes from "
            f"{row['whole']:.3f} to {row['accuracy']:.3f}, and without as many random ones to {row['random']:.3f} "
            f"({row['random_low']:.3f} to {row['random_high']:.3f}; {p}): {_verdict(row)}."
        )
    if said:
        said.append(
            f"Each p compares a class with {draws} random sets of its size and is not corrected: of {len(said)}, "
            f"{0.05 * len(said):.2g} would fall under 0.05 by chance."
        )
    return said


def _verdict(row: Mapping[Any, Any]) -> str:
    if row["p"] >= 0.05:
        return "the class cannot be told from random features"
    if row["difference"] > 0:
        return "the class carries less than its size"
    compared = "and more than" if row["accuracy"] < row["variance"] else "though not more than"
    return (
        f"the class carries more than its size, {compared} as many features of largest variance "
        f"({row['variance']:.3f})"
    )
