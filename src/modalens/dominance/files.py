"""Dominance on disk: one column per number a feature has, and a header for the rest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.dominance.classes import RULES
from modalens.dominance.result import Dominance, LabelSwapNull
from modalens.errors import ModalensError
from modalens.store.atomic import whole_file
from modalens.store.documents import (
    checked,
    nan_to_null,
    null_to_nan,
    read_document,
    require_file,
    stamped,
    write_document,
)

_KIND = "modalens.Dominance"
_SCHEMA_VERSION = 1
_METADATA_KEY = b"modalens"
_SETTINGS = (
    "estimator",
    "rule",
    "normalize",
    "modalities",
    "n_pairs",
    "resamples",
    "seed",
    "source",
    "version",
)
_SIDES = ("text", "cross", "image")  # names of the class columns, whatever the modalities are called


def save_dominance(dominance: Dominance, path: Path) -> None:
    """Write JSON or Parquet, by the suffix."""
    header, columns = _header(dominance), _columns(dominance)
    if _suffix(path) == ".json":
        lists = {name: column.tolist() for name, column in columns.items()}
        write_document(path, _KIND, _SCHEMA_VERSION, {**header, "columns": lists})
        return
    text = json.dumps(nan_to_null(stamped(_KIND, _SCHEMA_VERSION, header)))
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    with whole_file(path) as partial:
        pq.write_table(table.replace_schema_metadata({_METADATA_KEY: text.encode()}), partial)


def load_dominance(path: Path) -> Dominance:
    """Read JSON or Parquet, by the suffix."""
    header, columns = _read_json(path) if _suffix(path) == ".json" else _read_parquet(path)
    try:
        return _assemble(header, columns)
    except (KeyError, TypeError, ValueError) as error:
        raise ModalensError(f"{path} is damaged ({error!r}); score the embeddings again.") from error


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".json", ".parquet"):
        raise ModalensError(f"Dominance is kept in .json or .parquet files, and {path} is neither.")
    return suffix


def _header(dominance: Dominance) -> dict[str, Any]:
    header = {name: getattr(dominance, name) for name in _SETTINGS}
    header["modalities"] = list(dominance.modalities)
    header["source"] = dict(dominance.source)
    header["count_ranges"] = {rule: dominance.count_ranges[rule].tolist() for rule in RULES}
    null = dominance.null
    header["null"] = null and {
        "stds": null.stds.tolist(),
        "class_counts": {rule: dict(counts) for rule, counts in null.class_counts.items()},
    }
    return header


def _columns(dominance: Dominance) -> dict[str, np.ndarray]:
    columns = {name: getattr(dominance, name) for name in ("score", "low", "high", "pairs")}
    columns["label"] = dominance.labels  # for people who open the file; not read back
    for rule in RULES:
        for side, share in zip(_SIDES, dominance.class_shares[rule].T, strict=True):
            columns[f"p_{rule}_{side}"] = np.ascontiguousarray(share)
    if dominance.null is not None:
        columns["null_score"] = dominance.null.scores
    return columns


def _read_json(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    header = read_document(path, _KIND, _SCHEMA_VERSION)
    return header, header.get("columns", {})


def _read_parquet(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    require_file(path)
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ModalensError(f"{path} is not a Parquet file; give a file that modalens wrote.") from error
    text = (table.schema.metadata or {}).get(_METADATA_KEY, b"null")
    header = checked(json.loads(text), _KIND, _SCHEMA_VERSION, path)
    return header, {name: table[name].to_numpy() for name in table.column_names}


def _assemble(header: dict[str, Any], columns: dict[str, Any]) -> Dominance:
    def numbers(name: str) -> np.ndarray:
        return np.array(columns[name], dtype=np.float64)  # null becomes NaN

    shares = {rule: np.stack([numbers(f"p_{rule}_{side}") for side in _SIDES], axis=1) for rule in RULES}
    ranges = {rule: np.array(header["count_ranges"][rule], dtype=np.float64) for rule in RULES}
    null = header["null"] and LabelSwapNull(
        scores=numbers("null_score"),
        stds=np.array(header["null"]["stds"], dtype=np.float64),
        class_counts={
            rule: {name: null_to_nan(count) for name, count in counts.items()}
            for rule, counts in header["null"]["class_counts"].items()
        },
    )
    settings = {name: header[name] for name in _SETTINGS}
    settings["modalities"] = tuple(settings["modalities"])
    return Dominance(
        score=numbers("score"),
        low=numbers("low"),
        high=numbers("high"),
        pairs=np.array(columns["pairs"], dtype=np.int64),
        class_shares=shares,
        count_ranges=ranges,
        null=null,
        **settings,
    )
