"""Which columns of a table are the images and the captions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from modalens.errors import InputError
from modalens.pairs.text import listed_names, spoken_name

# In the order in which they are taken.
_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo")
_TEXT_NAMES = (
    "caption", "captions", "text", "texts", "txt", "sentence", "sentences", "description", "alt_text", "prompt",
)  # fmt: skip


@dataclass(frozen=True)
class PairColumns:
    """Names of a table's columns.

    Attributes
    ----------
    image, text
        The images, and the captions.
    id
        What tells rows apart, or None.
    """

    image: str
    text: str
    id: str | None = None


def choose_columns(
    table: str,
    kinds: Mapping[str, str],
    *,
    image: str | None = None,
    text: str | None = None,
    id: str | None = None,  # noqa: A002 (as users write it)
) -> PairColumns:
    """Take the columns a user names, and guess those they do not.

    A guess is the first usual name (``image``, ``jpg``, ...; ``caption``, ``text``, ...; in any case) among
    the columns that can be it, or else the only column that can.

    Parameters
    ----------
    table
        What error sentences call the table.
    kinds
        Kind of each column: ``image``, ``text``, ``number`` or anything else.
    image, text, id
        Columns the user names.

    Raises
    ------
    ModalensError
        If a named column does not exist or cannot be what it is named for, or a guess finds none or several.
    """
    if id is not None:
        _require(table, kinds, id, "id", ("text", "number"))
    return PairColumns(
        image=_choose(table, kinds, image, "image", _IMAGE_NAMES),
        text=_choose(table, kinds, text, "text", _TEXT_NAMES),
        id=id,
    )


def _choose(table: str, kinds: Mapping[str, str], named: str | None, role: str, usual: Sequence[str]) -> str:
    if named is not None:
        _require(table, kinds, named, role, (role,))
        return named
    fitting = [column for column, kind in kinds.items() if kind == role]
    by_name = {column.lower(): column for column in reversed(fitting)}
    for name in usual:
        if name in by_name:
            return by_name[name]
    if len(fitting) == 1:
        return fitting[0]
    told = (
        f"several could be: {listed_names(fitting)}"
        if fitting
        else f"its columns are: {listed_names([f'{name} ({kind})' for name, kind in kinds.items()])}"
    )
    raise InputError(f"No column of {table} is plainly the {role} ({told}); name it with {role}=COLUMN.")


def _require(table: str, kinds: Mapping[str, str], column: str, role: str, allowed: Collection[str]) -> None:
    if column not in kinds:
        raise InputError(
            f"{table} has no column '{spoken_name(column)}'; its columns are: {listed_names(kinds)}."
        )
    if kinds[column] not in allowed:
        raise InputError(
            f"The column '{spoken_name(column)}' of {table} cannot be the {role}: it holds {kinds[column]} values."
        )
