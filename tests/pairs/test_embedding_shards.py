"""Shards of embeddings as LAION hands them out: no images, no manifest, 16 bits."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modalens.cli import main
from modalens.errors import ModalensError
from modalens.store import EmbeddingStore

ROWS, WIDTH = (25, 15), 8


def shard(folder: Path, name: str, number: int, rows: np.ndarray) -> None:
    (folder / name).mkdir(exist_ok=True)
    np.save(folder / name / f"{name}_{number}.npy", rows)


def metadata(folder: Path, number: int, frame: pd.DataFrame) -> None:
    (folder / "metadata").mkdir(exist_ok=True)
    frame.to_parquet(folder / "metadata" / f"metadata_{number}.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards; a tenth shard would follow the second, whatever its name's letters say."""
    rng = np.random.default_rng(0)
    start = 0
    for number, rows in zip((9, 10), ROWS, strict=True):
        shared = rng.standard_normal((rows, WIDTH))
        for name, offset in (("img_emb", 0.5), ("text_emb", -0.5)):
            values = shared + offset + 0.1 * rng.standard_normal((rows, WIDTH))
            shard(tmp_path, name, number, values.astype(np.float16))
        names = range(start, start + rows)
        metadata(
            tmp_path,
            number,
            pd.DataFrame(
                {
                    "url": [f"https://example.org/{name % 7}.jpg" for name in names],
                    "caption": [f"caption {name}" for name in names],
                    "key": [f"{name:09d}" for name in names],
                }
            ),
        )
        start += rows
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    monkeypatch.setattr(sys, "argv", ["modalens", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert not end.value.code, err
    return json.loads(out)


def test_they_open_with_ids_and_captions(folder: Path) -> None:
    store = EmbeddingStore.open(folder)
    assert store.manifest is None
    assert store.image.shape == store.text.shape == (sum(ROWS), WIDTH)
    assert store.image.dtype == np.float16
    assert store.ids.tolist() == [f"{name:09d}" for name in range(sum(ROWS))]
    assert store.metadata["caption"].tolist() == [f"caption {name}" for name in range(sum(ROWS))]
    first, second = (np.load(folder / "img_emb" / f"img_emb_{number}.npy") for number in (9, 10))
    np.testing.assert_array_equal(store.image[:], np.concatenate([first, second]))


@pytest.mark.usefixtures("no_figures")
def test_they_are_scored_learned_on_and_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = run(monkeypatch, capsys, "score", folder, "--resamples", 10)
    assert (scores["pairs"], scores["features"]) == (sum(ROWS), WIDTH)
    assert list(scores["counts"]) == ["text", "cross", "image", "dead"]
    assert scores["gap"]["l2m"]["value"] > scores["gap"]["l2m"]["label_swap"][2]
    run(monkeypatch, capsys, "train", "sae", folder, "--n-features", 16, "--k", 4, "--steps", 3,
        "--batch-size", 16)  # fmt: skip
    page = Path(run(monkeypatch, capsys, "report", folder)["report"])
    assert "<html" in page.read_text(encoding="utf-8")[:500]


def test_shards_that_do_not_pair_up(folder: Path) -> None:
    shard(folder, "text_emb", 10, np.zeros((ROWS[1] - 1, WIDTH), np.float16))
    with pytest.raises(ModalensError, match="does not pair up: its images have shape"):
        EmbeddingStore.open(folder)


def test_metadata_of_other_pairs(folder: Path) -> None:
    metadata(folder, 10, pd.DataFrame({"caption": ["one"]}))
    with pytest.raises(ModalensError, match=r"metadata_10\.parquet has 1 rows for 15 pairs"):
        _ = EmbeddingStore.open(folder).metadata


def test_a_shard_cut_short(folder: Path) -> None:
    path = folder / "img_emb" / "img_emb_9.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModalensError, match=r"img_emb_9\.npy cannot be read"):
        EmbeddingStore.open(folder)


def test_a_side_that_is_missing(folder: Path) -> None:
    for path in (folder / "text_emb").iterdir():
        path.unlink()
    with pytest.raises(ModalensError, match="is no store of pairs: it has no text_emb/"):
        EmbeddingStore.open(folder)


@pytest.mark.usefixtures("no_figures")
def test_features_can_be_interpreted_without_images(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--m", 5, "--draws", 2, "--shuffles", 100, "--text-embedder", "own")
    found = run(monkeypatch, capsys, "interpret", folder, "--image-embedder", "own", *words)
    averages = {(row["metric"], row["modality"], row["label"]): row for row in found["raw"]["averages"]}
    for side in ("image", "text"):
        assert averages["mono", side, "all"]["mean"] > averages["mono", side, "all"]["chance"]
    assert not (folder / "samples").exists()
    page = Path(run(monkeypatch, capsys, "report", folder)["report"]).read_text(encoding="utf-8")
    assert "caption 17" in page
    monkeypatch.setattr(sys, "argv", ["modalens", "interpret", str(folder), *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "(--image-embedder own)" in capsys.readouterr().err
