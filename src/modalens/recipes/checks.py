"""What can be known of a recipe's steps before the first one runs, so that nobody learns of it after hours."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, TypeAlias

from modalens.errors import InputError
from modalens.options import Config
from modalens.pairs import load_pairs
from modalens.pairs.modality import OWN
from modalens.runs.interpretation import InterpretConfig
from modalens.studies.registry import find_study
from modalens.towers.registry import abilities_of
from modalens.towers.samples import check_sample_embedder

Model: TypeAlias = tuple[str, str | None]

# Settings that name another run of the recipe.
_RUNS = ("pairs_of", "declip", "removal")


def check_step(do: str, settings: Mapping[str, Any], runs: Collection[str], model: Model | None) -> None:
    """Refuse a step that is bound to fail.

    Parameters
    ----------
    do
        One of :data:`modalens.recipes.steps.STEPS`.
    settings
        All its settings, defaults included.
    runs
        Runs that the recipe makes.
    model
        Name and revision of the model that embeds the step's run; None where no step does.

    Raises
    ------
    ModalensError
        If its data, its model or a package is not there, its model cannot do what the step asks of it, or it names
        a run that no step makes.
    """
    for name in _RUNS:
        if settings.get(name) is not None and settings[name] not in runs:
            raise InputError(
                f"{name} is {settings[name]!r}; no step makes it, the runs are {', '.join(runs)}."
            )
    if do == "embed":
        load_pairs(settings["pairs"])
        abilities_of(settings["vlm"], settings["revision"])
    elif do == "interpret" and model is not None:
        _check_judges(settings, abilities_of(*model).modalities)
    elif do == "study":
        study = find_study(settings["study"])
        config = _config(study.config, settings)
        study.refuse_early(config, None if model is None else abilities_of(*model))


def _check_judges(settings: Mapping[str, Any], modalities: tuple[str, str]) -> None:
    config = _config(InterpretConfig, settings).judges(modalities)
    judges = (config.image_embedder, config.text_embedder)
    for name, modality in zip(judges, modalities, strict=True):
        if name is not None and name != OWN:
            check_sample_embedder(name, modality)


def _config(kind: type[Config], settings: Mapping[str, Any]) -> Config:
    return kind(**{field.name: settings[field.name] for field in fields(kind)})
