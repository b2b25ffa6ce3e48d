"""The commands on what features mean, on one run from a table of images on disk."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modalens.pairs import load_pairs
from modalens.runs import embed, interpreting
from tests.fakes import FakeVLM

COLOURS = 48
NAME = "topk-n12-k3-seed0"  # of the features that train names by itself


class Embedder:
    """Mean colour of an image; letters of a text."""

    name, dim = "fake h", 3

    def __init__(self, modality):
        self.modality = modality

    def embed(self, samples):
        if self.modality == "text":
            return np.array([[1 + text.count(letter) for letter in "rgb"] for text in samples], np.float32)
        return np.stack([1 + np.asarray(image, np.float32).mean((0, 1)) for image in samples])

    def card(self):
        return {"model": self.name}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A run with pictures behind it and learned features; its folder."""
    monkeypatch.setattr(interpreting, "load_sample_embedder", lambda name, modality: Embedder(modality))
    rng = np.random.default_rng(0)
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "image", "caption", "category"))
        for number in range(COLOURS):
            colour = tuple(rng.integers(0, 256, 3).tolist())
            Image.new("RGB", (8, 8), colour).save(tmp_path / f"{number}.png")
            words = " ".join(f"{'rgb'[i]}{'x' * (colour[i] // 50)}" for i in range(3))
            caption = "<script>alert(1)</script>" if number == 0 else f"tea {words} {number}"
            table.writerow((f"p{number}", f"{number}.png", caption, ("warm", "cold")[colour[0] < colour[2]]))
    embed(load_pairs(f"csv:{tmp_path}/pairs.csv"), FakeVLM(), tmp_path / "run" / "embeddings")
    return tmp_path / "run"


@pytest.fixture
def with_features(made, run):
    words = ("--n-features", 12, "--k", 3, "--steps", 40, "--batch-size", 16)
    code, _, err = run("train", "sae", made, *words)
    assert code == 0, err
    return made


@pytest.mark.usefixtures("no_figures")
def test_interpret_report_and_annotate(with_features, run, run_json):
    found = run_json("interpret", with_features, "--m", 5, "--shuffles", 100)
    assert set(found) == {"raw", NAME}
    assert {row["metric"] for row in found[NAME]["averages"]} >= {"mono", "embsim", "winrate"}
    assert set(found[NAME]["verdicts"]) == {"image", "text"}
    code, out, _ = run("interpret", with_features, "--m", 5, "--shuffles", 100)
    assert code == 0
    assert "features by verdict" in out

    page = run_json("report", with_features, "--top", 4)["report"]
    markup = Path(page).read_text(encoding="utf-8")
    assert '<section id="gallery"' in markup
    assert "<script>alert(1)" not in markup
    annotated = run_json("annotate", with_features, "--max-features", 6, "--top", 3)
    key = json.loads(Path(annotated["key"]).read_text(encoding="utf-8"))
    assert len(key["items"]) <= 6
    assert "<script>alert(1)" not in Path(annotated["page"]).read_text(encoding="utf-8")


def test_one_of_several_sets_of_features_must_be_named(with_features, run, run_json):
    found = run_json("interpret", with_features, "--m", 5, "--shuffles", 100, "--features", NAME)
    assert set(found) == {NAME}
    words = ("--n-features", 12, "--k", 3, "--steps", 4, "--batch-size", 16, "--seed", 1)
    assert run("train", "sae", with_features, *words)[0] == 0
    code, _, err = run("annotate", with_features)
    assert code == 2
    assert f"choose with --features: raw, {NAME}, topk-n12-k3-seed1" in err
    assert run("annotate", with_features, "--features", NAME)[0] == 0


@pytest.mark.usefixtures("no_figures")
def test_removal_is_studied_on_every_representation(with_features, run, run_json):
    words = ("study", "removal", with_features, "--label", "category", "--no-baselines")
    found = run_json(*words)
    assert {"raw", NAME} <= set(found)
    table = found["raw"]["tables"]["removal"]
    assert {"whole", "whole_low", "random", "variance", "f_score", "p"} <= set(table[0])
    results = {path: path.stat().st_mtime_ns for path in (with_features / "studies").rglob("result.json")}
    assert len(results) == 2
    run_json(*words)
    assert {
        path: path.stat().st_mtime_ns for path in (with_features / "studies").rglob("result.json")
    } == results
    page = run_json("report", with_features)["report"]
    assert 'id="study-removal"' in Path(page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("interpret", "nothing"), "There is no run at nothing"),
        (("study", "removal", "nothing"), "There is no run at nothing"),
        (("annotate", "nothing"), "There is no run at nothing"),
        (("agreement", "nothing.json"), "There is no file nothing.json"),
    ],
)
def test_bad_names_are_one_sentence_and_code_2(run, words, sentence):
    code, _, err = run(*words)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_what_a_run_lacks_is_said(made, run):
    for words, sentence in (
        (("annotate", made, "--features", "raw"), "run modalens interpret"),
        (("annotate", made), "raw was not interpreted; run modalens interpret"),
        (("annotate", made, "--features", "sae"), "has no features 'sae'; it has raw"),
        (("interpret", made, "--features", "sae"), "has no features 'sae'; it has raw"),
        (("study", "dance", made), "No such command 'dance'"),
        (("study", "removal", made, "--label", "mood"), "no column 'mood'"),
        (("interpret", made, "--m", 1), "m is 1; it must be at least 2"),
        (("report", made, "--top", 0), "top is 0"),
    ):
        code, _, err = run(*words)
        assert code == 2, words
        assert sentence in err, err
