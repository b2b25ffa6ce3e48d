"""Open trained features, whichever kind they are."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from modalens.errors import ModalensError
from modalens.features.base import SCHEMA_VERSION, FeatureModel
from modalens.features.config import CONFIG_NAME
from modalens.features.registry import FeatureKind, kind_named, kinds


def load_features(where: str | Path) -> FeatureModel:
    """Load trained features of any kind; the class is that of what is saved.

    Parameters
    ----------
    where
        A folder that features were saved to, or its ``config.json`` or weights.

    Raises
    ------
    ModalensError
        If there are none, or the files are damaged or of a newer modalens.
    """
    folder = Path(where)
    folder = folder.parent if folder.is_file() else folder
    if not (folder / CONFIG_NAME).is_file():
        raise ModalensError(f"{folder} holds no trained features; name a folder that modalens train wrote.")
    try:
        document = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        kind = _kind(document)
        if kind is None or document["schema"] != SCHEMA_VERSION:
            raise ModalensError(f"{folder} does not hold features that this modalens reads.")
        config = kind.config_class(**document["config"])
        found: FeatureModel = kind.model_class(config, load_file(folder / kind.model_class.weights_name))
    except ModalensError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, SafetensorError, OSError) as error:
        raise ModalensError(f"The features in {folder} cannot be read ({error}).") from error
    return found


def _kind(document: dict[str, Any]) -> FeatureKind | None:
    """The kind that a saved document is of."""
    for kind in map(kind_named, kinds()):
        named = document["config"].get("kind", kind.name)
        if document["kind"] == kind.model_class.document and named == kind.name:
            return kind
    return None
