"""Previews of the pairs of a store, by row: decoded when they are asked for, a few thousand kept in memory."""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any

from modalens.errors import ModalensError
from modalens.pairs.images import BytesImage
from modalens.pairs.modality import IMAGE, Preview, find_modality
from modalens.runs.origin import open_pairs
from modalens.store import PairStore
from modalens.store.base import IMAGE_COLUMN

logger = logging.getLogger(__name__)

_SCALE = 2.0
_KEPT = 4000
# Pictures that are decoded in one walk over a source whose references hold the pictures themselves.
_LOT = 500


class Pictures:
    """Small pictures (or sounds) of pairs.

    A source of files is walked once, and where each picture lies is remembered. A source that hands out the pictures'
    bytes is walked again for each lot, since all of them would not fit in memory.

    Parameters
    ----------
    store
        The pairs; its manifest says where they came from.
    """

    def __init__(self, store: PairStore) -> None:
        self._store = store
        self._lock = Lock()
        self._previews: OrderedDict[int, Preview | None] = OrderedDict()
        self._announced: OrderedDict[int, None] = OrderedDict()
        self._refs: dict[int, Any] | None = None
        self._holds_bytes = False

    @property
    def known(self) -> bool:
        """Whether the pairs say where they came from."""
        manifest = self._store.manifest
        return manifest is not None and manifest.source.get("source") is not None

    def announce(self, rows: Iterable[int]) -> None:
        """Say which pictures will be asked for soon."""
        with self._lock:
            for row in rows:
                if row not in self._previews:
                    self._announced[row] = None
            while len(self._announced) > _LOT:
                self._announced.popitem(last=False)

    def preview(self, row: int) -> Preview | None:
        """The preview of a pair; None where the source is gone or the picture cannot be read."""
        with self._lock:
            if row not in self._previews:
                try:
                    self._read(row)
                except (ModalensError, OSError) as error:
                    logger.info("%s", error)
                    self._keep(row, None)
            self._previews.move_to_end(row)
            return self._previews[row]

    def _read(self, row: int) -> None:
        if self._refs is None and not self._holds_bytes:
            self._find_all()
        if not self._holds_bytes:
            ref = (self._refs or {}).get(row)
            self._keep(row, None if ref is None else self._decoded(ref))
            return
        lot = {row, *self._announced}
        self._announced.clear()
        self._keep(row, None)
        for found, ref in self._walk(lot):
            try:
                self._keep(found, self._decoded(ref))
            except (ModalensError, OSError) as error:
                logger.info("%s", error)

    def _keep(self, row: int, preview: Preview | None) -> None:
        self._previews[row] = preview
        while len(self._previews) > _KEPT:
            self._previews.popitem(last=False)

    def _find_all(self) -> None:
        refs: dict[int, Any] = {}
        for row, ref in self._walk(None):
            if isinstance(ref, BytesImage) or hasattr(ref, "data"):
                self._holds_bytes = True
                return
            refs[row] = ref
        self._refs = refs

    def _walk(self, wanted: set[int] | None) -> Iterator[tuple[int, Any]]:
        """Rows and references of some pairs (all by default) that are still what was embedded."""
        store = self._store
        ids = store.ids
        rows = {name: row for row, name in enumerate(ids) if wanted is None or row in wanted}
        keys = store.labels(IMAGE_COLUMN) if IMAGE_COLUMN in store.columns else None
        left = len(rows)
        for pair in open_pairs(store):
            row = rows.get(pair.id)
            if row is not None and (keys is None or keys[row] == pair.ref.key):
                yield row, pair.ref
                left -= 1
                if not left:
                    return

    def _decoded(self, ref: Any) -> Preview:
        modality = find_modality(self._store.modalities[0])
        return modality.preview(modality.decode(ref), _SCALE if modality is IMAGE else 1.0)
