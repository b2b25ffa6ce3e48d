"""Take a dictionary that was trained elsewhere into a run, where it is encoded, scored and interpreted like its own."""

from collections.abc import Mapping
from typing import Any

from modalens.errors import InputError
from modalens.features import FeatureModel, load_features
from modalens.features.registry import kind_of_card
from modalens.runs.import_config import ImportConfig
from modalens.runs.inputs import imported_kept
from modalens.runs.layout import LearnedFeatures, RunFolder
from modalens.runs.learning import check_name
from modalens.store.kept import stable
from modalens.store.lock import alone_in


def import_features(run: RunFolder, config: ImportConfig) -> LearnedFeatures:
    """Register a dictionary in a run; from then on it is one of the run's sets of features.

    Parameters
    ----------
    run
        The run.
    config
        Which dictionary, and its name.

    Returns
    -------
    LearnedFeatures
        Where it lies in the run.

    Raises
    ------
    ModalensError
        If it cannot be read, is of another width than the embeddings, or the name is taken by other features.
    """
    if config.features is None:
        raise InputError("Name a dictionary to take into the run.")
    model = load_features(config.features)
    store = run.store()
    width = int(store.image.shape[1])
    if model.config.d != width:
        raise InputError(
            f"{config.features} is a dictionary of embeddings of width {model.config.d}; those of the run have width "
            f"{width}."
        )
    name = config.name or model.config.label
    check_name(name)
    where = run.learned(name)
    kept = imported_kept(where.folder, store, _source(model))
    with alone_in(where.folder):
        before = kept.recorded_inputs()
        if (before is None and where.is_trained) or (
            before is not None and not _same(before, kept.all_inputs())
        ):
            raise InputError(
                f"The run has other features of the name {where.name}; give these a name of their own with --name."
            )
        if kept.problem() is not None:
            kept.begin()
            model.save(where.folder)
            kept.finish()
    return where


def _source(model: FeatureModel) -> dict[str, Any]:
    """What tells a dictionary from every other."""
    card = model.card()
    return {"what": kind_of_card(card).model_class.describe(card), "weights_sha256": card["weights_sha256"]}


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether features are these, whatever the embeddings of the run were then."""
    return bool(before.get("imported") == stable(now)["imported"])
