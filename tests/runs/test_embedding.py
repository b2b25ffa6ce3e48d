import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalens.engine.workers import LocalEngine
from modalens.errors import ModalensError
from modalens.pairs.base import Pair, Skipped
from modalens.runs import embed, embedding
from modalens.runs.shards import EmbedConfig
from modalens.store import EmbeddingStore, ShardContent, StoreWriter, atomic
from modalens.store.manifest import Manifest
from modalens.towers import load_vlm
from tests.engine import crew
from tests.fakes import ColourImage, FakePairs, FakeVLM, colour_pairs

SMALL = {"rows_per_shard": 7, "batch_size": 4}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_rows_ids_and_metadata_stay_together(tmp_path):
    items = colour_pairs(20)
    store = embed(FakePairs(items), FakeVLM(), tmp_path / "store", **SMALL)
    assert list(store.ids) == [pair.id for pair in items]
    assert store.image.shape == store.text.shape == (20, 6)
    assert store.image.dtype == np.float32
    assert list(store.metadata["caption"]) == [pair.text for pair in items]
    assert list(store.metadata["group"]) == [pair.label["group"] for pair in items]
    assert np.allclose(store.text[:], FakeVLM().embed_texts([pair.text for pair in items]))
    by_hand = np.concatenate([FakeVLM().embed_images([pair.image]) for pair in items])
    assert np.allclose(store.image[:], by_hand, atol=1e-5)


def test_shuffled_input_gives_the_same_answer_for_each_id(tmp_path, rng):
    items = colour_pairs(20, captions=2)
    straight = embed(FakePairs(items), FakeVLM(), tmp_path / "straight", **SMALL)
    shuffled_items = [items[i] for i in rng.permutation(len(items))]
    shuffled = embed(FakePairs(shuffled_items), FakeVLM(), tmp_path / "shuffled", **SMALL)
    order = {name: row for row, name in enumerate(shuffled.ids)}
    rows = [order[name] for name in straight.ids]
    assert np.allclose(straight.image[:], shuffled.image[rows], atol=1e-5)
    assert np.allclose(straight.text[:], shuffled.text[rows], atol=1e-5)


def test_an_image_with_several_captions_is_embedded_once_a_shard(tmp_path):
    vlm = FakeVLM()
    embed(FakePairs(colour_pairs(9, captions=5)), vlm, tmp_path / "whole", rows_per_shard=45)
    assert sum(vlm.images_seen) == 9
    vlm = FakeVLM()
    store = embed(FakePairs(colour_pairs(9, captions=5)), vlm, tmp_path / "store", **SMALL)
    assert sum(vlm.images_seen) == sum(
        len({i // 5 for i in range(s, min(s + 7, 45))}) for s in range(0, 45, 7)
    )
    rows = store.image[:].reshape(9, 5, 6)
    assert np.allclose(rows, rows[:, :1], atol=1e-5)


def test_a_shard_is_a_function_of_its_items_alone(tmp_path):
    items = colour_pairs(9, captions=5)
    store = embed(FakePairs(items), FakeVLM(), tmp_path / "store", **SMALL)
    for start in range(0, 45, 7):
        alone = embed(FakePairs(items[start : start + 7]), FakeVLM(), tmp_path / f"{start}", **SMALL)
        assert np.array_equal(alone.image[:], store.image[start : start + 7])
        assert np.array_equal(alone.text[:], store.text[start : start + 7])


def test_known_images_are_not_decoded(tmp_path):
    class Remembers(FakeVLM):
        def recall_images(self, keys):
            return {key: np.full(6, 0.5, np.float32) for key in keys if key != "image 3"}

    vlm = Remembers()
    store = embed(FakePairs(colour_pairs(9)), vlm, tmp_path / "store", **SMALL)
    assert vlm.images_seen == [1]
    assert (store.image[[0, 8]] == 0.5).all()


@pytest.mark.parametrize("die_after", [0, 4, 11, 18])
def test_a_stopped_run_resumes_to_the_same_bytes(tmp_path, die_after):
    items = [*colour_pairs(12, captions=2), Skipped("x", "no caption")]
    embed(FakePairs(items), FakeVLM(), tmp_path / "whole", **SMALL)
    if die_after < 12:
        with pytest.raises(KeyboardInterrupt):
            embed(FakePairs(items), FakeVLM(die_after=die_after), tmp_path / "broken", **SMALL)
        with pytest.raises(ModalensError, match="unfinished"):
            EmbeddingStore.open(tmp_path / "broken")
    again = FakeVLM()
    embed(FakePairs(items), again, tmp_path / "broken", **SMALL)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    if 4 <= die_after < 12:
        assert sum(again.images_seen) < 12


def _embed_and_be_killed(folder: str, shards_before_death: int) -> None:
    from modalens.store.writer import StoreWriter

    write = StoreWriter.write_shard

    def dying(self, index, *args):
        if index == shards_before_death:
            (self.folder / "img_emb").mkdir(exist_ok=True)
            (self.folder / "img_emb" / "img_emb_0002.npy.partial").write_bytes(b"half a fi")
            os.kill(os.getpid(), 9)
        write(self, index, *args)

    StoreWriter.write_shard = dying  # type: ignore[method-assign]
    embed(FakePairs(colour_pairs(30)), FakeVLM(), folder, **SMALL)


def test_kill_9_loses_at_most_one_shard(tmp_path):
    embed(FakePairs(colour_pairs(30)), FakeVLM(), tmp_path / "whole", **SMALL)
    process = multiprocessing.get_context("spawn").Process(
        target=_embed_and_be_killed, args=(str(tmp_path / "k"), 2)
    )
    process.start()
    process.join()
    assert process.exitcode == -9
    again = FakeVLM()
    embed(FakePairs(colour_pairs(30)), again, tmp_path / "k", **SMALL)
    assert sum(again.images_seen) == 30 - 14
    assert contents(tmp_path / "k") == contents(tmp_path / "whole")


def test_a_damaged_shard_is_noticed_when_read_and_made_again_when_embedding(tmp_path):
    items = FakePairs(colour_pairs(20))
    embed(items, FakeVLM(), tmp_path / "store", **SMALL)
    before = contents(tmp_path / "store")
    path = tmp_path / "store" / "text_emb" / "text_emb_0001.npy"
    flipped = bytearray(path.read_bytes())
    flipped[-3] ^= 1
    path.write_bytes(flipped)
    store = EmbeddingStore.open(tmp_path / "store")
    assert store.text[:7].shape == (7, 6)
    with pytest.raises(ModalensError, match=r"text_emb_0001\.npy is damaged"):
        store.text[7:]
    again = FakeVLM()
    embed(items, again, tmp_path / "store", **SMALL)
    assert sum(again.images_seen) == 7
    assert contents(tmp_path / "store") == before


def test_bad_items_are_counted_skipped_and_listed(tmp_path):
    items = colour_pairs(10)
    items[2] = Skipped("empty", "its caption is empty")
    items[5] = Pair("bad", ColourImage("broken 5"), "a text", {})
    store = embed(FakePairs(items), FakeVLM(), tmp_path / "store", **SMALL)
    assert len(store) == 8
    assert store.manifest.skipped == [
        {"id": "empty", "reason": "its caption is empty"},
        {"id": "bad", "reason": "broken 5 is not an image"},
    ]
    written = json.loads((tmp_path / "store" / "manifest.json").read_text())
    assert written["totals"] == {"rows": 8, "skipped": 2}


@pytest.mark.parametrize("bad", [Skipped("x", "no caption"), Pair("x", ColourImage("broken"), "t", {})])
def test_strict_stops_at_the_first_bad_item(tmp_path, bad):
    with pytest.raises(ModalensError, match=r"^(x: no caption|broken: broken is not an image)"):
        embed(FakePairs([*colour_pairs(3), bad]), FakeVLM(), tmp_path / "store", strict=True)


def test_a_shard_of_nothing_but_bad_items(tmp_path):
    items = [Skipped(str(i), "empty") for i in range(7)] + colour_pairs(3)
    store = embed(FakePairs(items), FakeVLM(), tmp_path / "store", **SMALL)
    assert store.image.shape == (3, 6)
    embed(FakePairs(items), FakeVLM(), tmp_path / "store", **SMALL)
    with pytest.raises(ModalensError, match="gave no pair to embed"):
        embed(FakePairs(items[:7]), FakeVLM(), tmp_path / "empty", **SMALL)
    with pytest.raises(ModalensError, match="gave no pair to embed"):
        embed(FakePairs([]), FakeVLM(), tmp_path / "emptier", **SMALL)
    with pytest.raises(ModalensError, match=r"\(1 item skipped, the first because"):
        embed(FakePairs(items[:1]), FakeVLM(), tmp_path / "one", **SMALL)


def test_nan_from_the_model_stops_with_the_pair_named(tmp_path):
    with pytest.raises(ModalensError, match="NaN or infinite embedding for pair '008-0'"):
        embed(FakePairs(colour_pairs(9)), FakeVLM(nan_text="text 0 about 8"), tmp_path / "store", **SMALL)


def test_a_folder_that_holds_another_run_is_left_alone(tmp_path):
    out = tmp_path / "store"
    embed(FakePairs(colour_pairs(9)), FakeVLM(), out, **SMALL)
    before = contents(out)
    with pytest.raises(ModalensError, match=r"another run \(model: revision '1' there, '2' here\)"):
        embed(FakePairs(colour_pairs(9)), FakeVLM(revision="2"), out, **SMALL)
    with pytest.raises(ModalensError, match=r"another run .config: dtype"):
        embed(FakePairs(colour_pairs(9)), FakeVLM(), out, dtype="float16", **SMALL)
    with pytest.raises(ModalensError, match="source has changed"):
        embed(FakePairs(colour_pairs(8)), FakeVLM(), out, **SMALL)
    with pytest.raises(ModalensError, match="source has changed"):
        embed(FakePairs(colour_pairs(7)), FakeVLM(), out, **SMALL)
    assert contents(out) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ModalensError, match="is not empty and holds no store"):
        embed(FakePairs(colour_pairs(9)), FakeVLM(), tmp_path / "mine")
    with pytest.raises(ModalensError, match="is a file"):
        embed(FakePairs(colour_pairs(9)), FakeVLM(), tmp_path / "mine" / "thesis.txt")


def test_two_processes_cannot_write_one_store(tmp_path):
    class Embedding(FakeVLM):
        def embed_images(self, images):
            with pytest.raises(ModalensError, match="Another process is writing"):
                embed(FakePairs(colour_pairs(9)), FakeVLM(), tmp_path / "store", **SMALL)
            return super().embed_images(images)

    assert len(embed(FakePairs(colour_pairs(3)), Embedding(), tmp_path / "store", **SMALL)) == 3


def test_full_disk_keeps_what_is_finished(tmp_path, monkeypatch):
    save = np.save
    saved: list[Any] = []

    def full_after_three(*args, **kwargs):
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(1)
        save(*args, **kwargs)

    monkeypatch.setattr(np, "save", full_after_three)
    with pytest.raises(ModalensError, match="disk is full"):
        embed(FakePairs(colour_pairs(20)), FakeVLM(), tmp_path / "store", **SMALL)
    monkeypatch.setattr(np, "save", save)
    assert not list((tmp_path / "store").rglob("*" + atomic.PARTIAL_SUFFIX))
    embed(FakePairs(colour_pairs(20)), FakeVLM(), tmp_path / "store", **SMALL)
    embed(FakePairs(colour_pairs(20)), FakeVLM(), tmp_path / "whole", **SMALL)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_a_truly_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("a small disk cannot be mounted here")
    try:
        with pytest.raises(ModalensError, match="disk is full"):
            embed(FakePairs(colour_pairs(4000)), FakeVLM(), disk / "store", rows_per_shard=400)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("bad", [{"dtype": "int8"}, {"rows_per_shard": 0}, {"batch_size": -1}])
def test_bad_settings(tmp_path, bad):
    with pytest.raises(ModalensError, match=next(iter(bad))):
        embed(FakePairs(colour_pairs(3)), FakeVLM(), tmp_path / "store", **bad)


def test_half_precision_and_pairs_in_memory(tmp_path):
    store = embed(colour_pairs(5), FakeVLM(), tmp_path / "store", dtype="float16")
    assert store.image.dtype == np.float16
    assert store.manifest.source == {"source": "pairs given in memory"}


@pytest.mark.slow
def test_workers_give_the_same_bytes(tmp_path, tiny_clip):
    pairs = FakePairs([*colour_pairs(20, captions=2), Skipped("x", "no caption")])
    vlm = load_vlm(str(tiny_clip), device="cpu")
    embed(pairs, vlm, tmp_path / "one", **SMALL)
    embed(pairs, vlm, tmp_path / "two", **SMALL, workers=2, device="cpu")
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_worker_killed_in_mid_shard_costs_that_shard(tmp_path, tiny_clip, monkeypatch, caplog):
    pairs = FakePairs(colour_pairs(30))
    vlm = load_vlm(str(tiny_clip), device="cpu")
    embed(pairs, vlm, tmp_path / "whole", **SMALL)
    monkeypatch.setattr(embedding, "embed_shard_by_name", partial(crew.embed_and_die, tmp_path / "died"))
    with LocalEngine(2) as engine:
        config = EmbedConfig(**SMALL)
        _, effort = embedding.embed_with(engine, pairs, vlm, tmp_path / "struck", config)
    assert effort.retried == ["shard 1"]
    assert "Begun again because a worker died: shard 1" in caplog.text
    assert contents(tmp_path / "struck") == contents(tmp_path / "whole")


def test_a_stopped_run_goes_on_with_other_workers(tmp_path, tiny_clip):
    class Stops(FakePairs):
        def scan(self):
            yield from self.items[:17]
            raise KeyboardInterrupt

    vlm = load_vlm(str(tiny_clip), device="cpu")
    with pytest.raises(KeyboardInterrupt):
        embed(Stops(colour_pairs(30)), vlm, tmp_path / "broken", **SMALL)
    embed(FakePairs(colour_pairs(30)), vlm, tmp_path / "broken", **SMALL, workers=2)
    embed(FakePairs(colour_pairs(30)), vlm, tmp_path / "whole", **SMALL)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_workers_need_a_model_with_a_name(tmp_path):
    with pytest.raises(ModalensError, match="Workers load the model by its name, which fails"):
        embed(FakePairs(colour_pairs(9)), FakeVLM(), tmp_path / "store", **SMALL, workers=2)


def test_the_time_spent_waiting_for_images_is_measured(tmp_path, monkeypatch):
    load = ColourImage.load

    def slow(self):
        time.sleep(0.02)
        return load(self)

    monkeypatch.setattr(ColourImage, "load", slow)
    with LocalEngine() as engine:
        config = EmbedConfig(**SMALL)
        _, effort = embedding.embed_with(
            engine, FakePairs(colour_pairs(20)), FakeVLM(), tmp_path / "store", config
        )
        _, nothing = embedding.embed_with(
            engine, FakePairs(colour_pairs(20)), FakeVLM(), tmp_path / "store", config
        )
    assert effort.seconds.share_waiting > 0.8
    assert nothing.seconds.share_waiting is None


def test_bfloat16_computes_in_bfloat16_and_is_stored_exactly(tiny_clip, tmp_path, rng):
    vlm = load_vlm(str(tiny_clip))
    pairs = FakePairs(colour_pairs(6))
    full = embed(pairs, vlm, tmp_path / "full")
    half = embed(pairs, vlm, tmp_path / "half", dtype="bfloat16")
    for exact, rounded in ((full.image[:], half.image[:]), (full.text[:], half.text[:])):
        assert rounded.dtype == np.float32
        assert not (rounded.view(np.uint32) & 0xFFFF).any()  # what bfloat16 does not have is 0
        assert 0 < np.abs(rounded - exact).max() < 0.1 * np.abs(exact).max()
    assert half.manifest.config["dtype"] == "bfloat16"
    again = embed(pairs, vlm, tmp_path / "again", dtype="bfloat16")
    np.testing.assert_array_equal(again.image[:], half.image[:])


def test_a_batch_size_that_changes_no_byte_does_not_refuse_a_run(tmp_path):
    out = tmp_path / "store"
    embed(FakePairs(colour_pairs(9)), FakeVLM(), out, rows_per_shard=4, batch_size=32)
    before = contents(out)
    embed(FakePairs(colour_pairs(9)), FakeVLM(), out, rows_per_shard=4, batch_size=4)
    assert contents(out) == before
    with pytest.raises(ModalensError, match=r"another run .config: batch_size 4 there, 3 here"):
        embed(FakePairs(colour_pairs(9)), FakeVLM(), out, rows_per_shard=4, batch_size=3)


def test_a_slash_behind_a_folder_does_not_refuse_a_run(tmp_path):
    plan = Manifest("0", {"model": "folder/clip/"}, {"source": "folder:pictures"}, {}, 3)
    with StoreWriter(tmp_path, plan) as writer:
        writer.write_shard(0, ["a"], ShardContent({"img_emb": np.ones((1, 3))}, [{"id": "a"}], []))
    again = replace(plan, model={"model": "folder/clip"}, source={"source": "folder:pictures/"})
    with StoreWriter(tmp_path, again) as writer:
        assert writer.has_shard(0)
    with pytest.raises(ModalensError, match="another run"), StoreWriter(tmp_path, replace(plan, source={})):
        pass
