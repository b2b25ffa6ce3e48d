"""Pictures of a steered embedding: drawn by the run's generator or a pipeline that was named, one at a time."""

import threading
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modalens.explore import drawing
from modalens.features import SAEConfig
from modalens.pairs import load_pairs
from modalens.runs import embed, origin
from modalens.runs.layout import RunFolder
from modalens.runs.representations import representations
from modalens.runs.scoring import score_into
from modalens.towers import load_vlm
from tests.diffusion import save_stable_diffusion, save_unclip
from tests.explore.conftest import ColourGenerator, DrawingVLM, Explorer, served
from tests.small_run import SCORING, learn, make_table

SAE = "/api/photos/sae"


def _pixels(address: str) -> np.ndarray:
    start, data = address.split(",")
    assert start == "data:image/webp;base64"
    with Image.open(BytesIO(b64decode(data))) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


def _feature(explorer: Explorer, row: int) -> int:
    """The feature that holds most of a text."""
    pair = explorer.json(f"{SAE}/pairs/{row}")
    return int(max(pair["features"], key=lambda each: each["text"])["feature"])


def test_a_pair_is_drawn_before_after_and_with_random_features(explorer: Explorer) -> None:
    assert explorer.json("/api/photos")["draws"]
    row = explorer.json(f"{SAE}/pairs?place=0")["row"]
    asked = {"features": [_feature(explorer, row)], "gain": 0, "side": "text", "row": row}
    found = explorer.json(f"{SAE}/drawn", asked)
    assert list(found["pictures"]) == ["before", "after", "control"]
    assert (found["generator"], found["prompt"], found["features"]) == ("colours", None, 1)
    assert found["control"] >= 1
    assert 0 < found["control_energy"] <= 1 - found["energy"] + 1e-9
    pixels = {name: _pixels(each) for name, each in found["pictures"].items()}
    assert np.abs(pixels["before"] - pixels["after"]).max() > 10
    assert found["moved"]["before"] == pytest.approx(0, abs=1e-5)
    assert found["moved"]["after"] > 0
    same = explorer.json(f"{SAE}/drawn", {**asked, "gain": 1})["pictures"]
    assert same["before"] == same["after"] == same["control"] == found["pictures"]["before"]
    own = explorer.json("/api/photos/text", {"text": "tea"})["key"]
    assert explorer.json(f"{SAE}/drawn", {"label": "text", "gain": 2, "side": "text", "own": own})["pictures"]
    assert "of the text side" in explorer.refused(f"{SAE}/drawn", {**asked, "side": "image", "own": own})[1]


def test_one_picture_at_a_time(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    drawn = ColourGenerator.generate

    def waiting(self: ColourGenerator, embedding: np.ndarray, seed: int = 0) -> list[Image.Image]:
        begun.set()
        assert go_on.wait(60)
        return drawn(self, embedding, seed)

    monkeypatch.setattr(ColourGenerator, "generate", waiting)
    asked = {"label": "text", "gain": 0, "side": "text", "row": 0}
    first = threading.Thread(target=explorer.json, args=(f"{SAE}/drawn", asked))
    first.start()
    try:
        assert begun.wait(60)
        status, sentence = explorer.refused(f"{SAE}/drawn", asked)
        assert status == 423
        assert "wait for it to end" in sentence
        assert explorer.json(f"{SAE}/steer", asked)["moved"]  # all else answers meanwhile
    finally:
        go_on.set()
        first.join(60)
    assert explorer.json(f"{SAE}/drawn", asked)["pictures"]


def test_a_run_without_a_generator_says_so(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"label": "text", "gain": 0, "side": "text", "row": 0}
    monkeypatch.setattr(drawing, "has_generator", lambda name: False)
    with served(copied) as plain:
        assert not plain.json("/api/photos")["draws"]
        assert "--generator MODEL" in plain.refused(f"{SAE}/drawn", asked)[1]
    monkeypatch.setattr(origin, "load_vlm", lambda *args, **kwargs: DrawingVLM(revision="1"))
    monkeypatch.setattr(drawing, "has_generator", lambda name: True)
    monkeypatch.setattr(DrawingVLM, "generator", lambda self: None)
    with served(copied) as without:
        assert "No generator was trained" in without.refused(f"{SAE}/drawn", asked)[1]


@pytest.fixture(scope="module")
def clip_run(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Path:
    """A run of a tiny CLIP, whose embeddings the tiny pipelines take."""
    pytest.importorskip("diffusers", reason="needs the extra text-to-image")
    folder = tmp_path_factory.mktemp("clip-run")
    run = RunFolder(folder / "photos")
    pairs = load_pairs(f"csv:{make_table(folder)}")
    store = embed(pairs, load_vlm(str(tiny_clip)), run.embeddings)
    learn(run, "sae", SAEConfig(24, n_features=16, k=2))
    score_into(run.scores, store, SCORING)
    representations(run)
    return run.folder


def test_unclip_draws_the_embedding(
    clip_run: Path, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "load_vlm", load_vlm)
    generator = save_unclip(tmp_path / "unclip", tiny_clip)
    with served(clip_run, generator=str(generator)) as explorer:
        row = explorer.json(f"{SAE}/pairs?place=0")["row"]
        asked = {"features": [_feature(explorer, row)], "gain": -4, "side": "text", "row": row}
        found = explorer.json(f"{SAE}/drawn", asked)
        before, after = (_pixels(found["pictures"][name]) for name in ("before", "after"))
        assert np.abs(before - after).max() > 0
        assert found["generator"] == str(generator)
        assert found["prompt"] is None


def test_stable_diffusion_draws_the_words_of_a_sentence(
    clip_run: Path, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "load_vlm", load_vlm)
    generator = save_stable_diffusion(tmp_path / "diffusion", tiny_clip)
    with served(clip_run, generator=str(generator)) as explorer:
        own = explorer.json("/api/photos/text", {"text": "a cat"})["key"]
        asked = {"features": list(range(8)), "gain": -4, "side": "text", "own": own}
        found = explorer.json("/api/photos/raw/drawn", asked)
        before, after = (_pixels(found["pictures"][name]) for name in ("before", "after"))
        assert np.abs(before - after).max() > 0
        assert found["prompt"] == "a cat"
        row = {"features": [1], "gain": 0, "side": "image", "row": 0}
        assert "draws from words" in explorer.refused(f"{SAE}/drawn", row)[1]


def test_a_generator_of_another_space_or_none_is_a_sentence(
    copied: Path, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("diffusers", reason="needs the extra text-to-image")
    monkeypatch.setattr(origin, "load_vlm", lambda *args, **kwargs: DrawingVLM(revision="1"))
    asked = {"label": "text", "gain": 0, "side": "text", "row": 0}
    with served(copied, generator=str(save_unclip(tmp_path / "unclip", tiny_clip))) as explorer:
        assert "of 24 features and the run has 6" in explorer.refused(f"{SAE}/drawn", asked)[1]
    with served(copied, generator=str(tmp_path)) as explorer:
        assert "model_index.json" in explorer.refused(f"{SAE}/drawn", asked)[1]
