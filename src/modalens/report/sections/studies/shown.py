"""Studies of one kind side by side, as tables that read without knowing the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from modalens.report.data import ReportData, StudyOf
from modalens.report.media import data_url
from modalens.report.naming import capitalised, count, interval, number


@dataclass(frozen=True)
class ShownTable:
    """A table ready to print: a caption, column heads, and cells as (text, small print) pairs."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[tuple[str, str]]]
    numeric: Sequence[bool]


# Under this, three digits would show a p of 0.
_LEAST_P = 0.0005


@dataclass(frozen=True)
class ShownStudy:
    """One study: its sentences by representation, its tables and pictures by encoder, the main one first.

    A picture is (address, caption), its bytes written into the address; ``members`` are the results themselves.
    """

    name: str
    title: str
    members: Sequence[StudyOf]
    statements: Mapping[str, Sequence[str]]
    tables: Mapping[str, Sequence[ShownTable]]
    pictures: Mapping[str, Sequence[tuple[str, str]]]


def shown_studies(data: ReportData) -> list[ShownStudy]:
    """Every study once, with the tables of all representations of an encoder joined."""
    found: dict[str, list[StudyOf]] = {}
    for each in data.studies:
        found.setdefault(each.result.name, []).append(each)
    shown = []
    for name, members in found.items():
        statements = {
            each.features: each.result.statements
            for each in members
            if each.encoder == data.main.name and each.result.statements and not each.baseline_of
        }
        tables, pictures = {}, {}
        encoders = dict.fromkeys(each.encoder for each in members)
        for encoder in sorted(encoders, key=lambda encoder: encoder != data.main.name):
            own = [each for each in members if each.encoder == encoder]
            frames = {
                key: joined(own, key)
                for key in dict.fromkeys(key for each in own for key in each.result.tables)
            }
            tables[encoder] = [
                shown_table(
                    frame.drop(columns="encoder"), capitalised(key.replace("_", " ").replace("-", " "))
                )
                for key, frame in frames.items()
                if len(frame)
            ]
            pictures[encoder] = [
                (data_url(picture.png), f"{each.features}: {picture.caption}")
                for each in own
                for picture in each.result.pictures.values()
            ]
        shown.append(ShownStudy(name, members[0].result.title, members, statements, tables, pictures))
    return shown


def joined(members: Sequence[StudyOf], table: str) -> pd.DataFrame:
    """One table of several runs of a study, with columns that say of what."""
    frames = []
    for each in members:
        if table in each.result.tables and len(each.result.tables[table]):
            frame = each.result.tables[table].copy()
            frame.insert(0, "representation", each.features)
            frame.insert(1, "encoder", each.encoder)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def study_tables(members: Sequence[StudyOf]) -> dict[str, pd.DataFrame]:
    """Every table of some studies by file name, with the runs of one study joined."""
    found: dict[tuple[str, str], list[StudyOf]] = {}
    for each in members:
        for table in each.result.tables:
            found.setdefault((each.result.name, table), []).append(each)
    return {f"{name}_{table}": joined(own, table) for (name, table), own in found.items()}


def shown_table(frame: pd.DataFrame, caption: str) -> ShownTable:
    """Shape a frame for people: ``x``, ``x_low`` and ``x_high`` become one cell with its interval."""
    heads, columns, numeric = [], [], []
    ends = {name: (f"{name}_low", f"{name}_high") for name in frame.columns}
    ends = {name: pair for name, pair in ends.items() if {*pair} <= {*frame.columns}}
    for name in frame.columns.drop([end for pair in ends.values() for end in pair]):
        values = frame[name]
        is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        small = [""] * len(frame)
        if name in ends:
            bounds = zip(*(frame[end] for end in ends[name]), strict=True)
            small = ["" if pd.isna(low) else interval(float(low), float(high)) for low, high in bounds]
        heads.append(capitalised(str(name).replace("_", " ")))
        whole = pd.api.types.is_integer_dtype(values)
        cells = [_cell(value, whole) for value in values]
        if str(name).split("_")[0] in ("p", "q"):  # no p is 0
            cells = [
                "< 0.001" if value < _LEAST_P else cell for value, cell in zip(values, cells, strict=True)
            ]
        columns.append(list(zip(cells, small, strict=True)))
        numeric.append(is_number)
    return ShownTable(caption, heads, list(zip(*columns, strict=True)), numeric)


def _cell(value: Any, whole: bool) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return number(None)
    if not isinstance(value, Real):
        return str(value)
    return count(float(value)) if whole or isinstance(value, Integral) else number(float(value))
