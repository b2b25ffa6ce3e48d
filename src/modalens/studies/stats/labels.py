"""Labels of pairs from values of any type, as metadata holds them; what is no label is left out and told."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

from modalens.errors import InputError

LONGEST = 200
"""Characters that a label may have; what is longer is prose."""
_LABELS = (Real, Decimal, np.bool_, date, time, timedelta, np.datetime64, np.timedelta64, UUID)
_NO_LABELS = {
    "a list": (list, tuple, set, frozenset, np.ndarray),
    "an object": (dict,),
    "bytes": (bytes, bytearray, memoryview),
}


@dataclass(frozen=True, eq=False)
class Labels:
    """One label a pair.

    Attributes
    ----------
    texts
        As text, without blanks around it, (n,) objects; None where a pair has no label.
    notes
        A sentence on what was in the place of a label and is none, and on labels that differ only in capitals.
    """

    texts: np.ndarray
    notes: tuple[str, ...]


def read_labels(values: Sequence[Any] | np.ndarray) -> Labels:
    """The labels that values stand for.

    Texts are taken without the blanks around them, and with one where several follow each other; a whole number is the
    same label as an integer and as a float, true and false are ``True`` and ``False``. None, NaN and blank texts are
    no label. Lists, objects, bytes and texts of over 200 characters are none either, and are counted.

    Parameters
    ----------
    values
        One a pair.

    Raises
    ------
    InputError
        If pairs have values and none of them is a label.
    """
    texts = np.empty(len(values), dtype=object)
    odd: Counter[str] = Counter()
    # Of a few labels there are millions of values; what cannot be a key is no label.
    known: dict[tuple[type, Any], str | None] = {}
    for row, value in enumerate(values):
        if _is_missing(value):
            continue
        if (kind := _no_label(value)) is not None:
            odd[kind] += 1
            continue
        key = (type(value), value)
        if key not in known:
            known[key] = _text(value)
        texts[row] = known[key]
    found = {text for text in known.values() if text is not None}
    told = " and ".join(
        f"{count:,} {'holds' if count == 1 else 'hold'} {kind}" for kind, count in odd.items()
    )
    if odd and not found:
        raise InputError(
            f"No pair has a label: of {len(texts):,} pairs {told}; name a metadata column that holds short texts or "
            "numbers."
        )
    notes = [f"Left out: of {len(texts):,} pairs {told} in the place of a label."] if odd else []
    return Labels(texts, (*notes, *_differ_in_capitals(found)))


def _no_label(value: Any) -> str | None:
    """What a value is that can be no label; None for one that can."""
    if isinstance(value, str):
        return f"a text of over {LONGEST} characters" if len(value.strip()) > LONGEST else None
    for kind, types in _NO_LABELS.items():
        if isinstance(value, types):
            return kind
    return None if isinstance(value, _LABELS) else f"a {type(value).__name__}"


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, Real | Decimal | np.datetime64 | np.timedelta64) and bool(value != value)


def _text(value: Any) -> str | None:
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real | Decimal):
        number = float(value)
        return f"{value:.0f}" if math.isfinite(number) and value == value // 1 else str(value)
    return " ".join(str(value).split()) or None


def _differ_in_capitals(labels: set[str]) -> list[str]:
    alike: dict[str, list[str]] = {}
    for label in sorted(labels):
        alike.setdefault(label.casefold(), []).append(label)
    pairs = [each for each in alike.values() if len(each) > 1]
    if not pairs:
        return []
    shown = ", ".join(" and ".join(repr(label) for label in each) for each in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return [f"Labels that differ only in capitals count as different ones: {shown}{more}."]
