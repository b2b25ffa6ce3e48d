"""The packages that only the demo needs."""

from importlib import import_module
from typing import Any

from modalens.errors import MissingPackageError


def demo_package(name: str, what: str = "The demo encoder") -> Any:
    """Import a package of the ``demo`` extra.

    Parameters
    ----------
    name
        Of the module.
    what
        What needs it, as the subject of a sentence.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPackageError.of(what, name, "demo") from error
