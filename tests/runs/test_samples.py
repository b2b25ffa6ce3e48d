"""Sample embeddings of a store's pairs: the right row for every pair, each sample once, stops survived."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import load_pairs
from modalens.runs import embed
from modalens.runs.sample_file import kept_rows
from modalens.runs.samples import embed_samples
from modalens.store import EmbeddingStore
from tests.fakes import FakePairs, FakeVLM, colour_pairs

IMAGES, CAPTIONS = 45, 2


class Embedder:
    """Mean colour of an image, counts of letters of a text; remembers what it was shown."""

    name = "fake h"
    dim = 3

    def __init__(self, modality: str = "image", die_after: int | None = None, setting: str = "1") -> None:
        self.modality, self.setting, self.die_after = modality, setting, die_after
        self.seen: list[Any] = []

    def embed(self, samples: Sequence[Any]) -> np.ndarray:
        if self.die_after is not None and len(self.seen) >= self.die_after:
            raise KeyboardInterrupt
        self.seen += samples
        if self.modality == "text":
            return np.array([[text.count(letter) for letter in "aeiou"[:3]] for text in samples], np.float32)
        return np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in samples]) / 255

    def card(self) -> dict[str, Any]:
        return {"model": self.name, "setting": self.setting, "size": (8, 8), "versions": {"x": "1"}}


def colour(number: int) -> tuple[int, int, int]:
    return number, 255 - number, (7 * number) % 256


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A CSV of images in one colour each, with captions; the id says nothing of the place."""
    rows = []
    for number in range(IMAGES):
        Image.new("RGB", (4, 4), colour(number)).save(tmp_path / f"{number}.png")
        for caption in range(CAPTIONS):
            rows.append((f"p{number}-{caption}", f"{number}.png", f"an{'e' * number} {'i' * caption}"))
    return write(tmp_path / "pairs.csv", rows)


def write(path: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "image", "caption"), *rows])
    return path


def read(path: Path) -> list[tuple[str, str, str]]:
    with path.open(newline="") as file:
        return [(row["id"], row["image"], row["caption"]) for row in csv.DictReader(file)]


@pytest.fixture
def store(tmp_path: Path, table: Path) -> EmbeddingStore:
    return embed(load_pairs(f"csv:{table}"), FakeVLM(), tmp_path / "store", rows_per_shard=16)


def expected_images(store: EmbeddingStore) -> np.ndarray:
    """By hand, from the ids."""
    numbers = [int(name[1:].split("-")[0]) for name in store.ids]
    return np.array([colour(number) for number in numbers], np.float32) / 255


def test_every_pair_has_its_image_and_each_image_is_embedded_once(store, tmp_path):
    embedder = Embedder()
    found = embed_samples(store, embedder, tmp_path / "h")
    assert isinstance(found, np.memmap)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected_images(store), atol=1e-6)
    assert len(embedder.seen) == IMAGES
    document = json.loads((tmp_path / "h" / "image.json").read_text())
    assert document["embedder"]["model"] == "fake h"
    assert (document["pairs"], document["d"]) == found.shape
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


def test_texts_that_were_cut_are_told_once(store, tmp_path, caplog):
    class Cutting(Embedder):
        def cut_sentence(self, total: int) -> str | None:
            return f"2 of {total} texts are longer."

    for _ in range(2):  # the second time all is there
        embed_samples(store, Cutting("text"), tmp_path / "out")
    assert [record.message for record in caplog.records].count("2 of 90 texts are longer.") == 1


def test_every_pair_has_its_text_and_no_source_is_needed(store, tmp_path, table):
    table.unlink()
    embedder = Embedder("text")
    found = embed_samples(store, embedder, tmp_path / "h")
    by_hand = Embedder("text").embed(list(store.metadata["caption"]))
    np.testing.assert_array_equal(found, by_hand)
    assert len(embedder.seen) == len(set(embedder.seen)) == len(set(store.metadata["caption"]))


def test_some_rows_in_their_order(store, tmp_path, rng):
    rows = rng.permutation(len(store))[:20]
    embedder = Embedder()
    found = embed_samples(store, embedder, tmp_path / "h", rows)
    np.testing.assert_allclose(found, expected_images(store)[rows], atol=1e-6)
    assert len(embedder.seen) == len({name.split("-")[0] for name in store.ids[rows]})


def test_a_second_call_embeds_nothing_and_needs_no_source(store, tmp_path, table):
    first = np.array(embed_samples(store, Embedder(), tmp_path / "h"))
    table.unlink()
    again = Embedder()
    np.testing.assert_array_equal(embed_samples(store, again, tmp_path / "h"), first)
    assert again.seen == []


@pytest.mark.parametrize("modality", ["image", "text"])
def test_a_stopped_run_goes_on_where_it_was(store, tmp_path, monkeypatch, modality):
    monkeypatch.setattr("modalens.runs.samples._CHUNK", {"image": 4, "text": 4})
    broken = Embedder(modality, die_after=12)
    with pytest.raises(KeyboardInterrupt):
        embed_samples(store, broken, tmp_path / "h")
    again = Embedder(modality)
    found = np.array(embed_samples(store, again, tmp_path / "h"))
    whole = Embedder(modality)
    np.testing.assert_array_equal(found, embed_samples(store, whole, tmp_path / "whole"))
    assert len(broken.seen) == 12
    assert len(again.seen) == len(whole.seen) - 12


def test_a_row_that_a_kill_left_half_written_is_made_again(store, tmp_path):
    whole = np.array(embed_samples(store, Embedder(), tmp_path / "h"))
    half = np.load(tmp_path / "h" / "image.npy", mmap_mode="r+")
    half[5, 1:] = np.nan  # the second caption's copy of image 2
    half.flush()
    again = Embedder()
    np.testing.assert_array_equal(embed_samples(store, again, tmp_path / "h"), whole)
    assert len(again.seen) == 1


def test_a_reordered_source_still_fits(store, tmp_path, table, rng):
    rows = read(table)
    write(table, [rows[i] for i in rng.permutation(len(rows))])
    found = embed_samples(store, Embedder(), tmp_path / "h")
    np.testing.assert_allclose(found, expected_images(store), atol=1e-6)


def test_pairs_that_left_the_source_are_named_and_what_is_there_is_kept(store, tmp_path, table, monkeypatch):
    monkeypatch.setattr("modalens.runs.samples._CHUNK", {"image": 1})
    rows = read(table)
    write(table, [row for row in rows if row[1] not in ("3.png", "9.png")])
    with pytest.raises(ModalensError, match=r"pair 'p3-0' is no longer in csv:.* \(4 of 90 pairs are gone\)"):
        embed_samples(store, Embedder(), tmp_path / "h")
    write(table, rows)
    again = Embedder()
    np.testing.assert_allclose(embed_samples(store, again, tmp_path / "h"), expected_images(store), atol=1e-6)
    assert len(again.seen) == 2


def test_one_caption_of_an_image_is_enough_to_find_it(store, tmp_path, table):
    write(table, [row for row in read(table) if row[0] != "p3-0"])
    np.testing.assert_allclose(
        embed_samples(store, Embedder(), tmp_path / "h"), expected_images(store), atol=1e-6
    )


def test_a_pair_that_shows_another_image_now(store, tmp_path, table):
    write(
        table,
        [(name, "9.png" if name.startswith("p3-") else image, text) for name, image, text in read(table)],
    )
    with pytest.raises(ModalensError, match=r"'p3-0' .* now shows '9\.png' and no longer '3\.png'"):
        embed_samples(store, Embedder(), tmp_path / "h")


def test_a_source_that_is_gone_or_was_never_named(store, tmp_path, table):
    table.unlink()
    with pytest.raises(ModalensError, match="There is no file"):
        embed_samples(store, Embedder(), tmp_path / "h")
    nameless = embed(colour_pairs(5), FakeVLM(), tmp_path / "nameless")
    with pytest.raises(ModalensError, match="come from pairs given in memory"):
        embed_samples(nameless, Embedder(), tmp_path / "h2")
    foreign = embed(FakePairs(colour_pairs(5)), FakeVLM(), tmp_path / "foreign")
    (tmp_path / "foreign" / "manifest.json").unlink()
    with pytest.raises(ModalensError, match="does not say where its images come from"):
        embed_samples(EmbeddingStore.open(foreign.folder), Embedder(), tmp_path / "h3")


def test_an_image_that_cannot_be_decoded(store, tmp_path, table):
    (table.parent / "7.png").write_bytes(b"no image")
    with pytest.raises(ModalensError, match=r"7\.png is not an image"):
        embed_samples(store, Embedder(), tmp_path / "h")


def test_another_model_setting_or_rows_want_another_folder(store, tmp_path):
    out = tmp_path / "h"
    first = np.array(embed_samples(store, Embedder(), out))
    with pytest.raises(ModalensError, match=r"was made from other inputs .embedder"):
        embed_samples(store, Embedder(setting="2"), out)
    with pytest.raises(ModalensError, match="was made from other inputs"):
        embed_samples(store, Embedder(), out, np.arange(5))
    embed_samples(store, Embedder("text"), out)  # the other side has its own file
    np.testing.assert_array_equal(np.load(out / "image.npy"), first)
    (out / "image.json").unlink()
    with pytest.raises(ModalensError, match="does not say what made it"):
        embed_samples(store, Embedder(), out)


def test_damaged_files(store, tmp_path):
    out = tmp_path / "h"
    embed_samples(store, Embedder(), out)
    path = out / "image.npy"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModalensError, match=r"image\.npy cannot be read .* remove it and embed again"):
        embed_samples(store, Embedder(), out)
    path.unlink()
    embed_samples(store, Embedder(), out)
    (out / "image.json").write_text("{")
    with pytest.raises(ModalensError, match="not valid JSON"):
        embed_samples(store, Embedder(), out)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModalensError, match="is a file"):
        embed_samples(store, Embedder(), tmp_path / "file")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (np.array([0, 90]), "rows goes from 0 to 90, but .* has 90 pairs"),
        (np.array([-1]), "rows goes from -1"),
        (np.array([], dtype=int), "rows is empty"),
        (np.array([0.5]), "must be a list of row numbers, not float64"),
    ],
)
def test_rows_that_do_not_fit(store, tmp_path, rows, sentence):
    with pytest.raises(ModalensError, match=sentence):
        embed_samples(store, Embedder(), tmp_path / "h", rows)


def test_nan_from_the_model_names_the_pair(store, tmp_path):
    class Broken(Embedder):
        def embed(self, samples):
            rows = super().embed(samples)
            rows[4] = np.nan
            return rows

    with pytest.raises(ModalensError, match="NaN or infinite embedding for the image of pair 'p4-0'"):
        embed_samples(store, Broken(), tmp_path / "h")


def test_two_processes_cannot_write_one_file(store, tmp_path):
    class Greedy(Embedder):
        def embed(self, samples):
            with pytest.raises(ModalensError, match="Another process is writing"):
                embed_samples(store, Embedder(), tmp_path / "h")
            return super().embed(samples)

    embed_samples(store, Greedy(), tmp_path / "h")


def test_embeddings_that_are_all_there_are_read_beside_a_process_that_writes(store, tmp_path):
    first = embed_samples(store, Embedder(), tmp_path / "h")
    with kept_rows(tmp_path / "h/image.npy", json.loads((tmp_path / "h/image.json").read_text())):
        again = embed_samples(store, Embedder(), tmp_path / "h")
    assert np.array_equal(again, first)
