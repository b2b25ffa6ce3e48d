"""Options that several studies share, so that each is described once."""

import dataclasses
from typing import Any

from modalens.options import DEFAULT_RULE, Options, option


def estimator_names() -> tuple[str, ...]:
    """The estimators of dominance there are."""
    from modalens.dominance import ESTIMATORS  # brings scikit-learn

    return tuple(ESTIMATORS)


def rule_names() -> tuple[str, ...]:
    """The class rules there are."""
    from modalens.dominance import RULES  # brings scikit-learn

    return tuple(RULES)


def rule_option() -> Any:
    """The class rule of the index sets."""
    return option(DEFAULT_RULE, "Class rule of the index sets.", choices=rule_names)


def draws_option(default: int, least: int) -> Any:
    """Random control sets."""
    return option(default, "Random control sets of each size.", unit="sets", least=least)


def folds_option() -> Any:
    """Parts of a cross-validation."""
    return option(5, "Parts of the cross-validation.", least=2)


def pairs_option(default: int) -> Any:
    """How many pairs are read at most."""
    return option(default, "Most pairs to study; of more, so many are drawn.", unit="pairs", least=2)


def label_option() -> Any:
    """The metadata column of labels."""
    return option("category", "Metadata column that holds the labels.")


def seed_option() -> Any:
    """Seed of every draw."""
    return option(0, "Seed of every draw.", least=0)


def settings_of(config: Options, kind: type[Options]) -> dict[str, Any]:
    """The options of a configuration that a class of it has, so without those of its subclasses."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(kind)}
