"""What the explorer answers about a small run."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import modalens as ml
from modalens.explore.layouts import lay_out
from modalens.explore.pictures import Pictures
from modalens.explore.ranking import ranks, strongest
from modalens.runs.layout import RunFolder
from modalens.studies.rater_agreement.study import agreement
from tests.explore.conftest import Explorer

SAE = "/api/photos/sae"


def test_the_runs_their_sets_and_their_twins(explorer: Explorer) -> None:
    assert [each["key"] for each in explorer.json("/api/runs")["runs"]] == ["photos", "photos+untrained"]
    found = explorer.json("/api/photos")
    assert [each["name"] for each in found["sets"]] == ["sae", "ncl", "raw"]
    assert found["modalities"] == ["image", "text"]
    assert found["media"]
    assert not Pictures(
        SimpleNamespace(manifest=None)
    ).known  # a bare store does not say where its pairs came from
    assert {each["name"]: each["editable"] for each in found["sets"]} == {
        "sae": True,
        "ncl": False,
        "raw": True,
    }


def test_features_are_filtered_sorted_and_searched(explorer: Explorer) -> None:
    whole = explorer.json(f"{SAE}/features")
    assert whole["total"] == len(whole["features"]) > 3
    scores = [row["score"] for row in explorer.json(f"{SAE}/features?sort=score&descending=1")["features"]]
    assert scores == sorted(scores, reverse=True)
    label = whole["features"][0]["label"]
    of_class = explorer.json(f"{SAE}/features?label={label}")
    assert {row["label"] for row in of_class["features"]} == {label}
    assert of_class["total"] == sum(row["label"] == label for row in whole["features"])
    assert explorer.json(f"{SAE}/features?certainty=0.9")["total"] <= whole["total"]
    assert explorer.json(f"{SAE}/features?words=no+such+word")["total"] == 0
    assert 0 < explorer.json(f"{SAE}/features?words=PICTURE+tea")["total"] <= whole["total"]
    assert "choose one of" in explorer.refused(f"{SAE}/features?sort=__class__")[1]
    assert "number" in explorer.refused(f"{SAE}/features?start=-1")[1]


def test_a_feature_shows_what_the_run_says_of_it(explorer: Explorer, finished: RunFolder) -> None:
    sae = ml.Run.open(finished.folder).representations["sae"]
    codes = {"image": sae.image[:].toarray(), "text": sae.text[:].toarray()}
    for row in explorer.json(f"{SAE}/features")["features"]:
        feature = row["feature"]
        found = explorer.json(f"{SAE}/features/{feature}")
        assert found["score"] == pytest.approx(sae.mds.score[feature])
        assert found["label"] == sae.mds.labels[feature]
        for side in ("image", "text"):
            samples = found["samples"][side]["samples"]
            values = [sample["value"] for sample in samples]
            assert values == sorted(values, reverse=True)
            rows = [sample["row"] for sample in samples]
            places = np.searchsorted(sae.rows, rows)
            assert codes[side][places, feature] == pytest.approx(values)
            assert found[f"rate_{side}"] == pytest.approx((codes[side][:, feature] != 0).mean())
            if samples:
                assert values[0] == pytest.approx(codes[side][:, feature].max())
    assert "no feature 16" in explorer.refused(f"{SAE}/features/16")[1]


def test_an_image_with_two_captions_is_shown_once(explorer: Explorer) -> None:
    for row in explorer.json("/api/photos/raw/features")["features"]:
        shown = explorer.json(f"/api/photos/raw/features/{row['feature']}")["samples"]["image"]["samples"]
        captions = [sample["caption"] for sample in shown]
        assert sum("picture 0" in caption for caption in captions) <= 1


def test_more_samples_follow_the_first(explorer: Explorer) -> None:
    first = explorer.json("/api/photos/raw/features/0/samples?side=text&start=0")
    assert first["more"]
    more = explorer.json("/api/photos/raw/features/0/samples?side=text&start=12")
    assert not {each["row"] for each in first["samples"]} & {each["row"] for each in more["samples"]}


def test_pairs_in_order_of_agreement(explorer: Explorer) -> None:
    found = []
    for place in range(explorer.json(f"{SAE}/pairs?order=least&place=0")["of"]):
        row = explorer.json(f"{SAE}/pairs?order=least&place={place}")["row"]
        assert explorer.json(f"{SAE}/pairs?order=least&row={row}")["place"] == place
        pair = explorer.json(f"{SAE}/pairs/{row}")
        found.append((sum(pair["overlap"].values()) / 2, pair["cosine"]))
        energies = [each["image"] for each in pair["features"]]
        assert sum(energies) in (pytest.approx(0), pytest.approx(1))
    overlaps = np.array([overlap for overlap, _ in found])
    assert (np.diff(overlaps) > -1e-5).all()


def test_a_sentence_and_a_picture_of_ones_own(explorer: Explorer) -> None:
    text = explorer.json("/api/photos/text", {"text": " [red] tea "})
    assert text["shown"] == "[red] tea"
    found = explorer.json(f"{SAE}/own/{text['key']}")
    assert sum(each["text"] for each in found["features"]) == pytest.approx(1)
    assert len(found["nearest"]["image"]) == 8
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    picture = explorer.json("/api/photos/picture", stream.getvalue())
    assert picture["picture"]
    assert explorer.ask(f"/media/photos/own/{picture['key']}")[1]["content-type"] == "image/webp"
    both = explorer.json(f"{SAE}/shared?image={picture['key']}&text={text['key']}")
    assert both["shared"] == sum(each["on"] == "both" for each in both["features"])
    assert "no longer remembered" in explorer.refused(f"{SAE}/own/tnothing")[1]


def test_previews(explorer: Explorer) -> None:
    status, headers, data = explorer.ask("/media/photos/0")
    assert (status, headers["content-type"]) == (200, "image/webp")
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (8, 8)


def test_steering_turns_features_and_shows_controls(explorer: Explorer) -> None:
    row = explorer.json(f"{SAE}/pairs?place=0")["row"]
    pair = explorer.json(f"{SAE}/pairs/{row}")
    strongest_of_text = max(pair["features"], key=lambda each: each["text"])["feature"]
    asked = {"features": [strongest_of_text], "gain": 0, "side": "text", "row": row, "column": "split"}
    found = explorer.json(f"{SAE}/steer", asked)
    assert found["moved"]["after"] > 0
    assert found["rank"]["before"] >= 1
    assert len(found["rank"]["controls"]) == len(found["controls"]) > 0
    assert found["labels"][0]["label"] == "held-out"
    assert 0 < found["control_energy"] <= 1 - found["energy"] + 1e-9
    every = explorer.json(f"{SAE}/steer", {**asked, "features": list(range(16))})
    assert every["energy"] == pytest.approx(1)
    assert every["control_energy"] is None
    same = explorer.json(f"{SAE}/steer", {**asked, "gain": 1})
    assert same["moved"]["after"] == pytest.approx(0, abs=1e-6)
    assert same["nearest"]["before"] == same["nearest"]["after"]
    own = explorer.json("/api/photos/text", {"text": "tea"})["key"]
    assert "rank" not in explorer.json(
        f"{SAE}/steer", {"label": "text", "gain": 2, "side": "text", "own": own}
    )
    assert "has no decoder" in explorer.refused("/api/photos/ncl/steer", asked)[1]
    for wrong in (
        {"gain": 1e9},
        {"gain": True},
        {"features": ["a"]},
        {"features": [99]},
        {"side": "both"},
        {"row": -1},
    ):
        assert explorer.refused(f"{SAE}/steer", {**asked, **wrong})[0] == 400


def test_retrieval_over_random_pairs(explorer: Explorer) -> None:
    found = explorer.json(f"{SAE}/retrieval", {"label": "text", "gain": 0, "side": "text"})
    assert found["way"] == "text_to_image"
    for which in ("before", "after"):
        value, low, high = found[which]["1"]
        assert low <= value <= high


def test_a_saved_edit_is_applied_by_python(explorer: Explorer, finished: RunFolder) -> None:
    saved = explorer.json(f"{SAE}/edits", {"features": [1, 3], "gain": 0.5, "side": "text"})
    assert saved["path"].startswith("edits/")
    edit = ml.Edit.load(explorer.run / saved["path"])
    assert edit.indices == (1, 3)
    assert edit.gain == 0.5
    assert edit.apply(finished.store().text[:]).shape == finished.store().text.shape


def test_ratings_are_read_by_agreement(explorer: Explorer) -> None:
    rows = explorer.json(f"{SAE}/features")["features"][:3]
    for rater in ("Ada ../../x", "Bob"):
        for row in rows:
            kept = explorer.json(
                f"{SAE}/features/{row['feature']}/rating", {"answer": "both", "rater": rater}
            )
    assert Path(kept["file"]).parent.name.startswith("explore-sae-")
    folder = (explorer.run / kept["file"]).parent
    assert folder.parent == explorer.run / "annotation"
    files = sorted(folder.glob("answers-*.json"))
    assert len(files) == 2
    tables = agreement(files, folder / "key.json", resamples=10).tables
    assert len(tables["features"]) == 3
    taken = explorer.json(f"{SAE}/features/{rows[0]['feature']}/rating", {"answer": None, "rater": "Bob"})
    assert str(rows[0]["feature"]) not in taken["answers"]
    assert explorer.json(f"{SAE}/ratings?rater=Bob")["answers"] == taken["answers"]
    for wrong in (
        {"answer": "maybe", "rater": "B"},
        {"answer": "both", "rater": " "},
        {"answer": "both", "rater": "a\nb"},
    ):
        assert explorer.refused(f"{SAE}/features/0/rating", wrong)[0] == 400


def test_maps_are_kept(explorer: Explorer) -> None:
    found = explorer.json(f"{SAE}/map/features")
    assert len(found["x"]) == len(found["of"]) == len(found["label"]["codes"])
    kept = explorer.run / "explore" / "layouts" / "features" / "sae" / "places.npy"
    before = kept.stat().st_mtime_ns
    assert explorer.json(f"{SAE}/map/features") == found
    assert kept.stat().st_mtime_ns == before
    pairs = explorer.json(f"{SAE}/map/pairs?column=split")
    assert pairs["column"]["names"] == ["held-out"]
    assert "no map" in explorer.refused("/api/photos/ncl/map/features")[1]


def test_the_command_says_when_it_is_ready_and_ends_cleanly(finished: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "photos")
    command = [sys.executable, "-m", "modalens", "explore", "photos", "--port", "0", "--no-browser", "--json"]
    source = os.environ | {"PYTHONPATH": str(Path(ml.__file__).parents[1])}
    with subprocess.Popen(command, cwd=tmp_path, env=source, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            assert Explorer(address, tmp_path / "photos").json("/api/photos/sae/features")["total"] > 0
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_ranks_and_nearest_agree_with_a_plain_search(rng: np.random.Generator, finished: RunFolder) -> None:
    store = finished.store()
    rows = np.arange(0, len(store), 2)
    queries = rng.normal(size=(3, store.image.shape[1]))
    right = rows[[1, 4]]
    among = store.image[:][rows].astype(np.float64)
    lengths = np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(among, axis=1))
    cosines = queries @ among.T / lengths
    near, values = strongest(store.image, rows, queries, 5)
    assert (rows[np.argsort(-cosines, axis=1)[:, :5]] == near).all()
    assert values == pytest.approx(-np.sort(-cosines, axis=1)[:, :5], abs=1e-5)
    found, best = ranks(store.image, rows, queries, right)
    assert best == pytest.approx(cosines[:, [1, 4]].max(axis=1), abs=1e-5)
    others = np.delete(cosines, [1, 4], axis=1)
    assert found.tolist() == (1 + (others >= cosines[:, [1, 4]].max(axis=1)[:, None]).sum(axis=1)).tolist()


def test_a_layout_puts_what_is_alike_together_beyond_its_landmarks(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modalens.explore.layouts._LANDMARKS", 60)
    centres = 3 * rng.normal(size=(3, 10))
    kinds = np.arange(200) % 3
    vectors = centres[kinds] + 0.3 * rng.normal(size=(200, 10))
    places = lay_out(lambda rows: vectors[rows], 200)
    assert np.abs(places).max() <= 1
    middles = np.stack([places[kinds == kind].mean(axis=0) for kind in range(3)])
    own = np.argmin(((places[:, None] - middles) ** 2).sum(axis=2), axis=1)
    assert (own == kinds).mean() > 0.95


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_layouts_of_a_few(n: int, rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(n, 4))
    assert np.isfinite(lay_out(lambda rows: vectors[rows], n)).all()
