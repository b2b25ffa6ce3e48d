"""What is computed once and kept: tensors with their JSON description, whole or not at all."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import torch
from filelock import FileLock, Timeout
from platformdirs import user_cache_dir
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from modalens.errors import InputError

logger = logging.getLogger(__name__)

# Named tensors, and what is to be known about them in plain JSON values.
Entry: TypeAlias = tuple[dict[str, torch.Tensor], dict[str, Any]]

_DESCRIPTION = "modalens"


def cache_folder() -> Path:
    """Where modalens keeps what it computed: ``$MODALENS_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("MODALENS_CACHE") or user_cache_dir("modalens"))


def cached(name: str, build: Callable[[], Entry]) -> Entry:
    """Read an entry of the cache, or build and keep it.

    An entry is one safetensors file with its description as JSON in the header. It appears by a rename
    once it is whole, and one process builds while others wait for it.

    Parameters
    ----------
    name
        Path of the entry in the cache folder; it must carry a hash of everything the entry depends on.
    build
        Makes the entry.

    Raises
    ------
    ModalensError
        If the cache folder cannot be written, or the disk is full.
    """
    path = cache_folder() / name
    if (entry := _read(path)) is not None:
        logger.debug("Read %s", path)
        return entry
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            if (entry := _read(path)) is None:
                entry = build()
                _write(path, *entry)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"The cache folder {path.parent} cannot be written ({error}); free some space there, or point "
            "MODALENS_CACHE at another folder."
        ) from error
    return entry


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of an entry; say so when that takes waiting."""
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("Another process is making %s; waiting for it.", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _read(path: Path) -> Entry | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads(file.metadata()[_DESCRIPTION])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        logger.warning("The cache entry %s is damaged (%s) and is made anew.", path, error)
        return None


def _write(path: Path, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> None:
    # The lock is held, so one name will do; what a killed process left under it is overwritten.
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(dict(tensors), partial, metadata={_DESCRIPTION: json.dumps(description)})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
