"""Refuse a torchvision that does not match torch before it breaks somebody else's import."""

import importlib
import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, version

from modalens.errors import InputError


def check_torchvision() -> None:
    """Make sure that torchvision is either absent or importable.

    transformers imports torchvision whenever it is installed. A build made for another torch fails there
    with an error about a missing operator, far from its cause, so this is called before that import.

    Raises
    ------
    ModalensError
        If torchvision is installed and cannot be imported.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # what a mismatched build raises depends on both versions
        raise InputError(
            f"The installed torchvision {_version('torchvision')} does not work with torch {_version('torch')} "
            f"({_first_line(error)}): uninstall it with pip uninstall torchvision, since modalens does not need "
            "it, or install the torchvision made for this torch."
        ) from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
