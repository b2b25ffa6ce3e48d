"""Edits, joined stores, vocabularies and dictionaries of other libraries."""

from pathlib import Path
from typing import Any

import numpy as np

from modalens.edit.saved import Edit
from modalens.features import load_features
from modalens.runs.naming import NameConfig, NameFrom, read_words
from modalens.store import EmbeddingStore, JoinedStore
from tests.fuzz.target import Target
from tests.fuzz.targets.stores import _digest, _learned, _own, _sides
from tests.theirs import save_theirs

_WORDS = "caf\u00e9\n\na dog\n\U0001f600\ntea\u2028time\nlast"


def _edit(folder: Path) -> None:
    Edit((1, 3), 2.0, load_features(_learned()), "image", "a label").save(folder / "edit.safetensors")


def _read_edit(folder: Path) -> Any:
    edit = Edit.load(folder / "edit.safetensors")
    return _digest(edit.apply(_sides()[0]), edit.label, edit.gain)


def _joined(folder: Path) -> None:
    for name in ("a", "b"):
        _own(folder / name)
    first, second = (EmbeddingStore.open(folder / name) for name in ("a", "b"))
    JoinedStore.join({"image": first, "text": first, "sound": (second, "image")}).save(folder / "joined.json")


def _read_joined(folder: Path) -> Any:
    joined = JoinedStore.open(folder / "joined.json")
    return _digest(*(np.asarray(each[:]) for each in joined.matrices), joined.ids.tolist(), joined.groups)


def _vocabulary(folder: Path) -> None:
    (folder / "words.txt").write_text(_WORDS, encoding="utf-8")
    np.save(folder / "words.npy", np.ones((6, 3), np.float32))


def _read_vocabulary(folder: Path) -> Any:
    paths = NameFrom(vocabulary=folder / "words.txt", vocabulary_embeddings=folder / "words.npy")
    words, vectors = read_words(NameConfig(source="vocabulary"), paths)
    assert vectors is not None
    assert all(words)
    assert np.isfinite(vectors).all()
    return _digest(words, vectors)


def _theirs(folder: Path) -> None:
    save_theirs(folder / "theirs", 6)


def _read_theirs(folder: Path) -> Any:
    return _digest(load_features(folder / "theirs").encode(_sides()[0]).toarray())


TARGETS = {
    "an edit": Target(_edit, _read_edit, checked=True),
    "a joined store": Target(_joined, _read_joined, "joined.json"),
    "a vocabulary": Target(_vocabulary, _read_vocabulary),
    "a dictionary of another library": Target(_theirs, _read_theirs, "theirs/*"),
}
