import numpy as np
import pytest

import modalens as ml
from modalens.runs import embed
from tests.fakes import FakePairs, FakeVLM, colour_pairs

QUICK = ("--steps", 20, "--batch-size", 16)


@pytest.fixture
def store(tmp_path):
    return embed(FakePairs(colour_pairs(60)), FakeVLM(), tmp_path / "run" / "embeddings")


def test_an_autoencoder_is_trained_into_the_run(run_json, store, tmp_path):
    found = run_json("train", "sae", tmp_path / "run", "--n-features", 12, "--k", 2, *QUICK)
    assert found["model"] == str(tmp_path / "run" / "features" / "topk-n12-k2-seed0")
    assert found["step"] == 20
    assert {"fvu_image", "active_text", "dead", "retrieval"} <= found["train"].keys()
    sae = ml.TopKSAE.load(found["model"])
    assert sae.encode(store.image).shape == (60, 12)
    again = run_json("train", "sae", tmp_path / "run", "--n-features", 12, "--k", 2, *QUICK)
    assert again == found


def test_a_projector_and_words_for_people(run, tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.standard_normal((2, 50, 6)))
    code, out, err = run(
        "train", "ncl", tmp_path / "x.npy", "--n-features", 9, *QUICK, "--out", tmp_path / "m"
    )
    assert code == 0, err
    assert "NCL(d=6, n_features=9) after 20 steps" in out
    assert ml.NCL.load(tmp_path / "m").encode(rng.standard_normal((3, 6))).shape == (3, 9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--k", 99, "--n-features", 12), "k is 99 and n_features 12"),
        (("--kind", "gated"), "topk, batch_topk, matryoshka, aligned"),
        (("--lr", "0"), "lr is 0.0"),
    ],
)
def test_bad_settings(run, store, tmp_path, options, sentence):
    code, _, err = run("train", "sae", tmp_path / "run", *options)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_a_file_needs_a_place_for_the_model(run, tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.standard_normal((2, 50, 6)))
    code, _, err = run("train", "sae", tmp_path / "x.npy")
    assert code == 2
    assert "--out" in err


def broken(pairs, how):
    pairs = pairs.copy()
    pairs[0, 7, 2] = {"nan": np.nan, "huge": 1e25}[how]
    return pairs


@pytest.mark.parametrize("name", ["sae", "ncl"])
@pytest.mark.parametrize(
    ("how", "sentence"),
    [("nan", "The image matrix has a NaN or infinite value in row 7"), ("huge", "of configuration 0")],
)
def test_bad_pairs(run, tmp_path, rng, name, how, sentence):
    np.save(tmp_path / "x.npy", broken(rng.standard_normal((2, 50, 6)), how))
    code, out, err = run(
        "train", name, tmp_path / "x.npy", *QUICK, "--n-features", 40, "--out", tmp_path / "m"
    )
    assert code == 2, err
    assert sentence in err
    assert "Traceback" not in err
    assert not out
    assert not (tmp_path / "m" / "config.json").exists()


def test_a_damaged_checkpoint_and_an_unknown_tracker(run, tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.standard_normal((2, 50, 6)))
    words = ("train", "sae", tmp_path / "x.npy", "--n-features", 12, "--out", tmp_path / "m", "--steps", 500)
    assert run(*words, "--batch-size", 8, "--k", 2)[0] == 0
    (checkpoint,) = (tmp_path / "m").glob("checkpoint-*")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    code, _, err = run(*words, "--batch-size", 8, "--k", 2)
    assert code == 2
    assert "cannot be read" in err
    code, _, err = run(*words, "--k", 2, "--tracker", "mlflow")
    assert code == 2
    assert "--tracker: There is no tracker 'mlflow'; choose one of tensorboard, wandb" in err


def test_other_settings_make_other_features_of_the_same_name(run_json, store, tmp_path):
    words = ("train", "sae", tmp_path / "run", "--n-features", 12, "--k", 2, *QUICK, "--name", "mine")
    first = run_json(*words, "--patience", 3, "--device", "cpu")
    assert first["model"] == str(tmp_path / "run" / "features" / "mine")
    other = run_json(*words, "--lr", 1e-3)
    assert other["model"].startswith(first["model"] + "-")
    assert ml.TopKSAE.load(first["model"]).encode(store.image).shape == (60, 12)
