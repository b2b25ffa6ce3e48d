"""What people said of features on an annotation page, as numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from modalens.dominance.result import Dominance
from modalens.dominance.rules import RULES
from modalens.errors import InputError
from modalens.studies.rater_agreement.answers import BOTH, NEITHER, AnnotationKey, load_key, load_sheets

_FIRST, _MEANING = "people: {} side", "people: shows something"


def read_ratings(
    answers: Sequence[Path], key: Path | None, mds: Dominance
) -> dict[str, Float[np.ndarray, " f"]]:
    """Mean answers by feature; NaN for features that nobody was asked about.

    Returns
    -------
    dict
        The first modality's share: 1 for its own answer, 0.5 for both, 0 for the other, over raters who did not say
        neither; and the share of raters who did not. Nothing without answers.

    Raises
    ------
    ModalensError
        If a file is damaged, the key is missing, or it is of other features than these.
    """
    if not answers:
        return {}
    if key is None:
        raise InputError("Answers name no features; give the key.json of their page with --key too.")
    sheets = load_sheets(answers)
    known = load_key(key, sheets)
    _check(known, mds, key)
    side, means = np.full((2, len(mds.score)), np.nan)
    first, second, *_ = known.choices
    worth = {first: 1.0, BOTH: 0.5, second: 0.0}
    for item, feature in known.features.items():
        given = [sheet.answers[item] for sheet in sheets if item in sheet.answers]
        if given:
            means[feature] = np.mean([answer != NEITHER for answer in given])
            told = [worth[answer] for answer in given if answer != NEITHER]
            side[feature] = np.mean(told) if told else np.nan
    return {_FIRST.format(mds.modalities[0]): side, _MEANING: means}


def _check(key: AnnotationKey, mds: Dominance, path: Path) -> None:
    """Refuse the key of other features: one whose classes are those of no class rule here."""
    features = list(key.features.values())
    inside = max(features, default=0) < len(mds.score)
    wanted = [key.classes[item] for item in key.features]
    if not inside or not any(mds.with_rule(rule).labels[features].tolist() == wanted for rule in RULES):
        raise InputError(
            f"The key {path} is of other features than these; name those that were annotated with --features."
        )
