"""The features of one representation for a page: a table of all, and each one's strongest pairs, memory-mapped."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import scipy.sparse as sp

from modalens.arrays import default_block_rows, iter_paired_blocks
from modalens.edit.energy_sets import feature_energy
from modalens.errors import StoreError
from modalens.explore.pair_index import CAPTION, PairIndex
from modalens.interpret import TopSamples, activation_histograms, top_samples
from modalens.runs.found_again import found_again
from modalens.runs.interpretation import Interpretation
from modalens.runs.interpreting import load_interpretation
from modalens.runs.naming import FOLDER as NAMES
from modalens.runs.naming import load_names
from modalens.runs.representations import Representation
from modalens.runs.subjects import StudySubject
from modalens.store.atomic import whole_file
from modalens.store.kept import Kept, kept_or_made, read_inputs
from modalens.store.metadata import PARQUET_DAMAGE
from modalens.store.npy import open_npy

SIDES = ("image", "text")
MOST_SAMPLES = 100
"""Strongest samples of each side that are kept of a feature."""
_TABLE = "features.arrow"
_LAYOUT = 1
_WORDS_FROM = 6
_LONGEST = 200
_ARRAYS = {
    **{f"{side}_{what}": kinds for side in SIDES for what, kinds in (("rows", "i"), ("values", "f"))},
    **{f"{side}_counts": "i" for side in SIDES},
    "edges": "f",
}
_OF_PAIRS = ("overlap", "first", "cross", "second", "least_agreement")


@dataclass(frozen=True)
class FeatureIndex:
    """Everything a page shows of a representation's features without reading the run.

    Attributes
    ----------
    table
        One row a feature, see :func:`_table`; memory-mapped.
    arrays
        ``image_rows`` and ``image_values``, (f, m): the strongest pairs of a feature by row of the store, -1 for none;
        ``edges`` (f, b + 1) and ``image_counts`` (f, b): histograms; the same for ``text``.
    pairs
        For each scored pair: ``overlap``, the mean share of either side's energy in features that fire on both;
        ``first``, ``cross`` and ``second``, the energy by class; ``least_agreement``, places in the order of rising
        overlap and, where it is equal, of rising cosine.
    modalities
        Names of the two sides.
    """

    table: pa.Table
    arrays: Mapping[str, np.ndarray]
    pairs: Mapping[str, np.ndarray]
    modalities: tuple[str, str]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> np.ndarray:
        """A column of the table."""
        found: np.ndarray = self._columns[name]
        return found

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many features there are of each class and each verdict, by ``label`` and ``verdict``."""
        found = {}
        for name in ("label", "verdict"):
            values, numbers = np.unique(self.column(name).astype(str), return_counts=True)
            couples = zip(values.tolist(), numbers.tolist(), strict=True)
            found[name] = {value: number for value, number in couples if value}
        return found

    @cached_property
    def _columns(self) -> "_Columns":
        return _Columns(self.table)


class _Columns(dict[str, np.ndarray]):
    """Columns as NumPy arrays, each made when it is first asked for."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, name: str) -> np.ndarray:
        self[name] = self._table.column(name).to_numpy()
        return self[name]


def feature_index(each: Representation, pairs: PairIndex, folder: Path) -> FeatureIndex:
    """The index of a representation's features, made once and kept in the folder.

    Raises
    ------
    ModalensError
        If the representation is damaged, or another process is making the index.
    """
    seeds = [str(model.card().get("weights_sha256")) for _, model in StudySubject.of(each).retrained()]
    inputs = {
        "layout": _LAYOUT,
        "of": dict(each.about()),
        "interpretation": read_inputs(each.folder / "interpret"),
        "names": read_inputs(each.folder / NAMES),
        "seeds": seeds,
    }
    kept = Kept(folder, "the index of the features", inputs, "modalens explore")

    def make() -> FeatureIndex:
        _make(each, pairs, folder)
        return _load(folder, each.mds.modalities)

    return kept_or_made(kept, lambda: _load(folder, each.mds.modalities), make)


def _load(folder: Path, modalities: tuple[str, str]) -> FeatureIndex:
    mend = f"remove {folder} and explore again"
    try:
        table = pyarrow.ipc.open_file(pa.memory_map(str(folder / _TABLE))).read_all()
    except PARQUET_DAMAGE as error:
        raise StoreError(f"{folder / _TABLE} cannot be read; {mend}.") from error
    arrays = {name: open_npy(folder / f"{name}.npy", 2, kinds, mend) for name, kinds in _ARRAYS.items()}
    pairs = {name: open_npy(folder / f"pairs_{name}.npy", 1, "if", mend) for name in _OF_PAIRS}
    return FeatureIndex(table, arrays, pairs, modalities)


def _make(each: Representation, pairs: PairIndex, folder: Path) -> None:
    found = load_interpretation(each)
    top = {side: _strongest(each, side) for side in SIDES}
    bins = activation_histograms(each.image, each.text) if found is None else found.histograms
    arrays = {"edges": bins.edges.astype(np.float32)}
    for side in SIDES:
        rows = top[side].rows
        arrays[f"{side}_rows"] = np.where(rows < 0, -1, each.rows[rows]).astype(np.int32)
        arrays[f"{side}_values"] = top[side].values
        arrays[f"{side}_counts"] = getattr(bins, side).astype(np.int32)
    for name, array in arrays.items():
        _save(folder / f"{name}.npy", array)
    for name, array in _pairs(each, pairs).items():
        _save(folder / f"pairs_{name}.npy", array)
    table = pa.Table.from_pandas(_table(each, found, top, pairs, arrays), preserve_index=False)
    with (
        whole_file(folder / _TABLE) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pyarrow.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def _save(path: Path, array: np.ndarray) -> None:
    with whole_file(path) as partial, partial.open("wb") as file:
        np.save(file, array)


def _strongest(each: Representation, side: str) -> TopSamples:
    """The strongest samples of a side, each image and each text once."""
    store = each.store
    if side == "image":
        groups = store.image_numbers
    else:
        groups = store.groups_by(CAPTION) if CAPTION in store.columns else None
    matrix = getattr(each, side)
    return top_samples(matrix, MOST_SAMPLES, groups=None if groups is None else groups[each.rows])


def _table(
    each: Representation,
    found: Interpretation | None,
    top: Mapping[str, TopSamples],
    pairs: PairIndex,
    arrays: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """One row a feature.

    ``feature``, ``label`` (class), ``certainty``, ``score`` (R) with ``low`` and ``high``, ``rate_image`` and
    ``rate_text`` (share of pairs it fires for), ``energy_image`` and ``energy_text`` (sum of squares), ``mono_image``,
    ``mono_text`` and ``mono`` (of its own side, the mean of both for cross-modal ones), ``verdict``, ``partner`` and
    ``correlation``, ``found`` and ``seeds`` (how many other seeds there are and found it; -1 and 0 without others),
    ``name`` with its scores, and ``words``: the name and the captions of its strongest pairs in small letters.
    """
    mds, n = each.mds, len(each.rows)
    none = np.full(len(mds.score), np.nan)
    frame = pd.DataFrame(
        {
            "feature": np.arange(len(mds.score)),
            "label": mds.labels,
            "certainty": mds.probability,
            "score": mds.score,
            "low": mds.low,
            "high": mds.high,
        }
    )
    for side in SIDES:
        frame[f"rate_{side}"] = top[side].fired / n
        frame[f"energy_{side}"] = feature_energy(getattr(each, side))
        frame[f"mono_{side}"] = none if found is None else found.mono[side].mono
    both = frame[["mono_image", "mono_text"]].mean(axis=1)
    own = frame["mono_image"].where(mds.labels == mds.modalities[0], frame["mono_text"])
    frame["mono"] = both.where(mds.labels == "cross", own)
    frame["verdict"] = "" if found is None else found.bridges.verdict
    frame["partner"] = -1 if found is None else found.bridges.partner
    frame["correlation"] = none if found is None else found.bridges.correlation
    again = found_again(each)
    frame["found"] = -1 if again is None else again.counts
    frame["seeds"] = 0 if again is None else again.others
    names = load_names(each)
    frame["name"] = "" if names is None else names.standing()
    for side in SIDES:
        frame[f"name_{side}"] = none if names is None else names.table[f"{side}_detection"].to_numpy()
    frame["words"] = _words(frame["name"].tolist(), pairs, arrays)
    return frame


def _words(names: list[str], pairs: PairIndex, arrays: Mapping[str, np.ndarray]) -> list[str]:
    rows = np.concatenate([arrays[f"{side}_rows"][:, :_WORDS_FROM] for side in SIDES], axis=1)
    wanted, places = np.unique(np.maximum(rows, 0), return_inverse=True)
    captions = np.array([(text or "")[:_LONGEST] for text in pairs.values(CAPTION, wanted)], dtype=object)
    texts = np.where(rows < 0, "", captions[places.reshape(rows.shape)])
    return [
        " ".join(dict.fromkeys([name, *line])).lower()
        for name, line in zip(names, texts.tolist(), strict=True)
    ]


def _pairs(each: Representation, pairs: PairIndex) -> dict[str, np.ndarray]:
    n = len(each.rows)
    labels, modalities = each.mds.labels, each.mds.modalities
    classes = np.stack([labels == name for name in (modalities[0], "cross", modalities[1])], axis=1)
    shares = np.zeros((n, 3), dtype=np.float32)
    overlap = np.zeros(n, dtype=np.float32)
    for start, image, text in iter_paired_blocks(each.image, each.text, default_block_rows(each.image)):
        here = slice(start, start + image.shape[0])
        energy, common, held = zip(
            *(_energy(a, b, classes) for a, b in ((image, text), (text, image))), strict=True
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            overlap[here] = np.nan_to_num(sum(c / e for c, e in zip(common, energy, strict=True)) / 2)
            shares[here] = np.nan_to_num(sum(h / e[:, None] for h, e in zip(held, energy, strict=True)) / 2)
    order = np.lexsort((pairs.cosine[each.rows], overlap)).astype(np.int32)
    return {
        "overlap": overlap,
        "first": shares[:, 0].copy(),
        "cross": shares[:, 1].copy(),
        "second": shares[:, 2].copy(),
        "least_agreement": order,
    }


def _energy(own: Any, other: Any, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy of each row, what of it lies in features that fire on the other side, and by class."""
    if sp.issparse(own):
        squares, fires = own.multiply(own), (other != 0).astype(np.float64)
        common = squares.multiply(fires)
    else:
        squares = own**2
        common = squares * (other != 0)
    return (
        np.asarray(squares.sum(axis=1)).ravel(),
        np.asarray(common.sum(axis=1)).ravel(),
        np.asarray(squares @ classes.astype(np.float64)),
    )
