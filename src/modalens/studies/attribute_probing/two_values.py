"""The difference between the two commonest values: as many pairs of each, every class, beside its controls."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from modalens.arrays import Matrix
from modalens.dominance.result import Dominance
from modalens.edit import IndexSet, live_features
from modalens.edit.index_sets import RANDOM
from modalens.errors import ModalensError
from modalens.studies.attribute_probing.attributes import Attribute
from modalens.studies.attribute_probing.between import (
    Measured,
    between_table,
    concept_table,
    swapped_accuracies,
)
from modalens.studies.attribute_probing.between_said import between_statements
from modalens.studies.attribute_probing.config import GenderConfig
from modalens.studies.attribute_probing.matched import matched_pairs, two_commonest
from modalens.studies.attribute_probing.nearest import Design, classify, design
from modalens.studies.stats.heldout import read_pairs


def between_values(
    matrices: tuple[Matrix, Matrix],
    values: np.ndarray,
    tested: Bool[np.ndarray, " n"] | None,
    groups: Sequence[Any] | np.ndarray | None,
    concepts: Sequence[Any] | np.ndarray | None,
    mds: Dominance,
    sets: Sequence[Sequence[IndexSet]],
    attribute: Attribute,
    config: GenderConfig,
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Tables of the difference between the two commonest values, and what is to be said of it.

    There are none where fewer than two values are named, or the pairs do not suffice; the sentence then says why.
    """
    pair = two_commonest(values)
    if pair is None:
        return {}, []
    drawn = matched_pairs(values, pair, tested, concepts, config.seed)
    try:
        plan = design(
            drawn,
            tested,
            groups,
            seeds=config.seeds,
            folds=config.folds,
            seed=config.seed,
            max_pairs=config.max_pairs,
        )
        measured = {
            modality: _measured_between(matrix, plan, modality, mds, sets, config)
            for modality, matrix in zip(mds.modalities, matrices, strict=True)
        }
    except ModalensError as error:
        return {}, [f"{pair[0]} and {pair[1]} are not compared on as many pairs of each: {error}"]
    table = between_table(measured, plan, attribute, config.seed)
    tables, of_concepts = {"between_values": table}, pd.DataFrame()
    if concepts is not None:
        of_concepts = concept_table(
            measured, plan, np.asarray(concepts, object)[plan.tested.rows], config.seed
        )
        tables |= {"between_by_concept": of_concepts} if len(of_concepts) else {}
    return tables, between_statements(
        table, of_concepts, plan, None if concepts is None else config.concept or "concept", config.swaps
    )


def _measured_between(
    matrix: Matrix,
    plan: Design,
    modality: str,
    mds: Dominance,
    sets: Sequence[Sequence[IndexSet]],
    config: GenderConfig,
) -> Measured:
    """The answers for one input, and what they are where labels are swapped."""
    test = read_pairs(matrix, plan.tested, modality)
    refer = test if plan.references is plan.tested else read_pairs(matrix, plan.references, modality)
    found = classify(test, refer, plan, sets, (), live_features(mds), config.draws, config.seed)
    few = [[each for each in fixed if each.kind != RANDOM] for fixed in sets]
    return Measured(found, swapped_accuracies(test, refer, plan, few, config.swaps, config.seed))
