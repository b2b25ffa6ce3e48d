"""Find a model's files: in a folder here, or on the Hugging Face hub."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalens.errors import InputError
from modalens.hashing import sha256_of
from modalens.hub_errors import hub_sentences

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# Files at the root of the repository only: many carry further copies of the weights in folders.
_DESCRIPTION = [
    "config.json",
    "*processor_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
]
_VOCABULARY = ["vocab.json", "vocab.txt", "merges.txt", "*.model"]
_SAFETENSORS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
_PICKLED = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]


@dataclass(frozen=True)
class ModelFolder:
    """Where a model's files are.

    Attributes
    ----------
    path
        The folder.
    commit
        Of the hub; None for a folder of the user's.
    """

    path: Path
    commit: str | None = None

    def origin(self, weights: Iterable[Path]) -> dict[str, Any]:
        """What a card says about where the weights come from: the commit, else the SHA-256 of each file."""
        if self.commit is not None:
            return {"revision": self.commit}
        sums = {path.relative_to(self.path).as_posix(): sha256_of(path) for path in sorted(weights)}
        return {"weights_sha256": sums} if sums else {}


def find_model(
    name: str,
    revision: str | None = None,
    *,
    further: Sequence[str] = (),
    hub_id: str | None = None,
    unknown: str | None = None,
) -> ModelFolder:
    """The folder of a model that a user names, after a download if it lies on the hub.

    Parameters
    ----------
    name
        A folder, or a hub id.
    revision
        Branch, tag or commit of a hub id.
    further
        Patterns of files that this kind of model needs beside weights, configuration and tokenizer, in folders too.
    hub_id
        What a short name stands for on the hub.
    unknown
        The sentence for a name that is neither a path nor a hub id.

    Raises
    ------
    InputError
        If there is no such folder, model or revision, a folder is given a revision, the model is gated, or the hub
        cannot be reached.
    """
    folder = _local_folder(name, revision)
    if folder is not None:
        return ModelFolder(folder)
    hub_id = name if hub_id is None else hub_id
    _require_hub_id(hub_id, name, unknown)
    path = download(hub_id, revision, _DESCRIPTION + _VOCABULARY + _SAFETENSORS)
    if not any(path.glob("model*.safetensors")):
        path = download(hub_id, revision, _PICKLED)
    if further:
        path = download(hub_id, revision, further, leave_out=())
    # The hub's cache names the folder of a snapshot after its commit.
    return ModelFolder(path, path.name)


def find_description(name: str, revision: str | None = None, *, unknown: str | None = None) -> Path:
    """A folder with what describes a model (configuration, processor, tokenizer), without its weights.

    Parameters and errors are those of :func:`find_model`.
    """
    folder = _local_folder(name, revision)
    if folder is not None:
        return folder
    _require_hub_id(name, name, unknown)
    return download(name, revision, _DESCRIPTION)


def download(
    hub_id: str,
    revision: str | None,
    patterns: Sequence[str],
    *,
    leave_out: Sequence[str] = ("*/*",),
    what: str = "model",
    **options: Any,
) -> Path:
    """Folder with a repository's files that match, from the hub or its cache of earlier downloads.

    Parameters
    ----------
    hub_id, revision
        ``owner/name``, and branch, tag or commit.
    patterns, leave_out
        Of the files.
    what
        What lies there, as sentences call it.
    options
        For the hub's client, such as ``token``.

    Raises
    ------
    InputError
        If there is no such repository or revision, it is gated, or the hub cannot be reached.
    """
    import huggingface_hub

    with hub_sentences(hub_id, what, revision=revision):
        folder = huggingface_hub.snapshot_download(
            hub_id, revision=revision, allow_patterns=[*patterns], ignore_patterns=[*leave_out], **options
        )
    return Path(folder)


def _require_hub_id(hub_id: str, name: str, unknown: str | None) -> None:
    if not _HUB_ID.fullmatch(hub_id):
        raise InputError(unknown or f"There is no model {name!r}; name a folder with one, or its hub id.")


def _local_folder(name: str, revision: str | None) -> Path | None:
    """The folder, if there is one of this name; None for what may lie on the hub."""
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        if revision is not None:
            raise InputError(f"A revision was given for the folder {name}, which has none; leave it out.")
        return folder
    if name and folder.exists():
        raise InputError(f"{name} is a file; name the folder that holds the model.")
    if name.startswith((".", "~", "/")) or folder.is_absolute() or name.count("/") > 1 or "\\" in name:
        raise InputError(f"The model folder {name} does not exist.")
    return None
