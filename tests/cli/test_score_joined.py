"""``modalens score`` on stores joined into three modalities."""

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from tests.dominance.planted_several import plant_several


@pytest.fixture
def joined(tmp_path):
    """Image, text and sound of 300 planted samples, sounds in another order and a few of them missing."""
    sides = plant_several(n=300, d=12).sides.astype(np.float32)
    order = np.random.default_rng(0).permutation(300)[:280]
    stores = {}
    for folder, first, second, rows in (("photos", 0, 1, np.arange(300)), ("sounds", 2, 1, order)):
        for name, side in (("img_emb", first), ("text_emb", second), ("metadata", None)):
            (tmp_path / folder / name).mkdir(parents=True)
            if side is None:
                frame = pd.DataFrame({"id": [f"s{row}" for row in rows]})
                frame.to_parquet(tmp_path / folder / name / "metadata_0000.parquet")
            else:
                np.save(tmp_path / folder / name / f"{name}_0000.npy", sides[side][rows])
        stores[folder] = ml.EmbeddingStore.open(tmp_path / folder)
    path = tmp_path / "three.json"
    ml.JoinedStore.join(
        {"image": stores["photos"], "text": stores["photos"], "so[/und]": (stores["sounds"], "image")}
    ).save(path)
    return path


def test_numbers_for_machines(run_json, joined):
    found = run_json("score", joined, "--resamples", 20)
    whole = ml.modality_dominance(ml.JoinedStore.open(joined), resamples=20)
    assert found["samples"] == 280
    assert found["missing"] == {"image": 20, "text": 20, "so[/und]": 0}
    assert found["counts"] == whole.counts()
    assert found["spread"] == whole.spread
    assert len(found["gaps"]) == 15


def test_tables_and_files_for_people(run, joined, tmp_path):
    code, out, err = run("score", joined, "--resamples", 20, "--out", tmp_path / "out")
    assert code == 0, err
    assert "image+so[/und]" in out
    assert ml.SimplexDominance.load(tmp_path / "out" / "simplex.parquet").n_samples == 280
    assert ml.GapMatrix.load(tmp_path / "out" / "gaps.json").modalities == ("image", "text", "so[/und]")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "carried by one modality alone (with labels turned at random" in page
    assert page.count("<svg") == 2
    assert (tmp_path / "out" / "figures" / "simplex.png").exists()


@pytest.mark.parametrize("words", [("--groups", "x"), ("--split", "test"), ("--estimator", "signed_ratio")])
def test_what_does_not_fit_is_a_sentence(run, joined, words):
    code, _, err = run("score", joined, *words)
    assert code == 2
    assert err.count("\n") == 1


def test_an_autoencoder_is_trained_on_all_and_its_features_scored(run, run_json, joined, tmp_path):
    words = ("--n-features", 24, "--k", 3, "--steps", 40, "--out", tmp_path / "sae")
    code, out, err = run("train", "sae", joined, *words)
    assert code == 0, err
    assert "so[/und] 0." in out
    sae = ml.load_features(tmp_path / "sae")
    store = ml.JoinedStore.open(joined)
    plain = ml.TopKSAE.fit(store, n_features=24, k=3, steps=40)
    assert sae.card() == plain.card()
    found = run_json(
        "score", joined, "--features", tmp_path / "sae", "--resamples", 20, "--out", tmp_path / "out"
    )
    codes = tuple(map(sae.encode, store.matrices))
    whole = ml.modality_dominance(codes, modalities=store.modalities, groups=store.groups, resamples=20)
    assert found["counts"] == whole.counts()
    assert sum(found["counts"].values()) == 24
    assert ml.SimplexDominance.load(tmp_path / "out" / "simplex.parquet").source["features"] == sae.card()
    assert "three, sae" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "ncl", "--out", "ncl"), "more than two modalities only these can be trained: topk"),
        (("train", "sae", "--kind", "separate", "--k", 4, "--out", "sep"), "only these can be trained: topk"),
        (("train", "sae", "--split", "test", "--k", 4, "--out", "sae"), "no split"),
        (("score", "--name", "x", "--features", "f"), "leave out --name"),
    ],
)
def test_what_a_joined_store_cannot_give_is_a_sentence(run, joined, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    command, *more = words[: 1 + (words[0] == "train")]
    code, _, err = run(command, *more, joined, *words[1 + len(more) :])
    assert code == 2
    assert sentence in err


def test_features_of_two_modalities_are_refused(run, joined, tmp_path):
    store = ml.JoinedStore.open(joined)
    ml.GroupSparseSAE.fit(store.matrices[:2], n_features=24, k=3, steps=2).save(tmp_path / "two")
    code, _, err = run("score", joined, "--features", tmp_path / "two")
    assert code == 2
    assert "no third modality" in err


def test_score_train_and_report_give_one_page(run, run_json, joined, tmp_path):
    words = ("--n-features", 24, "--k", 3, "--steps", 5)
    for kind in ("topk", "frozen_decoder"):
        code, _, err = run("train", "sae", joined, *words, "--kind", kind)
        assert code == 0, err
    found = run_json("report", joined)
    page = tmp_path / "three" / "report" / "report.html"
    assert found["report"] == str(page)
    text = page.read_text()
    for name in ("own dimensions", "topk-n24-k3-seed0", "frozen_decoder-n24-k3-seed0"):
        assert name in text
    assert text.count("<svg") == 6
    assert "(so[/und]) of the variance of the samples they were trained on unexplained" in text
    assert "The gaps" in text
