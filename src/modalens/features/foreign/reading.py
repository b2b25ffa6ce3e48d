"""Open a dictionary of another library, whichever it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modalens.errors import InputError
from modalens.features.foreign import (
    dictionary_learning,
    mapped,
    overcomplete,
    prisma,
    saelens,
    saev,
    sparsify,
)
from modalens.features.foreign.dictionary import Dictionary
from modalens.features.foreign.model import ImportedEncoder
from modalens.features.foreign.opened import Opened


@dataclass(frozen=True)
class Format:
    """How one library keeps its dictionaries.

    Attributes
    ----------
    name
        What it is called here.
    recognises
        Whether files are of this format.
    read
        The dictionary in them.
    """

    name: str
    recognises: Callable[[Opened], bool]
    read: Callable[[Opened], Dictionary]


# In this order: what is said by hand comes first, and what needs the weights last.
FORMATS = tuple(
    Format(each.NAME, each.recognises, each.read)
    for each in (mapped, saelens, sparsify, dictionary_learning, saev, prisma, overcomplete)
)


def read_foreign(where: str | Path) -> ImportedEncoder:
    """A dictionary that another library wrote; without running any code from its files.

    Parameters
    ----------
    where
        Its folder, its weights, or a ``modalens.json`` that says what the tensors of a state dictionary are.

    Raises
    ------
    ModalensError
        If there is none, it is damaged, or something about it is not known here.
    """
    opened = Opened(where)
    for each in FORMATS:
        if each.recognises(opened):
            return each.read(opened).model(opened.where)
    names = ", ".join(each.name for each in FORMATS)
    raise InputError(
        f"{opened.where} is no dictionary of a format that is known ({names}); write modalens.json beside it, which "
        "says what its tensors are."
    )
