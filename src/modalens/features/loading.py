"""Open trained features, whichever kind they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from modalens.errors import ModalensError, StoreError
from modalens.features.base import SCHEMA_VERSION, FeatureModel
from modalens.features.config import CONFIG_NAME
from modalens.features.foreign.opened import WEIGHT_SUFFIXES
from modalens.features.foreign.reading import read_foreign
from modalens.features.registry import FeatureKind, kinds_on_disk
from modalens.features.tensor_files import read_safetensors
from modalens.files import read_json
from modalens.store.kept import check_recorded
from modalens.towers.cards import tensors_sha256

_AGAIN = "train the features again"


def load_features(where: str | Path) -> FeatureModel:
    """Load trained features of any kind, whichever library wrote them; the class is that of what is saved.

    Parameters
    ----------
    where
        A folder that features were saved to, or its ``config.json`` or weights; for those of other libraries see
        :func:`modalens.features.foreign.reading.read_foreign`.

    Raises
    ------
    ModalensError
        If there are none, or the files are damaged or of a newer modalens.
    """
    folder = Path(where)
    folder = folder.parent if folder.is_file() else folder
    path = folder / CONFIG_NAME
    if not path.is_file() and not _foreign_files(Path(where)):
        raise ModalensError(
            f"{folder} holds no trained features; name a folder that modalens train or another library wrote."
        )
    check_recorded(folder)
    document = read_json(path, f"The configuration {path}", dict, advice=_AGAIN) if path.is_file() else {}
    if "kind" not in document and _foreign_files(Path(where)):
        return read_foreign(where)
    return features_of(document, lambda name: _weights(folder / name), str(folder))


def features_of(
    document: dict[str, Any], weights: Callable[[str], dict[str, Tensor]], where: str
) -> FeatureModel:
    """Features from what :meth:`FeatureModel.config_document` gave and their weights.

    Parameters
    ----------
    document
        Kind, schema, configuration and checksum.
    weights
        Gives the tensors by name, from the name of their file.
    where
        What errors name.

    Raises
    ------
    ModalensError
        If they are damaged or of a newer modalens.
    """
    try:
        kind = _kind(document)
        if kind is None or document["schema"] != SCHEMA_VERSION:
            raise ModalensError(f"{where} does not hold features that this modalens reads.")
        config = kind.config_class(**document["config"])
        found: FeatureModel = kind.model_class(config, weights(kind.model_class.weights_name))
    except ModalensError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise StoreError(f"The features in {where} cannot be read ({said}); {_AGAIN}.") from error
    # Files of earlier versions do not say it.
    if document.get("weights_sha256", own := tensors_sha256(found.state())) != own:
        raise StoreError(
            f"The weights {kind.model_class.weights_name} in {where} are damaged: their checksum differs from the "
            f"one in its configuration; {_AGAIN}."
        )
    return found


def _weights(path: Path) -> dict[str, Tensor]:
    return read_safetensors(path, f"The weights file {path}", _AGAIN)[0]


def _foreign_files(where: Path) -> bool:
    """Whether another library may have written what is there."""
    if where.is_file():
        return where.name != CONFIG_NAME
    return where.is_dir() and any(each.suffix in WEIGHT_SUFFIXES for each in where.iterdir())


def _kind(document: dict[str, Any]) -> FeatureKind | None:
    """The kind that a saved document is of."""
    for kind in kinds_on_disk():
        named = document["config"].get("kind", kind.name)
        if document["kind"] == kind.model_class.document and named == kind.name:
            return kind
    return None
