"""Do the classes carry what they are named for? Remove one and see what a classifier loses, beside controls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.arrays import Block, Matrix, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import (
    IndexSet,
    class_sets,
    equal_energy_sets,
    feature_energy,
    live_features,
    random_sets,
)
from modalens.edit.index_sets import F_SCORE, VARIANCE, f_scores, feature_variance, strongest_set
from modalens.errors import ModalensError
from modalens.progress import progress_bar
from modalens.studies.class_removal.config import RemovalConfig
from modalens.studies.class_removal.curves import (
    Point,
    curve_points,
    curve_statements,
    curve_table,
    per_unit_table,
)
from modalens.studies.class_removal.table import RESAMPLES, Removed, removal_table, statements
from modalens.studies.result import StudyResult
from modalens.studies.stats.fold_classifier import CLASSIFIER, FoldClassifier
from modalens.studies.stats.heldout import (
    LabelledPairs,
    Split,
    cross_validation,
    labelled_pairs,
    read_pairs,
)

# Random sets of equal energy, for each one of equal number: half as many tell as much in most tables.
_OF_ENERGY = 0.5


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
    """Classify images and texts without the features of one class, beside controls of equal number and of equal energy.

    For each modality a logistic regression reads the labels from all features, from all but one class, and from
    all but others: as many random live ones (several draws), random ones that hold as large a share of the modality's
    energy (half as many draws), as many of largest variance, and as many of largest F-score, the last two chosen on
    the training samples. Every accuracy is over the test samples of the same
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
        Table ``removal``, one row a modality and class: see :func:`modalens.studies.class_removal.table.removal_table`.
        Table ``per_unit``: the same per removed feature and per unit of energy. Table ``curves``: lost accuracy against
        the number of removed features. See :mod:`modalens.studies.class_removal.curves`.

    Raises
    ------
    ModalensError
        If sizes do not match, labels leave nothing to tell apart, or an option is unknown or out of range.

    Notes
    -----
    Removal: Beyond Cross-Modal Alignment, section on validation. p: a t test over the draws, see
    :func:`modalens.statistics.controls.against_random`.
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
    of_number = {each.name: random_sets(live, len(each), draws, seed) for each in used}
    of_energy = round(_OF_ENERGY * draws)
    found, curves = [], []
    fits = 2 * len(splits) * (1 + len(used) * (3 + draws + of_energy))
    with progress_bar("Removing features", fits) as advance:
        for modality, matrix in zip(mds.modalities, (image, text), strict=True):
            x = read_pairs(matrix, pairs, modality)
            energy = feature_energy(x)
            controls = {
                each.name: (
                    of_number[each.name],
                    equal_energy_sets(live, energy, float(energy[each.indices].sum()), of_energy, seed),
                )
                for each in used
            }
            points = curve_points(used, live, energy, config.curve_draws, seed) if config.curve_draws else []
            each, along = _removed(modality, x, pairs, splits, used, controls, live, energy, points, advance)
            found += each
            if points:
                curves.append(curve_table(modality, points, along, each[0].whole, energy, pairs, seed))
    table = removal_table(found, pairs, seed)
    tables = {"removal": table, "per_unit": per_unit_table(table)}
    if curves:
        tables["curves"] = pd.concat(curves, ignore_index=True)
    notes = [*pairs.notes, *(each.note for each in sets if each.skipped)]
    return StudyResult(
        name="removal",
        title="What is lost without a class",
        tables=tables,
        statements=[
            *statements(table, draws, of_energy),
            *curve_statements(tables.get("curves", pd.DataFrame())),
            *notes,
        ],
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
            "draws_of_equal_energy": of_energy,
            "curve_draws": config.curve_draws,
            "folds": config.folds,
            "resamples": RESAMPLES,
            "seed": seed,
        },
        source=dict(source or {}),
    )


def _removed(
    modality: str,
    x: Block,
    pairs: LabelledPairs,
    splits: Sequence[Split],
    sets: Sequence[IndexSet],
    controls: Mapping[str, tuple[Sequence[IndexSet], Sequence[IndexSet]]],
    live: Int[np.ndarray, " k"],
    energy: np.ndarray,
    points: Sequence[Point],
    advance: Callable[[int], None],
) -> tuple[list[Removed], Int[np.ndarray, "s n"]]:
    """Predict with all features, and without every set by its class and of the curves, on every fold."""
    n = len(pairs)
    sets_of_curves = [one for point in points for one in point.members]
    along = np.zeros((len(sets_of_curves), n), dtype=np.int64)
    whole = np.zeros(n, dtype=np.int64)
    found = {each.name: Removed.empty(modality, each, controls[each.name], energy, whole, n) for each in sets}
    for train, test in splits:
        fold = FoldClassifier(x, pairs.labels, (train, test))
        whole[test] = fold.predict([np.arange(0)])[0]
        advance(1)
        variance, f_score = feature_variance(x[train]), f_scores(x[train], pairs.labels[train])
        for each in sets:
            predicted, size = found[each.name], len(each)
            by_variance = strongest_set(VARIANCE, variance, size, live)
            by_f_score = strongest_set(F_SCORE, f_score, size, live)
            random, equal_energy = controls[each.name]
            removed = [each, by_variance, by_f_score, *random, *equal_energy]
            answers = fold.predict([one.indices for one in removed])
            predicted.own[test], predicted.variance[test], predicted.f_score[test] = answers[:3]
            predicted.random[:, test], predicted.equal_energy[:, test] = np.split(answers[3:], [len(random)])
            advance(len(removed))
        if sets_of_curves:
            along[:, test] = fold.predict([one.indices for one in sets_of_curves])
    return list(found.values()), along
