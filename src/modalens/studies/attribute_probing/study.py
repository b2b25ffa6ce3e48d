"""Where does an attribute such as gender lie? Classify images and texts without a class, beside controls."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block, Matrix, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import IndexSet, class_sets, equal_sets, live_features, random_sets
from modalens.errors import ModalensError
from modalens.pairs.modality import many
from modalens.progress import progress_bar
from modalens.studies.attribute_probing.attributes import attribute_named
from modalens.studies.attribute_probing.config import GenderConfig
from modalens.studies.attribute_probing.nearest import Design, classify, design
from modalens.studies.attribute_probing.published_way import (
    measure_published_way,
    published_way_statements,
    published_way_table,
)
from modalens.studies.attribute_probing.shares import Pictures, show_shares
from modalens.studies.attribute_probing.tables import (
    accuracy_table,
    changes_by_input,
    changes_by_value,
    statements,
)
from modalens.studies.attribute_probing.two_values import between_values
from modalens.studies.result import StudyResult
from modalens.studies.stats.heldout import LabelledPairs, read_pairs
from modalens.studies.stats.labels import read_labels

_WHAT_IT_SHOWS = (
    "The nearest reference shows how far features tell {} apart as it is labelled here; it does not show what a model "
    "does with it elsewhere, and whatever goes with the label counts."
)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Every pair's samples of one side by a separate encoder: its name, and embeddings (n, h)."""

    name: str
    embeddings: Float[np.ndarray, "n h"]


def gender(
    image: Matrix,
    text: Matrix,
    labels: Sequence[Any] | np.ndarray,
    mds: Dominance,
    *,
    tested: Bool[np.ndarray, " n"] | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    captions: Sequence[str] | np.ndarray | None = None,
    concepts: Sequence[Any] | np.ndarray | None = None,
    pictures: Pictures | None = None,
    caveats: Sequence[str] = (),
    encoded: Mapping[str, Encoded] | None = None,
    source: Mapping[str, Any] | None = None,
    config: GenderConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Tell the values of an attribute apart without the features of one class, beside controls of equal size.

    A sample has the value whose reference (the mean features of pairs of that value) is nearest. Each class, all
    sampled to the size of the smaller one-sided class, is zeroed in the sample and then classified again; so
    are random live features, and those of largest variance and F-score among the references.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    labels
        One label a pair, turned into values by
        :meth:`~modalens.studies.attribute_probing.attributes.Attribute.value_of`; None for pairs without one.
    mds
        Dominance scores of these features; the option ``rule`` makes the classes.
    tested
        The pairs to test, (n,), say a held-out split: the others make the references, less those that share
        a group with a tested pair, and each seed draws half of their groups. By default every pair is tested
        in a cross-validation that each seed draws anew.
    groups
        One label a pair; a pair is never compared with references of its own group, and intervals draw groups.
    captions, pictures
        What the pairs look like, for the tables of texts and words and the strip; left out by default.
    concepts
        What else tells pairs apart, one label a pair: the two commonest values are compared on as many pairs of
        each in every concept. By default on as many pairs of each.
    caveats
        Sentences on where the labels come from, put first among the statements.
    encoded
        Both sides of every pair by separate encoders, by modality, to tell the attribute the papers' way too
        (:mod:`modalens.studies.attribute_probing.published_way`); None leaves that out.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`GenderConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Tables ``changes_by_input`` and ``changes_by_value`` (the papers' two: changes in % of the accuracy
        before, published ones beside), ``accuracy`` and ``by_value`` (every set, see
        :func:`~modalens.studies.attribute_probing.tables.accuracy_table`), ``samples`` (who was tested), ``shares``,
        ``texts`` and ``words``; picture ``images_by_share``. ``between_values`` (see
        :func:`~modalens.studies.attribute_probing.between.between_table`) has the difference between the two commonest
        values; its row of ``input`` "both" and ``edited`` "alike" is the claim that they are told by different sides,
        with ``difference``, ``beyond`` and ``beyond_energy`` (less random sets of equal number or energy) and their
        ends, ``detectable`` and ``verdict``; the same row with ``edited`` "sample" has
        ``relative`` with its ends, beside ``published``. With ``concepts`` there is ``between_by_concept``. With
        ``encoded`` also ``published_way``: the changes our
        way, the papers' way, and their difference.

    Raises
    ------
    ModalensError
        If sizes do not match, there is no class to remove, fewer than two values can be told apart, or an option
        is unknown or out of range.

    Notes
    -----
    Multi-Faceted Monosemanticity, section 4.1 and A.4.1; Beyond Cross-Modal Alignment, section 5.1. The papers
    compare with one random reference in another model's space, which takes images or texts and no features; here
    references are means and distances are Euclidean, in the features themselves.
    """
    config = GenderConfig.of(config, options, "gender")
    n, n_features = paired_shape(image, text, mds.modalities)
    if n_features != len(mds.score):
        raise ModalensError(
            f"The scores are of {len(mds.score)} features and the matrices have {n_features}; give the matrices "
            "that were scored."
        )
    rows_of = {name: each.embeddings for name, each in (encoded or {}).items()}
    for name, given in (
        ("labels", labels),
        ("tested", tested),
        ("captions", captions),
        ("concepts", concepts),
        *rows_of.items(),
    ):
        if given is not None and len(given) != n:
            raise ModalensError(f"There are {len(given)} {name} for {n} pairs; give one for each pair.")
    attribute, draws, seed = config.attribute, config.draws, config.seed
    kind = attribute_named(attribute)
    mds = mds.with_rule(config.rule)
    found = read_labels(labels)
    values = np.array([kind.value_of(label) for label in found.texts], dtype=object)
    mask = None if tested is None else np.asarray(tested, dtype=bool)
    plan = design(
        values,
        mask,
        groups,
        seeds=config.seeds,
        folds=config.folds,
        seed=seed,
        max_pairs=config.max_pairs,
    )
    sets, sizes, notes = _sets(mds, draws, config.seeds, seed)
    live = live_features(mds)
    blocks, measured = {}, {}
    with progress_bar(f"Telling {attribute} apart", 2) as advance:
        for modality, matrix in zip(mds.modalities, (image, text), strict=True):
            test = read_pairs(matrix, plan.tested, modality)
            refer = test if plan.references is plan.tested else read_pairs(matrix, plan.references, modality)
            measured[modality] = classify(test, refer, plan, sets, sizes, live, draws, seed)
            blocks[modality] = (test, refer)
            advance(1)
    overall = accuracy_table(measured, plan.tested, by_value=False, seed=seed)
    by_value = accuracy_table(measured, plan.tested, by_value=True, seed=seed)
    samples = _samples(blocks, plan)
    way, about_way = _published_way(encoded, blocks, plan, mds, overall, by_value, config)
    between, about_between = between_values(
        (image, text), values, mask, groups, concepts, mds, sets, kind, config
    )
    shown = show_shares(
        {modality: plan.all_features(*both) for modality, both in blocks.items()},
        plan.everyone,
        mds,
        captions=captions,
        pictures=pictures,
        left_out=kind.words.union(
            *(re.findall(r"[^\W\d_]+", each.lower()) for each in (attribute, *plan.values))
        ),
        seed=seed,
    )
    return StudyResult(
        name=re.sub(r"[^a-z0-9]+", "-", attribute.lower()).strip("-"),
        title=f"Where {attribute.replace('_', ' ')} lies",
        tables={
            "changes_by_input": changes_by_input(overall, kind, mds.modalities),
            "changes_by_value": changes_by_value(by_value, kind, mds.modalities),
            "accuracy": overall,
            "by_value": by_value,
            **between,
            **way,
            "samples": samples,
            **shown.tables,
        },
        statements=[
            *caveats,
            *_who(samples, plan, attribute),
            *statements(overall, by_value, plan, draws),
            *about_between,
            *about_way,
            *shown.statements,
            *notes,
            *found.notes,
            *plan.notes,
        ],
        config={
            "attribute": attribute,
            "values": list(plan.values),
            "rule": mds.rule,
            "estimator": mds.estimator,
            "modalities": list(mds.modalities),
            "live_features": len(live),
            "removed": sizes,
            "cross_validated": tested is None,
            "folds": config.folds if tested is None else None,
            "draws": draws,
            "seeds": config.seeds,
            "seed": seed,
        },
        source=dict(source or {}),
        pictures=shown.pictures,
    )


def _published_way(
    encoded: Mapping[str, Encoded] | None,
    blocks: Mapping[str, tuple[Block, Block]],
    plan: Design,
    mds: Dominance,
    overall: pd.DataFrame,
    by_value: pd.DataFrame,
    config: GenderConfig,
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The table of the papers' way, and what is to be said of it."""
    if encoded is None:
        return {}, []
    if empty := [name for name in mds.modalities if not len(mds.indices(name))]:
        return {}, [
            (
                f"The papers' way is left out: it removes as many features of either class, and none is of class "
                f"{empty[0]}."
            )
        ]
    found = {
        modality: measure_published_way(
            *blocks[modality], encoded[modality].embeddings, plan, mds, config.seed
        )
        for modality in mds.modalities
    }
    table = published_way_table(found, overall, by_value, plan, attribute_named(config.attribute))
    said = published_way_statements(table, [encoded[name].name for name in mds.modalities])
    return {"published_way": table}, said


def _sets(
    mds: Dominance, draws: int, seeds: int, seed: int
) -> tuple[list[list[IndexSet]], list[int], list[str]]:
    """For each seed nothing, the classes and random sets of their sizes; the sizes; and what is left out.

    One-sided classes have the size of the smaller, as in the papers; the cross class at most that size. Seeds
    draw other members of a class, and keep random sets, so that each set is one set.
    """
    image, cross, text = class_sets(mds)
    full = [each for each in (image, text) if not each.skipped]
    if not full:
        raise ModalensError(
            f"No feature is of class {image.name} or {text.name} by the rule {mds.rule}; choose the other rule."
        )
    size = min(map(len, full))
    of_cross = min(size, len(cross))
    sizes = sorted({size, of_cross} - {0}, reverse=True)
    live = live_features(mds)
    randoms = [each for k in sizes for each in random_sets(live, k, draws, seed)]
    nothing = IndexSet("nothing", "whole", np.arange(0))
    rounds = []
    for turn in range(seeds):
        one_sided = equal_sets((image, text), size, seed + turn)
        crossed = equal_sets((cross,), of_cross, seed + turn) if of_cross else ()
        used = [each for each in (one_sided[0], *crossed, one_sided[1]) if not each.skipped]
        rounds.append([nothing, *used, *randoms])
    return rounds, sizes, [each.note for each in (image, cross, text) if each.skipped]


def _samples(blocks: Mapping[str, tuple[Block, Block]], plan: Design) -> pd.DataFrame:
    """How many pairs of each value there are, and which of them no probe can tell from another value's."""
    rows = []
    for modality, (test, refer) in blocks.items():
        twins = _twins(test, plan.tested, refer, plan.references)
        for number, value in enumerate(plan.values):
            mine, theirs = plan.tested.labels == number, plan.references.labels == number
            rows.append(
                {
                    "input": modality,
                    "value": value,
                    "tested": int(mine.sum()),
                    "tested_groups": len(np.unique(plan.tested.keys[mine])),
                    "references": int(theirs.sum()),
                    "reference_groups": len(np.unique(plan.references.keys[theirs])),
                    "same_as_another_value": float(twins[mine].mean()),
                }
            )
    return pd.DataFrame(rows)


def _twins(
    test: Block, tested: LabelledPairs, refer: Block, references: LabelledPairs
) -> Bool[np.ndarray, " n"]:
    """Whether each tested pair has, to the last bit, the features of a pair of another value."""
    known: dict[bytes, set[int]] = {}
    own = _fingerprints(test)
    both = [(own, tested.labels), (_fingerprints(refer), references.labels)]
    for prints, labels in both:
        for mark, label in zip(prints, labels.tolist(), strict=True):
            known.setdefault(mark, set()).add(label)
    return np.array([len(known[mark]) > 1 for mark in own])


def _fingerprints(x: Block) -> list[bytes]:
    if not sp.issparse(x):
        return [row.tobytes() for row in x]
    spans = zip(x.indptr[:-1].tolist(), x.indptr[1:].tolist(), strict=True)
    return [x.indices[a:b].astype(np.int64).tobytes() + x.data[a:b].tobytes() for a, b in spans]


def _who(samples: pd.DataFrame, plan: Design, attribute: str) -> list[str]:
    tested, references = plan.tested, plan.references
    groups: Int[np.ndarray, " g"] = np.unique(tested.keys)
    versus = (
        "against references from the other parts of a cross-validation"
        if references is tested
        else f"against references from {len(references):,} other pairs of {len(np.unique(references.keys)):,} groups"
    )
    pairs, drawn = f"{len(tested):,} pairs", "pairs"
    if tested.grouped:
        pairs, drawn = f"{pairs} of {len(groups):,} groups", f"{len(groups):,} groups"
    said = [
        f"{pairs} are tested, {versus}; intervals draw these {drawn} anew.",
        _WHAT_IT_SHOWS.format(attribute.replace("_", " ")),
    ]
    for modality, part in samples.groupby("input", sort=False):
        share = np.average(part["same_as_another_value"], weights=part["tested"])
        if share > 0:
            said.append(
                f"{100 * share:.0f} % of the tested {many(str(modality))} have exactly the features of a pair of "
                "another value, so that no probe can tell them apart."
            )
    return said
