"""Does the gap go with the one-sided features, and does retrieval stay? Remove them and see, beside controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.arrays import Matrix, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import IndexSet, class_sets, live_features
from modalens.edit.index_sets import CLASS
from modalens.errors import ModalensError
from modalens.interpret.bridge_result import VERDICTS
from modalens.progress import progress_bar
from modalens.statistics.controls import corrected
from modalens.statistics.groups import repeated_rows
from modalens.studies.gap_closing.config import CloseGapConfig
from modalens.studies.gap_closing.evaluation import (
    ONE_SIDED,
    RESAMPLES,
    VERDICT,
    Decode,
    Evaluation,
    read_all,
)
from modalens.studies.gap_closing.measures import GapMeasures
from modalens.studies.gap_closing.order import one_sided_order
from modalens.studies.gap_closing.statements import ALL_ONE_SIDED, statements
from modalens.studies.result import StudyResult

SHARES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)
_MIN_DRAWS = 5  # along the curve


def close_gap(
    image: Matrix,
    text: Matrix,
    mds: Dominance,
    *,
    decode: Decode | None = None,
    embeddings: tuple[Matrix, Matrix] | None = None,
    verdict: np.ndarray | None = None,
    labels: Sequence[Any] | np.ndarray | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    image_ids: Sequence[Any] | np.ndarray | None = None,
    source: Mapping[str, Any] | None = None,
    config: CloseGapConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Zero features, decode, and measure the gap, retrieval and zero-shot accuracy, beside controls.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    mds
        Dominance scores of these features; the option ``rule`` makes the classes.
    decode
        Makes embeddings of codes, such as an autoencoder's ``decode``. None measures the features themselves, as
        for a projector's outputs, which have no decoder, or raw dimensions.
    embeddings
        What the features were learned on, (n, d) each, for a row to start from.
    verdict
        "split", "private", "unclear" or "" for every feature (see :func:`modalens.interpret.bridges`), which
        gives each verdict rows of its own.
    labels
        One label a pair for zero-shot accuracy: an image has the label of the nearest class mean of texts of
        other groups. None leaves it out, and so do labels that leave nothing to tell apart.
    groups
        One label a pair; pairs of one group are drawn together in intervals and held out together.
    image_ids
        One label a pair: pairs that share one show one image, which retrieval then counts once.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`CloseGapConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Table ``tests``: each set beside both kinds of random sets, in L2M, RMG, R@10 and zero-shot accuracy, with ``p``
        of a t test of the hypothesis that the set is one more random one on these pairs, ``q`` corrected for all of the
        table, and ``detectable``, the smallest difference that a test finds with power .8. Tables ``sets`` and
        ``curve``, one row for each removal: the number of features ``removed``, their share
        of the ``energy`` (sum of squares), and the measures of :meth:`GapMeasures.measure` afterwards. ``kind`` tells
        removals from controls:

        - ``class`` and ``verdict``, or in ``curve`` ``one-sided first``: the order of :func:`one_sided_order`;
        - ``random, equal count`` and ``random, equal energy``: live features, the mean over draws with the
          interval in which one more would fall;
        - ``largest variance``: as many features, those that vary most over all samples of both sides;
        - ``mean difference``: no feature, but the offset between the modalities; ``both means``: the two means
          themselves (:func:`modalens.studies.gap_closing.measures.without_means`);
        - ``nothing`` and ``embeddings``: decoded unedited, and what was encoded.

        Intervals of rows that are no draws are 95 %: a bootstrap over pairs (by group) for the gap and accuracy,
        Wilson's for recall.

    Raises
    ------
    ModalensError
        If sizes do not match, no feature is live, or an option is unknown or out of range.

    Notes
    -----
    L2M and L2I shrink whenever what is left of all samples is alike, as what a decoder adds to every sample is;
    RMG holds pairs against samples of one modality and separability is free of scale. Classes are those of the
    scores, so with scores of the same pairs a feature that fires in a pair or two is one-sided by chance, which
    the random sets share. Method: Dhimoila et al. 2026, for an autoencoder that keeps paired codes alike.
    """
    config = CloseGapConfig.of(config, options, "close_gap")
    n, f = paired_shape(image, text, mds.modalities)
    if f != len(mds.score):
        raise ModalensError(
            f"The scores are of {len(mds.score)} features and the matrices have {f}; give the matrices that "
            "were scored."
        )
    mds, draws, seed = mds.with_rule(config.rule), config.draws, config.seed
    live = live_features(mds)
    if not live.size:
        raise ModalensError("No feature fires in any of the pairs; there is nothing to remove.")
    sets, notes = _sets(mds, verdict)
    rows = np.arange(n)
    if n > config.max_pairs:
        rows = np.sort(np.random.default_rng(seed).choice(n, config.max_pairs, replace=False))
        notes.append(f"Of {n:,} pairs {config.max_pairs:,} were drawn at random; recall is among these.")
    first, second = mds.modalities
    before = None
    if embeddings is not None:
        _check_embeddings(embeddings, n)
        before = (read_all(embeddings[0], rows, first), read_all(embeddings[1], rows, second))
    sides = (read_all(image, rows, first), read_all(text, rows, second))
    measures, left_out = GapMeasures.of(
        len(rows),
        labels=_of_pairs("labels", labels, n, rows),
        groups=_of_pairs("groups", groups, n, rows),
        image_ids=_images(
            _of_pairs("image_ids", image_ids, n, rows), sides[0] if before is None else before[0]
        ),
        modalities=mds.modalities,
        folds=config.folds,
        seed=seed,
    )
    evaluation = Evaluation(*sides, decode, measures, live, seed)
    order = one_sided_order(mds, evaluation.energy)
    removals = [each for each in sets if not each.skipped]
    steps = [
        IndexSet(f"first {size}", ONE_SIDED, np.sort(order[:size]))
        for size in _sizes(len(live), len(sets[0]))
    ]
    whole = list(evaluation.baselines(before))
    along = max(_MIN_DRAWS, draws // 2)
    total = len(removals) * 2 * (1 + draws) + len(steps) * 2 * (1 + along)
    with progress_bar("Removing features", total) as advance:
        found = {each.name: evaluation.beside_controls(each, draws, advance) for each in removals}
        by_step = [row for each in steps for row in evaluation.beside_controls(each, along, advance)[0]]
    by_set = [{"set": name, **row} for name, (rows_of, _) in found.items() for row in rows_of]
    tests = pd.DataFrame(
        [{"set": name, **test} for name, (_, tests_of) in found.items() for test in tests_of]
    )
    if len(tests):
        tests["q"] = corrected(tests["p"].to_numpy())
    table = pd.DataFrame([*({"set": row["kind"], **row} for row in whole), *by_set])
    curve = pd.DataFrame([*whole, *by_step])
    described = {
        "rule": mds.rule,
        "estimator": mds.estimator,
        "modalities": list(mds.modalities),
        "decoded": decode is not None,
        "labels": list(measures.labelled.names) if measures.labelled else None,
        "majority": measures.majority,
        "pairs": len(rows),
        "groups": None if groups is None else len(np.unique(measures.keys)),
        "live_features": len(live),
        "one_sided_features": len(sets[0]),
        "draws": draws,
        "draws_along_curve": along,
        "folds": config.folds,
        "resamples": RESAMPLES,
        "seed": seed,
    }
    return StudyResult(
        name="close-gap",
        title="Closing the gap",
        tables={"sets": table, "tests": tests, "curve": curve},
        statements=[*statements(table, tests, described), *notes, *left_out],
        config=described,
        source=dict(source or {}),
    )


def _sets(mds: Dominance, verdict: np.ndarray | None) -> tuple[list[IndexSet], list[str]]:
    """All one-sided features, then each class, then each verdict; and a sentence for those that are empty."""
    image, cross, text = class_sets(mds)
    both = np.sort(np.concatenate([image.indices, text.indices]))
    sets = [IndexSet(ALL_ONE_SIDED, CLASS, both), image, text, cross]
    notes = [f"No feature is {ALL_ONE_SIDED}, so its rows are left out."] if sets[0].skipped else []
    notes += [each.note for each in sets[1:] if each.skipped]
    if verdict is None:
        return sets, notes
    verdict = np.asarray(verdict)
    if verdict.shape != mds.score.shape:
        raise ModalensError(
            f"There are verdicts of shape {verdict.shape} for {len(mds.score)} features; give one for each feature."
        )
    live = ~np.isnan(mds.score)
    found = [IndexSet(name, VERDICT, np.flatnonzero((verdict == name) & live)) for name in VERDICTS]
    notes += [f"No feature is {each.name}, so its rows are left out." for each in found if each.skipped]
    return [*sets, *found], notes


def _sizes(live: int, one_sided: int) -> list[int]:
    """How many features each point of the curve is without: set shares of the live ones, and all one-sided ones."""
    sizes = {round(share * live) for share in SHARES}
    apart = {size for size in sizes if abs(size - one_sided) >= SHARES[0] * live}
    return sorted(size for size in apart | {one_sided} if 0 < size < live)


def _of_pairs(
    name: str, values: Sequence[Any] | np.ndarray | None, n: int, rows: Int[np.ndarray, " m"]
) -> np.ndarray | None:
    """What was given for each pair, for the pairs that are studied."""
    if values is None:
        return None
    given: np.ndarray = np.asarray(pd.Series(values, dtype=object))
    if len(given) != n:
        raise ModalensError(f"{name} has {len(given)} entries for {n} pairs; give one for each pair.")
    chosen: np.ndarray = given[rows]
    return chosen


def _images(labels: np.ndarray | None, image: Matrix) -> np.ndarray:
    """A label a pair, the same for pairs of one image: as given, else for equal rows, unless all are equal."""
    if labels is not None:
        return labels
    numbers = repeated_rows(image)
    return numbers if numbers.max() > 0 else np.arange(len(numbers))


def _check_embeddings(embeddings: tuple[Matrix, Matrix], n: int) -> None:
    rows, _ = paired_shape(*embeddings)
    if rows != n:
        raise ModalensError(
            f"There are {rows} pairs of embeddings for {n} pairs of features; give the same pairs."
        )
