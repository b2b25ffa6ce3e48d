"""Models of sentence-transformers as sample embedders."""

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.errors import InputError, MissingPackageError
from modalens.files import read_json
from modalens.towers.cards import versions
from modalens.towers.compute import full_precision, pick_device
from modalens.towers.hub import find_model
from modalens.towers.quiet import quiet
from modalens.towers.reading import readable
from modalens.towers.samples.base import BATCH
from modalens.towers.torchvision_check import check_torchvision

logger = logging.getLogger(__name__)

_SHORT_NAMES = {"all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2"}
_MODULES = "modules.json"
# Its parts lie in folders such as 1_Pooling and 2_Normalize; other folders hold copies of the weights.
_FURTHER_FILES = (_MODULES, "config_sentence_transformers.json", "sentence_*_config.json", "[0-9]*_*/*")
_WEIGHTS = ("*.safetensors", "*.bin")


class SentenceTransformerTexts:
    """A model of sentence-transformers; one vector a text, normalised if the model ends by normalising.

    Parameters
    ----------
    name
        What the user called it.
    model
        As sentence-transformers loads it.
    origin
        What the card says about where the weights come from.

    Attributes
    ----------
    cut
        How many texts were longer than the model's context so far.
    """

    modality = "text"

    def __init__(self, name: str, model: Any, origin: Mapping[str, Any]) -> None:
        self.name = name
        self._model = model
        self._origin = dict(origin)
        self.cut = 0
        self.dim = int(self._encode(["a"]).shape[1])

    def embed(self, samples: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Embed texts; what is longer than the model's context is cut."""
        if not samples:
            return np.empty((0, self.dim), dtype=np.float32)
        self.cut += self._count_longer(samples)
        return self._encode(samples)

    def cut_sentence(self, total: int) -> str | None:
        """What is to be known of texts that were cut, of so many; None where none was."""
        if not self.cut:
            return None
        most = self._model.max_seq_length
        return (
            f"{self.name} reads the first {most} tokens of a text: {self.cut:,} of {total:,} texts are longer and are "
            "compared by their beginning."
        )

    def _count_longer(self, texts: Sequence[str]) -> int:
        most = self._model.max_seq_length
        # A token stands for a byte at least, beside one that begins and one that ends a text.
        long = [
            text for text in texts if most is not None and len(text.encode("utf-8", "replace")) + 2 > most
        ]
        if not long:
            return 0
        tokens = self._model.tokenizer(long, truncation=False, padding=False, verbose=False)["input_ids"]
        return sum(len(each) > most for each in tokens)

    def card(self) -> dict[str, Any]:
        """Where the weights come from, the parts of the model and the versions."""
        return {
            "model": self.name,
            **self._origin,
            "class": "SentenceTransformer",
            "dim": self.dim,
            "modules": [type(module).__name__ for module in self._model],
            "normalised": any(type(module).__name__ == "Normalize" for module in self._model),
            "preprocessing": {"tokens": self._model.max_seq_length},
            "versions": versions("torch", "transformers", "sentence-transformers"),
        }

    def _encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        with full_precision(self._model.device):
            rows = self._model.encode(
                list(texts), batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True
            )
        return np.asarray(rows, dtype=np.float32)


def load(name: str, *, device: str | None, revision: str | None, unknown: str) -> SentenceTransformerTexts:
    """Load a model of sentence-transformers by its folder or hub id.

    Parameters
    ----------
    name, device, revision
        As :func:`modalens.towers.samples.load_sample_embedder` reads them.
    unknown
        The sentence for a name that is neither a path nor a hub id.

    Raises
    ------
    ModalensError
        If there is no such model, it cannot be fetched, it is none of sentence-transformers, or parts are missing or
        damaged.
    """
    check_torchvision()
    library = require_sentence_transformers()
    found = find_model(name, revision, further=_FURTHER_FILES, hub_id=_SHORT_NAMES.get(name), unknown=unknown)
    folder = found.path
    origin = found.origin({path for pattern in _WEIGHTS for path in folder.rglob(pattern)})
    chosen = pick_device(device)
    _require_own_modules(name, folder)
    with quiet(), readable(name, "model", folder):
        model = library.SentenceTransformer(str(folder), device=str(chosen), local_files_only=True)
        model.eval().requires_grad_(False)
        embedder = SentenceTransformerTexts(name, model, origin)
    logger.info("Loaded %s, a SentenceTransformer, on %s.", name, chosen)
    return embedder


def require_sentence_transformers() -> Any:
    """The package.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    try:
        return import_module("sentence_transformers")
    except ImportError as error:
        raise MissingPackageError(
            "Embedding texts with a model of sentence-transformers needs that package; install it with "
            "pip install sentence-transformers."
        ) from error


def _require_own_modules(name: str, folder: Path) -> None:
    """Refuse models that bring code of their own, which older versions of the library run from a folder."""
    if not (folder / _MODULES).is_file():
        raise InputError(f"{name} has no {_MODULES}, so it is no model of sentence-transformers.")
    with readable(name, _MODULES):
        path = folder / _MODULES
        kinds = [str(module["type"]) for module in read_json(path, f"The file {path}", list)]
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise InputError(
                f"{name} brings code of its own ({kind}), which modalens does not run; take another model."
            )
