import numpy as np
import pytest

import modalens as ml
from modalens.engine import embed
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
