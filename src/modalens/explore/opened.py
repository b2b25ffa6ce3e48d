"""A run as the explorer holds it: opened once, and known to be the same until a file that says what it is changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock, RLock
from typing import Any

import numpy as np

from modalens.errors import InputError, ModalensError
from modalens.explore.feature_index import FeatureIndex, feature_index
from modalens.explore.pair_index import PairIndex, pair_index
from modalens.explore.pictures import Pictures
from modalens.runs.choice import OF, RAW
from modalens.runs.layout import RunFolder
from modalens.runs.origin import open_vlm
from modalens.runs.representations import Representation, find_representations
from modalens.store import EmbeddingStore, JoinedStore
from modalens.towers.base import VLM

FOLDER = "explore"
_ALIKE = "-"


class ChangedError(ModalensError):
    """The run is no longer the one that was opened."""


@dataclass(frozen=True)
class OpenedSet:
    """One representation with its index."""

    each: Representation
    index: FeatureIndex
    pairs: PairIndex

    @cached_property
    def lengths(self) -> np.ndarray:
        """Lengths of the decoder rows, (f,)."""
        found: np.ndarray = np.linalg.norm(np.asarray(self.each.directions), axis=1)
        return found


class OpenedRun:
    """A run that is explored; everything in it is read when it is first asked for.

    Parameters
    ----------
    key
        What addresses call it.
    layout
        Its folder.
    device
        Where its model embeds.
    """

    def __init__(self, key: str, layout: RunFolder, device: str | None = None) -> None:
        self.key, self.layout, self._device = key, layout, device
        self.lock = RLock()
        # Held while its model or a long loop works, so that one does at a time; everything else answers meanwhile.
        self.working = Lock()
        self._close()

    @property
    def store(self) -> EmbeddingStore:
        """Its embeddings."""
        with self.lock:
            return self._opened().store

    @property
    def sets(self) -> dict[str, Representation]:
        """Its representations by name: learned ones first, then the embeddings, then dictionary baselines."""
        with self.lock:
            return self._opened().sets

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Representations that cannot be shown, and why."""
        with self.lock:
            return self._opened().left_out

    @property
    def pictures(self) -> Pictures:
        """The pictures of its pairs."""
        with self.lock:
            return self._opened().pictures

    def vlm(self) -> VLM:
        """Its model, loaded once; the caller holds :attr:`working`."""
        with self.lock:
            parts = self._opened()
        if parts.vlm is None:
            parts.vlm = open_vlm(parts.store, self._device)
        return parts.vlm

    def pairs(self) -> PairIndex:
        """The index of its pairs."""
        with self.lock:
            parts = self._opened()
            if parts.pairs is None:
                parts.pairs = pair_index(parts.store, self.folder / "pairs")
            return parts.pairs

    def set(self, name: str) -> OpenedSet:
        """A representation by name, with its index, which is made now where that was not done.

        Raises
        ------
        ModalensError
            If there is none of this name, it is damaged, the run has changed, or another process makes the index.
        """
        with self.lock:
            parts = self._opened()
            if name not in parts.sets:
                why = dict(parts.left_out).get(name, f"there are {', '.join(parts.sets) or 'none'}.")
                raise InputError(f"The run {self.key} has no features {name!r} to show: {why}")
            if name not in parts.opened:
                each, pairs = parts.sets[name], self.pairs()
                index = feature_index(each, pairs, self.folder / "features" / name)
                parts.opened[name] = OpenedSet(each, index, pairs)
            return parts.opened[name]

    @property
    def folder(self) -> Path:
        """Where the explorer keeps what it makes."""
        return self.layout.folder / FOLDER

    def reopen(self) -> None:
        """Forget what was read, so that the run is read as it is now."""
        with self.lock:
            self._close()

    def _close(self) -> None:
        self._parts: _Parts | None = None

    def _opened(self) -> "_Parts":
        now = _fingerprint(self.layout)
        if self._parts is None:
            self._parts = _Parts(self.layout, now)
        elif self._parts.fingerprint != now:
            raise ChangedError(
                f"The run {self.key} has changed since it was opened; open it again to see it as it is now."
            )
        return self._parts


class _Parts:
    """What was read of a run."""

    def __init__(self, layout: RunFolder, fingerprint: tuple[Any, ...]) -> None:
        self.layout, self.fingerprint = layout, fingerprint
        self.pairs: PairIndex | None = None
        self.vlm: VLM | None = None
        self.opened: dict[str, OpenedSet] = {}

    @cached_property
    def store(self) -> EmbeddingStore:
        return self.layout.store()

    @cached_property
    def pictures(self) -> Pictures:
        return Pictures(self.store)

    @cached_property
    def sets(self) -> dict[str, Representation]:
        return self._found[0]

    @cached_property
    def left_out(self) -> list[tuple[str, str]]:
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[dict[str, Representation], list[tuple[str, str]]]:
        found = find_representations(self.layout, make=False)
        order = sorted(found.representations, key=lambda each: (_rank(each.name), -_size(each), each.name))
        return {each.name: each for each in order}, found.left_out


def _rank(name: str) -> int:
    if OF in name:
        return 2
    return 1 if name == RAW else 0


def _size(each: Representation) -> int:
    """Autoencoders, which can be steered by, before others."""
    return int(each.directions is not None)


def open_runs(paths: list[Path], device: str | None = None) -> dict[str, OpenedRun]:
    """The runs at some paths and their baselines, by the key that addresses have; nothing is read yet.

    Raises
    ------
    ModalensError
        If there is no run at a path.
    """
    found: dict[str, OpenedRun] = {}
    for path in paths:
        layout = _run_at(path.resolve())
        if any(layout == each.layout for each in found.values()):
            continue
        key = _free(_slug(layout.folder.name), found)
        found[key] = OpenedRun(key, layout, device)
        for name, baseline in layout.baselines():
            beside = _free(f"{key}+{_slug(name)}", found)
            found[beside] = OpenedRun(beside, baseline, device)
    return found


def _run_at(path: Path) -> RunFolder:
    if path.is_file():
        joined = JoinedStore.open(path)
        raise InputError(
            f"{path} joins {len(joined.modalities)} modalities, and the explorer shows pairs: explore the runs that it "
            f"joins, and see all together in the page of modalens score {path}."
        )
    return RunFolder.find(path)


def _slug(name: str) -> str:
    letters = "".join(letter if letter.isascii() and letter.isalnum() else _ALIKE for letter in name)
    return letters.strip(_ALIKE)[:60] or "run"


def _free(key: str, taken: dict[str, OpenedRun]) -> str:
    number, free = 1, key
    while free in taken:
        number += 1
        free = f"{key}{_ALIKE}{number}"
    return free


def _fingerprint(layout: RunFolder) -> tuple[Any, ...]:
    """Size and time of every file that says what a part of the run was made from."""
    return tuple(_stamp(path) for path in _records(layout))


def _records(layout: RunFolder) -> Iterator[Path]:
    yield layout.embeddings / "manifest.json"
    yield layout.scores / "inputs.json"
    yield from (layout.folder / part / "inputs.json" for part in ("interpret", "names"))
    for own in layout.begun():
        for where in (own, *own.baselines()):
            yield from (where.folder / name for name in ("config.json", "inputs.json"))
            yield where.codes / "manifest.json"
            yield from (where.folder / part / "inputs.json" for part in ("scores", "interpret", "names"))


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), found.st_mtime_ns, found.st_size
