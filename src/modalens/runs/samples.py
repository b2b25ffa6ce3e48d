"""Embed the images or the texts of a store's pairs with a sample embedder, once, and keep the result."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from modalens.errors import ModalensError
from modalens.pairs.modality import many
from modalens.progress import progress_bar
from modalens.runs.decoding import batches, decode_ahead
from modalens.runs.origin import open_pairs
from modalens.runs.sample_file import BLOCK_ROWS, kept_rows, rows_so_far
from modalens.statistics.groups import digest_of, equal_digests, first_of_each
from modalens.store import PairStore
from modalens.store.base import IMAGE_COLUMN
from modalens.store.kept import stable
from modalens.store.metadata import each_its_own
from modalens.store.texts import Texts
from modalens.towers.samples import SampleEmbedder
from modalens.towers.samples.base import CutsTexts
from modalens.version import __version__

logger = logging.getLogger(__name__)

# Distinct samples embedded before they are written: few images, since these are held decoded.
_CHUNK = {"image": 32, "text": 1024}


@dataclass(frozen=True)
class _Samples:
    """The wanted samples: pair i has id ``ids[i]`` and shows ``distinct[codes[i]]``, a caption or image key."""

    ids: Texts
    distinct: Texts
    codes: Int[np.ndarray, " n"]

    @cached_property
    def _grouped(self) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " u"]]:
        """Pairs ordered by what they show, and where each group ends."""
        return np.argsort(self.codes, kind="stable"), np.cumsum(np.bincount(self.codes))

    def pairs_of(self, code: int) -> Int[np.ndarray, " p"]:
        """The pairs that show one text or image."""
        order, ends = self._grouped
        group: np.ndarray = order[ends[code - 1] if code else 0 : ends[code]]
        return group

    def digest(self) -> str:
        """Hash over ids and what they show."""
        digest = hashlib.sha256()
        for name, shown in zip(self.ids, self.distinct.pick(self.codes), strict=True):
            digest.update(f"{name}\0{shown}\0".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def embed_samples(
    store: PairStore, embedder: SampleEmbedder, out: str | Path, rows: Int[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, "n d"]:
    """Embed one side of a store's pairs; run again after a stop, it goes on where it was.

    Captions come from the store, images from the source that the store's manifest names, where each pair is
    found by its id, whatever its place there. A text or image that several pairs share is embedded once, and
    one that was embedded is never embedded again.

    Parameters
    ----------
    store
        The pairs.
    embedder
        A model from :func:`modalens.towers.samples.load_sample_embedder`; its modality says which side.
    out
        Folder for ``image.npy`` or ``text.npy`` and the .json beside it that says what made it: new, or that
        of an earlier run of the same model and pairs.
    rows
        Rows of the store to embed, in this order; all by default.

    Returns
    -------
    ndarray
        Row i belongs to ``rows[i]``, in float32, as the model gives it, memory-mapped.

    Raises
    ------
    ModalensError
        If ``rows`` does not fit the store, ``out`` holds something else or is being written to, the store
        names no source or its pairs are no longer there, an image cannot be decoded, the model gives NaN, or
        the disk is full.
    """
    samples = _samples(store, embedder.modality, rows)
    path = Path(out) / f"{embedder.modality}.npy"
    description = {
        "modalens": __version__,
        "embedder": embedder.card(),
        "modality": embedder.modality,
        "pairs": len(samples.ids),
        "d": embedder.dim,
        "samples_sha256": samples.digest(),
    }
    # Nothing is held where nothing is missing: runs that share these embeddings may read them side by side.
    ready = rows_so_far(path, description)
    if ready is not None and not _missing(ready, samples).any():
        return ready
    with kept_rows(path, description) as matrix:
        missing = _missing(matrix, samples)
        if missing.any():
            texts = embedder.modality == "text"
            items = _texts(samples, missing) if texts else _images(store, samples, missing)
            _fill(matrix, samples, embedder, items, int(missing.sum()))
    finished: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return finished


def samples_folder(
    store: PairStore, embedder: SampleEmbedder, out: Path, rows: Int[np.ndarray, " n"] | None = None
) -> Path:
    """A folder of its own for each model and choice of pairs, so that none takes the place of another."""
    made_from = {"card": stable(embedder.card()), "d": embedder.dim}
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode())
    digest.update(_samples(store, embedder.modality, rows).digest().encode())
    name = re.sub(r"[^A-Za-z0-9.]+", "-", embedder.name).strip("-")[-40:]
    return out / f"{name}-{digest.hexdigest()[:8]}"


def _samples(store: PairStore, modality: str, rows: np.ndarray | None) -> _Samples:
    rows = np.arange(len(store)) if rows is None else np.asarray(rows)
    if len(rows) == 0:
        raise ModalensError(f"rows is empty: name at least one pair of {store.folder} to embed.")
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ModalensError(f"rows must be a list of row numbers, not {rows.dtype} of shape {rows.shape}.")
    if rows.min() < 0 or rows.max() >= len(store):
        raise ModalensError(
            f"rows goes from {rows.min()} to {rows.max()}, but {store.folder} has {len(store)} pairs."
        )
    wanted = np.zeros(len(store), dtype=bool)
    wanted[rows] = True
    digests = np.empty((len(store), 2), dtype=np.uint64)
    for row, text in enumerate(_shown(store, modality, wanted)):
        digests[row] = digest_of(text.encode("utf-8", "surrogatepass"))
    codes = equal_digests(digests[rows])
    del digests
    # Read again, to hold none but distinct texts.
    first = rows[first_of_each(codes)]
    wanted[:] = False
    wanted[first] = True
    distinct = Texts.of(compress(_shown(store, modality, wanted), wanted))
    return _Samples(store.ids.pick(rows), distinct.pick(np.argsort(np.argsort(first))), codes)


def shown_by(store: PairStore, modality: str, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Number of what each pair shows, the same for pairs that show one text or image, from 0 in order of appearance."""
    shown = store.image_numbers if modality == "image" else store.groups_by("caption")
    codes: np.ndarray = np.arange(len(rows)) if shown is None else pd.factorize(shown[rows])[0]
    return codes


def _shown(store: PairStore, modality: str, wanted: Bool[np.ndarray, " M"]) -> Iterator[str]:
    """Caption or image key of each pair of the store, its id where the store has none; those of wanted pairs count."""
    if modality == "text":
        return _captions(store, wanted)
    if IMAGE_COLUMN not in store.columns:
        return iter(store.ids)
    return each_its_own(store.metadata_shards.iter_labels(IMAGE_COLUMN))


def _captions(store: PairStore, wanted: Bool[np.ndarray, " M"]) -> Iterator[str]:
    store.require_column("caption")
    for row, text in enumerate(store.metadata_shards.iter_values("caption")):
        if wanted[row] and not isinstance(text, str):
            raise ModalensError(
                f"The pair {store.ids[row]!r} of {store.folder} has no caption; leave it out of rows."
            )
        yield text if wanted[row] else ""


def _texts(samples: _Samples, missing: Bool[np.ndarray, " u"]) -> Iterator[tuple[int, Any]]:
    return ((int(code), samples.distinct[code]) for code in np.flatnonzero(missing))


def _images(
    store: PairStore, samples: _Samples, missing: Bool[np.ndarray, " u"]
) -> Iterator[tuple[int, Any]]:
    """The missing images, undecoded, in the order of the source."""
    source = open_pairs(store)
    code_of = {name: code for name, code in zip(samples.ids, samples.codes, strict=True) if missing[code]}
    left = set(code_of.values())
    for pair in source:
        code = code_of.get(pair.id)
        if code is None or code not in left:
            continue
        if "image_path" in store.columns and pair.ref.key != samples.distinct[code]:
            raise ModalensError(
                f"The pair {pair.id!r} of {source.name} now shows {pair.ref.key!r} and no longer "
                f"{samples.distinct[code]!r}; embed the source again."
            )
        left.remove(code)
        yield int(code), pair.ref
        if not left:
            return
    gone = [name for name, code in code_of.items() if code in left]
    raise ModalensError(
        f"The pair {gone[0]!r} is no longer in {source.name} ({len(gone)} of {len(samples.ids)} pairs are gone); "
        "bring it back or embed the source again."
    )


def _fill(
    matrix: np.ndarray,
    samples: _Samples,
    embedder: SampleEmbedder,
    items: Iterator[tuple[int, Any]],
    total: int,
) -> None:
    """Embed items, each a code with a text or an undecoded image, chunk by chunk into their rows."""
    doing = f"Embedding {many(embedder.modality)} with {embedder.name}"
    most = _CHUNK[embedder.modality]
    with progress_bar(doing, total) as advance:
        for chunk in batches(_decoded(items, most), most):
            codes = list(chunk)
            found = np.asarray(embedder.embed(list(chunk.values())), dtype=np.float32)
            _require_finite(found, codes, samples, embedder)
            for code, row in zip(codes, found, strict=True):
                matrix[samples.pairs_of(code)] = row
            advance(len(chunk))
    if isinstance(embedder, CutsTexts) and (sentence := embedder.cut_sentence(total)) is not None:
        logger.warning("%s", sentence)


def _decoded(items: Iterator[tuple[int, Any]], most: int) -> Iterator[tuple[int, Any]]:
    """Samples, decoded; one that has become unreadable since it was embedded ends the walk."""
    for code, sample, reason in decode_ahead(items, most):
        if reason is not None:
            raise ModalensError(reason)
        yield code, sample


def _require_finite(
    found: np.ndarray, codes: Sequence[int], samples: _Samples, embedder: SampleEmbedder
) -> None:
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        name = samples.ids[samples.pairs_of(codes[int(np.flatnonzero(bad)[0])])[0]]
        raise ModalensError(
            f"{embedder.name} gives a NaN or infinite embedding for the {embedder.modality} of pair {name!r}; "
            "leave the pair out or take another model."
        )


def _missing(matrix: np.ndarray, samples: _Samples) -> Bool[np.ndarray, " u"]:
    """Which texts or images are not embedded, or not for every pair: a row still holds NaN."""
    missing = np.zeros(len(samples.distinct), dtype=bool)
    for start in range(0, len(matrix), BLOCK_ROWS):
        undone = np.isnan(matrix[start : start + BLOCK_ROWS]).any(axis=1)
        missing[samples.codes[start : start + BLOCK_ROWS][undone]] = True
    return missing
