"""Options, defined once: frozen dataclasses that check themselves.

A field made with :func:`option` carries its default, its help, its unit and its range. The Python call, the command
line and recipes all read them from there, so a default cannot differ between the three.
"""

import dataclasses
import math
import reprlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from modalens.errors import InputError

# What steps and studies share; named here, where no library is needed.
DEFAULT_ESTIMATOR = "mean_ratio"
DEFAULT_RULE = "twofold"

# Numbers are handed to libraries that count in 64 bits.
WIDEST = 2**63
_KEY = "modalens"
_SHORTLY = reprlib.Repr()
_SHORTLY.maxstring = _SHORTLY.maxother = 200
Choices = Sequence[str] | Callable[[], Sequence[str]]


@dataclass(frozen=True)
class About:
    """What is known of one option beside its type and default.

    Attributes
    ----------
    help
        One sentence for people, without the default and the range.
    unit
        What a number counts, such as "pairs".
    least, most
        Bounds that are allowed themselves.
    over, under
        Bounds that are not.
    choices
        The values there are, or a function that gives them (for names that a registry knows).
    """

    help: str
    unit: str | None = None
    least: float | None = None
    most: float | None = None
    over: float | None = None
    under: float | None = None
    choices: Choices | None = None

    def names(self) -> tuple[str, ...] | None:
        """The values there are; None where any is taken."""
        if self.choices is None:
            return None
        return tuple(self.choices() if callable(self.choices) else self.choices)

    def range(self) -> str:
        """The bounds in words, such as "at least 1 and under 10"; empty where there are none."""
        words = {"least": "at least", "over": "over", "most": "at most", "under": "under"}
        bounds = [(words[name], getattr(self, name)) for name in words]
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def option(default: Any, help: str, **about: Any) -> Any:  # noqa: A002 (the name every command line gives it)
    """A field of an :class:`Options` dataclass.

    Parameters
    ----------
    default
        Its default; ``dataclasses.MISSING`` for an option that must be given.
    help, about
        See :class:`About`.
    """
    return dataclasses.field(default=default, metadata={_KEY: About(help, **about)})


def about_of(field: "dataclasses.Field[Any]") -> About:
    """What is known of a field; only a field made with :func:`option` says more than its name."""
    found: About = field.metadata.get(_KEY, About(field.name.replace("_", " ").capitalize() + "."))
    return found


@dataclass(frozen=True)
class Options:
    """Base of every configuration: checks types, ranges and choices when it is made.

    Raises
    ------
    InputError
        If a value has the wrong type, is out of range or is none of the choices.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = checked(field.name, getattr(self, field.name), hints[field.name], about_of(field))
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, config: Self | None, options: Mapping[str, Any], what: str = "This call") -> Self:
        """A configuration with some of its options replaced; the defaults where none is given.

        Raises
        ------
        InputError
            If there is no option of a name, or a value does not fit.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise InputError(f"{what} has no option {name!r}; it takes {', '.join(known)}.")
        if config is not None:
            return dataclasses.replace(config, **options)
        missing = [field.name for field in dataclasses.fields(cls) if is_required(field)]
        missing = [name for name in missing if name not in options]
        if missing:
            raise InputError(f"{what} lacks {', '.join(missing)}.")
        return cls(**options)


Config = TypeVar("Config", bound=Options)


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Whether an option has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def shortly(value: Any) -> str:
    """A value as it is written in Python, cut where it is long, for a sentence that refuses it."""
    return _SHORTLY.repr(value)


def checked(name: str, value: Any, hint: Any, about: About) -> Any:
    """The value as its type has it (a whole number for an int, a tuple for a list), if it fits.

    Raises
    ------
    InputError
        If it does not.
    """
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = next(each for each in kinds if each is not type(None))
    if typing.get_origin(kind) is tuple:
        (item, *_) = typing.get_args(kind)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise InputError(f"{name} is {shortly(value)}; it must be a list.")
        return tuple(_checked_one(name, each, item, about) for each in value)
    return _checked_one(name, value, kind, about)


def _checked_one(name: str, value: Any, kind: Any, about: About) -> Any:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()  # a number of an array counts as the number it is
    if isinstance(value, int) and not -WIDEST <= value < WIDEST:
        raise InputError(f"{name} is a number of more than 64 bits; give a smaller one.")
    fits = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value, fits = float(value), True
    elif kind is Path and isinstance(value, str):
        value, fits = Path(value), True
    elif kind is str and isinstance(value, Path):
        value, fits = str(value), True
    if not fits:
        raise InputError(f"{name} is {shortly(value)}; it must be {words.get(kind, kind)}.")
    if isinstance(value, str | Path):
        _check_text(name, str(value))
    names = about.names()
    if names is not None and value not in names:
        raise InputError(
            f"There is no {name.replace('_', ' ')} {shortly(value)}; choose one of {', '.join(names)}."
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        within = (
            (about.least is None or value >= about.least)
            and (about.most is None or value <= about.most)
            and (about.over is None or value > about.over)
            and (about.under is None or value < about.under)
        )
        if not within or not math.isfinite(value):
            raise InputError(f"{name} is {value}; it must be {about.range() or 'a finite number'}.")
    return value


def _check_text(name: str, value: str) -> None:
    """Refuse text that no file, model or column can be named with."""
    if not value:
        raise InputError(f"{name} is empty; give a value or leave it out.")
    if "\0" in value or (not value.isascii() and not _in_unicode(value)):
        raise InputError(f"{name} is {shortly(value)}; it must be text without NUL, in valid Unicode.")


def _in_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, or bytes of a command line that are not UTF-8
        return False
    return True
