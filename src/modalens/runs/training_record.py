"""How learned features were trained, from what is recorded beside them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from modalens.features import TrainConfig
from modalens.features.registry import kind_of_values
from modalens.runs.layout import LearnedFeatures
from modalens.store import EmbeddingStore
from modalens.store.kept import read_inputs, stable


@dataclass(frozen=True)
class TrainingRecord:
    """How features were trained.

    Attributes
    ----------
    command
        The learner as ``modalens train`` calls it.
    options
        Its options that are no defaults, as a command line writes them.
    split
        The split of the pairs that was trained on; None for all.
    own
        Whether the pairs were those of the run that the features lie in.
    """

    command: str
    options: str
    split: str | None
    own: bool

    @classmethod
    def of(cls, where: LearnedFeatures, store: EmbeddingStore) -> Self | None:
        """The record of some features of a store; None where there is none, or it is of another kind."""
        inputs = read_inputs(where.folder)
        if inputs is None:
            return None
        try:
            (values,) = inputs["configuration"]
            kind = kind_of_values(values)
            config = kind.config_class(**values)
            given = [
                *_given(kind.config_class(d=config.d), values),
                *_given(TrainConfig(lr=kind.lr), inputs["training"]),
            ]
            split, embeddings = inputs["split"], inputs["embeddings"]
        except (KeyError, TypeError, ValueError):
            return None
        if split is not None:
            given.append(f"--split {split}")
        if where.name != config.label:
            given.append(f"--name {where.name}")
        options = " ".join(dict.fromkeys(given))  # one seed is an option of both
        return cls(kind.command, options, split, embeddings == stable(store.identity()))

    def trained(self, splits: Collection[str]) -> list[str]:
        """Which of the splits of the run's pairs the features were trained on."""
        if not self.own:
            return []
        return [name for name in splits if self.split in (None, name)]


def _given(plain: Any, values: Mapping[str, Any]) -> list[str]:
    """Options whose values are not those of a configuration of defaults."""
    told = []
    for field in fields(plain):
        value = values.get(field.name, getattr(plain, field.name))
        if value == getattr(plain, field.name):
            continue
        flag = field.name.replace("_", "-")
        if isinstance(value, bool):
            told.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            told.append(f"--{flag} {value}")
    return told
