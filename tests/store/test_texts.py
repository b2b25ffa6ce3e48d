"""Texts packed into two arrays, and the columns of a store that are read as such."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.store import EmbeddingStore
from modalens.store.texts import Texts

WORDS = ["a", "", "größe", "\ud800", "x" * 300] * 2000


def test_texts_read_like_an_array_of_them() -> None:
    texts = Texts.of(WORDS)
    assert len(texts) == len(WORDS)
    assert texts.tolist() == list(texts) == WORDS
    assert (texts[2], texts[-1], texts[np.int64(4)]) == (WORDS[2], WORDS[-1], WORDS[4])
    assert texts[1:9:3].tolist() == WORDS[1:9:3]
    assert texts[np.array([7, 0, -1])].tolist() == [WORDS[7], WORDS[0], WORDS[-1]]
    assert texts[np.arange(len(WORDS)) % 5 == 2].tolist() == WORDS[2::5]
    with pytest.raises(IndexError):
        texts[len(WORDS)]
    assert Texts.of([]).tolist() == []


def test_picked_texts_are_packed_anew() -> None:
    texts = Texts.of(WORDS)
    assert texts.pick(np.arange(len(WORDS))) is texts
    rows = np.random.default_rng(0).integers(0, len(WORDS), 9000)
    picked = texts.pick(rows)
    assert picked.tolist() == [WORDS[row] for row in rows]
    assert len(picked.data) == sum(len(WORDS[row].encode("utf-8", "surrogatepass")) for row in rows)


@pytest.mark.parametrize("ends", [[2, 1, 4], [1, 2, 3], [1, 2, 5], []])
def test_ends_that_do_not_fit(ends: list[int]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Texts(np.zeros(4, dtype=np.uint8), np.array(ends, dtype=np.int64))


@pytest.mark.parametrize(
    ("columns", "ids"),
    [
        ({"id": ["b", "a", "c", "d"]}, ["b", "a", "c", "d"]),
        ({"id": [7, 5, 6, 4]}, ["7", "5", "6", "4"]),
        ({"id": ["b", "a", None, "d"], "key": ["1", "2", "3", "4"]}, ["1", "2", "3", "4"]),
        ({"id": ["b", "a", "b", "d"], "image_path": ["x", "y", "z", "x"]}, ["0", "1", "2", "3"]),
        ({"id": [1, 2, 1, 3], "key": ["w", "x", "y", "z"]}, ["w", "x", "y", "z"]),
    ],
)
def test_ids_are_the_first_column_that_tells_pairs_apart(
    tmp_path: Path, columns: dict[str, list[str]], ids: list[str]
) -> None:
    store = _store(tmp_path, columns)
    assert store.ids.tolist() == ids


def test_groups_are_numbered_as_they_appear(tmp_path: Path) -> None:
    store = _store(tmp_path, {"kind": ["z", None, "a", "z"], "number": [2.0, np.nan, 2.0, 1.0]})
    assert store.groups_by("kind").tolist() == [0, 1, 2, 0]
    assert store.groups_by("number").tolist() == [0, 1, 0, 2]
    assert store.groups is None


def _store(folder: Path, columns: dict[str, list[str]]) -> EmbeddingStore:
    """A store of clip-retrieval of four pairs in two shards."""
    frame = pd.DataFrame(columns)
    for shard in range(2):
        for side in ("img_emb", "text_emb", "metadata"):
            (folder / side).mkdir(exist_ok=True)
        for side in ("img_emb", "text_emb"):
            np.save(folder / side / f"{side}_{shard}.npy", np.eye(2, dtype=np.float32))
        frame[2 * shard : 2 * shard + 2].to_parquet(folder / f"metadata/metadata_{shard}.parquet")
    return EmbeddingStore.open(folder)
