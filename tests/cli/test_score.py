import json

import numpy as np
import pytest

from modalens.runs import embed
from modalens.store import EmbeddingStore
from tests.conftest import REFERENCE
from tests.fakes import FakePairs, FakeVLM, colour_pairs


def test_published_numbers_on_real_clip_features(run_json, clip_features):
    found = run_json("score", REFERENCE / "mind_the_gap" / "features_clip.npy")
    assert found["mean"] == pytest.approx(0.4761, abs=5e-5)
    assert found["std"] == pytest.approx(0.0663, abs=5e-5)
    assert found["min"] == pytest.approx(0.1446, abs=5e-5)
    assert found["max"] == pytest.approx(0.8311, abs=5e-5)
    assert found["rule"] == "twofold"
    assert found["other_rules"]["mu_sigma"]["counts"] == {"text": 35, "cross": 426, "image": 51, "dead": 0}
    assert found["gap"]["l2m"]["value"] == pytest.approx(0.8514, abs=5e-5)
    assert found["std_label_swap"] < found["std"] / 3


def test_tables_for_people(run, tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.standard_normal((2, 40, 6)))
    code, out, err = run("score", tmp_path / "x.npy", "--out", tmp_path / "scores", "--rule", "twofold")
    assert code == 0, err
    for word in (
        "R by mean_ratio",
        "Classes by twofold, beside mu_sigma",
        "L2M",
        "Separability",
        "image to text",
        "% to ",  # recall has an interval too
        "chance",
    ):
        assert word in out
    assert (tmp_path / "scores" / "scores.json").exists()


def test_scores_of_a_run_go_into_the_run(run_json, tmp_path):
    embed(FakePairs(colour_pairs(20)), FakeVLM(), tmp_path / "run" / "embeddings")
    found = run_json("score", tmp_path / "run", "--resamples", 20)
    assert found["pairs"] == 20
    assert found["scores"] == str(tmp_path / "run" / "scores")
    manifest = json.loads((tmp_path / "run" / "scores" / "scores.json").read_text())
    assert manifest["source"]["model"]["model"] == "fake"
    assert EmbeddingStore.open(tmp_path / "run" / "embeddings").manifest.complete


def test_workers_score_a_run_alike(run, run_json, tmp_path, rng):
    embed(FakePairs(colour_pairs(20)), FakeVLM(), tmp_path / "run" / "embeddings")
    alone = run_json("score", tmp_path / "run", "--resamples", 20, "--out", tmp_path / "one")
    found = run_json("score", tmp_path / "run", "--resamples", 20, "--workers", 2, "--out", tmp_path / "two")
    assert {**found, "scores": None} == {**alone, "scores": None}
    for path in (tmp_path / "one").iterdir():
        assert path.name == ".lock" or path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    np.save(tmp_path / "x.npy", rng.standard_normal((2, 40, 6)))
    code, _, err = run("score", tmp_path / "x.npy", "--workers", 2)
    assert code == 2
    assert "is scored by this process alone" in err


def stacked(tmp_path, values):
    np.save(tmp_path / "x.npy", values)
    return tmp_path / "x.npy"


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        (np.zeros((2, 0, 3)), (), "empty"),
        (np.zeros((2, 3, 0)), (), "empty"),
        (np.full((2, 5, 3), np.nan), (), "NaN or infinite value in row 0"),
        (np.full((2, 5, 3), np.inf), (), "NaN or infinite value in row 0"),
        (-np.ones((2, 9, 3)), ("--estimator", "signed_ratio"), "never negative"),
        (np.ones((2, 9, 3)), ("--estimator", "median"), "mean_ratio, energy_ratio"),
        (np.ones((2, 9, 3)), ("--rule", "thirds"), "mu_sigma"),
        (np.ones((2, 9, 3)), ("--resamples", "-1"), "--resamples: resamples is -1; it must be at least 0"),
        (np.ones((2, 9, 3)), ("--groups", "image"), "has no metadata"),
        (np.ones((9, 3)), (), "two stacked matrices"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_code_2(run, tmp_path, values, options, sentence):
    code, out, err = run("score", stacked(tmp_path, values), *options)
    assert code == 2
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("modalens: ")]
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in err


def test_a_missing_run_and_an_unfinished_one(run, tmp_path):
    code, _, err = run("score", tmp_path / "nowhere")
    assert code == 2
    assert "There is no run" in err
    with pytest.raises(KeyboardInterrupt):
        embed(
            FakePairs(colour_pairs(20)), FakeVLM(die_after=4), tmp_path / "run" / "embeddings", batch_size=4
        )
    code, _, err = run("score", tmp_path / "run")
    assert code == 2
    assert "unfinished" in err


def test_mismatched_rows_in_a_store(run, tmp_path, rng):
    for name, rows in (("img_emb", 9), ("text_emb", 8)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}_0000.npy", rng.standard_normal((rows, 4)))
    code, _, err = run("score", tmp_path)
    assert code == 2
    assert "does not pair up" in err


def test_unforeseen_faults_are_no_traceback(run, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("something odd")

    monkeypatch.setattr("modalens.store.npy.load_stacked", broken)
    code, _, err = run("score", tmp_path / "x.npy")
    assert code == 1
    assert "bug in modalens: RuntimeError: something odd" in err


def test_usage(run):
    assert run("--version")[1].startswith("modalens 0.")
    code, out, _ = run("score", "--help")
    assert code == 0
    assert "image first" in out
    assert run("score")[0] == 2
    assert run("dance")[0] == 2
