import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modalens.store import EmbeddingStore
from modalens.towers import load_vlm

WORDS = ["a", "red", "cat", "a", "blue", "dog", "the", "green", "sun"]


def draw(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path):
    """A folder of 12 images with captions, some deeper than others."""
    folder = tmp_path / "photos"
    (folder / "deep" / "er").mkdir(parents=True)
    for i in range(12):
        path = folder / ("deep/er" if i % 3 == 0 else "") / f"{i:02d}.png"
        draw(path, i)
        path.with_suffix(".txt").write_text(f"{WORDS[i % 9]} {i}")
    return folder


def test_embeds_a_folder_as_transformers_would(run_json, photos, tiny_clip, tmp_path, no_network):
    found = run_json("embed", f"folder:{photos}", "--vlm", tiny_clip, "--out", tmp_path / "store")
    assert 0 < found.pop("share_waiting_for_images") < 1
    assert found == {
        "store": str(tmp_path / "store"), "pairs": 12, "features": 24, "skipped": [], "retried": [],
    }  # fmt: skip
    store = EmbeddingStore.open(tmp_path / "store")
    vlm = load_vlm(str(tiny_clip))
    for row, name in enumerate(store.ids):
        image = Image.open(photos / f"{name}.png").convert("RGB")
        assert np.allclose(store.image[row], vlm.embed_images([image])[0], atol=1e-5)
        text = (photos / f"{name}.txt").read_text()
        assert np.allclose(store.text[row], vlm.embed_texts([text])[0], atol=1e-5)
    assert store.manifest.model["weights_sha256"]
    assert store.manifest.source["source"] == f"folder:{photos}"


def test_bad_files_are_skipped_listed_and_told(run, run_json, photos, tiny_clip, tmp_path):
    whole = (photos / "01.png").read_bytes()
    (photos / "01.png").write_bytes(whole[: len(whole) // 2])
    (photos / "02.png").write_bytes(b"this is no image")
    (photos / "04.txt").write_text("  \n")
    (photos / "05.png").unlink()
    (photos / "07.txt").unlink()
    words = ("embed", f"folder:{photos}", "--vlm", tiny_clip, "--out")
    found = run_json(*words, tmp_path / "store")
    assert found["pairs"] == 7
    reasons = {item["id"]: item["reason"] for item in found["skipped"]}
    assert len(reasons) == 5
    listed = json.loads((tmp_path / "store" / "manifest.json").read_text())
    assert listed["totals"] == {"rows": 7, "skipped": 5}
    assert listed["shards"][0]["skipped"] == found["skipped"]
    code, out, _ = run(*words, tmp_path / "again")
    assert code == 0
    assert "5 skipped, listed in" in out
    code, _, err = run(*words, tmp_path / "strict", "--strict")
    assert code == 2
    assert err.splitlines()[-1].startswith("modalens: ")


def test_several_captions_an_image_from_csv(run_json, photos, tiny_clip, tmp_path):
    with (photos / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption", "mood"])
        rows.writerows(
            [f"{i:02d}.png", f"{word} {i}", "calm"] for i in (1, 2, 4) for word in ("cat", "dog", "sun")
        )
    run_json(
        "embed",
        f"csv:{photos / 'captions.csv'}",
        "--vlm",
        tiny_clip,
        "--out",
        tmp_path / "run" / "embeddings",
    )
    store = EmbeddingStore.open(tmp_path / "run" / "embeddings")
    assert store.image.shape == (9, 24)
    assert len(np.unique(store.image[:], axis=0)) == 3
    assert list(store.metadata["mood"]) == ["calm"] * 9
    assert run_json("score", tmp_path / "run", "--resamples", 10)["retrieval"]["n"] == 3


def test_shards_and_a_shard_cut_short(run, run_json, photos, tiny_clip, tmp_path):
    for shard in range(2):
        with tarfile.open(tmp_path / f"s-{shard}.tar", "w") as tar:
            for i in (1, 2, 4):
                for suffix in ("png", "txt"):
                    content = (photos / f"{i:02d}.{suffix}").read_bytes()
                    entry = tarfile.TarInfo(f"{i:02d}.{suffix}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    words = ("embed", f"wds:{tmp_path}/s-{{0..1}}.tar", "--vlm", tiny_clip, "--rows-per-shard", 3, "--out")
    assert run_json(*words, tmp_path / "store")["pairs"] == 6
    whole = (tmp_path / "s-1.tar").read_bytes()
    (tmp_path / "s-1.tar").write_bytes(whole[:5000])
    code, _, err = run(*words, tmp_path / "cut")
    assert code == 2
    assert "s-1.tar" in err.splitlines()[-1]
    (tmp_path / "s-1.tar").write_bytes(whole)
    assert run_json(*words, tmp_path / "cut")["pairs"] == 6
    for file in (tmp_path / "store").rglob("*.npy"):
        assert file.read_bytes() == (tmp_path / "cut" / file.relative_to(tmp_path / "store")).read_bytes()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("embed", "dreams:x"), "folder:"),
        (("embed", "folder:/no/such/folder"), "/no/such/folder"),
        (("embed", "csv:/no/such/file.csv"), "/no/such/file.csv"),
        (("embed", "wds:/no/such/{0..3}.tar"), "/no/such/"),
    ],
)
def test_unknown_and_missing_sources(run, words, sentence):
    code, _, err = run(*words)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_unknown_models_and_other_runs(run, photos, tiny_clip, tmp_path):
    for vlm, sentence in (("clip", "there are demo"), (tmp_path / "nothing", "does not exist")):
        code, _, err = run("embed", f"folder:{photos}", "--vlm", vlm, "--out", tmp_path / "s")
        assert code == 2
        assert sentence in err
    assert run("embed", f"folder:{photos}", "--vlm", tiny_clip, "--out", tmp_path / "s")[0] == 0
    other = run("embed", f"folder:{photos}", "--vlm", f"untrained:{tiny_clip}", "--out", tmp_path / "s")
    assert other[0] == 2
    assert "holds another run" in other[2]


@pytest.mark.slow
def test_a_real_kill_then_the_same_bytes(photos, tiny_clip, tmp_path):
    """Kill the real command with SIGKILL as soon as its first shard is there."""
    command = [sys.executable, "-c", "from modalens.cli import main; main()", "embed", f"folder:{photos}"]
    command += ["--vlm", str(tiny_clip), "--rows-per-shard", "1", "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, str(tmp_path / "killed")], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    first = tmp_path / "killed" / "metadata" / "metadata_0000.parquet"
    while not first.exists() and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    for file in (tmp_path / "whole").rglob("*"):
        if file.is_file():
            assert (
                file.read_bytes() == (tmp_path / "killed" / file.relative_to(tmp_path / "whole")).read_bytes()
            )


@pytest.mark.demo
def test_real_photos_through_the_demo_encoder(run_json, flickr, tmp_path):
    few = tmp_path / "photos"
    (few / "images").mkdir(parents=True)
    with (flickr / "captions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[: 5 * 24]
    for row in rows:
        shutil.copy(flickr / "images" / row["image"], few / "images")
        (few / "images" / row["image"]).with_suffix(".txt").write_text(row["caption"])
    with (few / "captions.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["image", "caption"])
        table.writeheader()
        table.writerows(rows)
    folder = run_json("embed", f"folder:{few}", "--vlm", "demo", "--out", tmp_path / "folder")
    table = run_json("embed", f"csv:{few}/captions.csv", "--vlm", "demo", "--out", tmp_path / "csv")
    assert (folder["pairs"], table["pairs"]) == (24, 120)
    images = EmbeddingStore.open(tmp_path / "folder").image[:]
    assert np.allclose(images, EmbeddingStore.open(tmp_path / "csv").image[::5], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--workers", 0), "workers is 0; it must be at least 1."),
        (("--engine", "spark"), "There is no engine 'spark'; choose one of local, ray."),
        (("--address", "10.0.0.1:6379"), "The engine local has no address"),
        (("--engine", "ray", "--address", "127.0.0.1:1"), "No Ray cluster answers at 127.0.0.1:1"),
    ],
)
def test_engines_that_cannot_be_had(run, photos, tiny_clip, tmp_path, options, sentence):
    words = ("embed", f"folder:{photos}", "--vlm", tiny_clip, "--out", tmp_path / "store", *options)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert not (tmp_path / "store").exists()
