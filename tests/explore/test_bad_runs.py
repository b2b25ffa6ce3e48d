"""Runs that change, are gone, damaged or written to by two explorers: a sentence, and the rest goes on."""

import os
import shutil
from pathlib import Path

import pytest

import modalens as ml
from modalens.errors import InputError
from modalens.explore import ExploreConfig, serve
from modalens.runs.layout import RunFolder
from modalens.store.lock import alone_in
from tests.explore.conftest import Explorer, served

SAE = "/api/photos/sae"


def test_two_explorers_that_write_at_once(explorer: Explorer) -> None:
    feature = explorer.json(f"{SAE}/features")["features"][0]["feature"]
    kept = explorer.json(f"{SAE}/features/{feature}/rating", {"answer": "both", "rater": "C"})
    with alone_in((explorer.run / kept["file"]).parent):
        status, sentence = explorer.refused(
            f"{SAE}/features/{feature}/rating", {"answer": "both", "rater": "C"}
        )
    assert status == 423
    assert "wait" in sentence


def test_a_run_that_changes_says_so_until_it_is_opened_again(explorer: Explorer) -> None:
    os.utime(explorer.run / "features" / "sae" / "config.json", (1, 1))
    status, sentence = explorer.refused(f"{SAE}/features")
    assert status == 409
    assert "changed" in sentence
    assert explorer.json("/api/photos/open", {}) == {"key": "photos"}
    explorer.json(f"{SAE}/features")


def test_a_run_that_is_gone_is_a_sentence(copied: Path) -> None:
    with served(copied) as explorer:
        explorer.json(f"{SAE}/features")
        copied.rename(copied.with_name("moved"))
        status, sentence = explorer.refused(f"{SAE}/features")
        assert status == 409
        assert "changed" in sentence
        explorer.json("/api/photos/open", {})
        status, sentence = explorer.refused("/api/photos")
        assert status == 400
        assert "photos" in sentence
        assert explorer.json("/api/runs")["runs"]  # the page stays, to choose another run
        copied.with_name("moved").rename(copied)
        explorer.json("/api/photos/open", {})
        assert explorer.json(f"{SAE}/features")["total"] > 0


def test_a_damaged_run_is_a_sentence_beside_one_that_is_whole(finished: RunFolder, tmp_path: Path) -> None:
    for name in ("whole", "broken"):
        shutil.copytree(finished.folder, tmp_path / name)
    shard = next((tmp_path / "broken").glob("embeddings/img_emb/*.npy"))
    shard.write_bytes(shard.read_bytes()[:-40])
    with served(tmp_path / "whole", tmp_path / "broken") as explorer:
        assert explorer.json("/api/whole")["sets"]
        status, sentence = explorer.refused("/api/broken")
        assert status == 400
        assert sentence.endswith(".")
        assert "img_emb" in sentence
        compared = "/api/compare?first=whole&first_set=sae&second=broken&second_set=sae"
        assert "img_emb" in explorer.refused(compared)[1]


def test_two_explorers_on_one_run(copied: Path) -> None:
    with served(copied) as one, served(copied) as other:
        assert one.json(f"{SAE}/features") == other.json(f"{SAE}/features")
        feature = one.json(f"{SAE}/features")["features"][0]["feature"]
        for explorer, rater in ((one, "Ada"), (other, "Bob"), (one, "Ada")):
            explorer.json(f"{SAE}/features/{feature}/rating", {"answer": "both", "rater": rater})
        assert other.json(f"{SAE}/ratings?rater=Ada")["answers"] == {str(feature): "both"}
        edit = {"features": [1], "gain": 0, "side": "text"}
        saved = [explorer.json(f"{SAE}/edits", edit)["path"] for explorer in (one, other, one)]
        assert len(set(saved)) == 3
        with alone_in(copied / "edits"):
            assert one.refused(f"{SAE}/edits", edit)[0] == 423


def test_an_index_that_another_explorer_makes_is_waited_for(copied: Path) -> None:
    with alone_in(copied / "explore" / "features" / "sae"), served(copied) as second:
        status, sentence = second.refused(f"{SAE}/features")
        assert status == 423
        assert "wait" in sentence
        assert second.json("/api/photos/raw/features")["total"] > 0
    with served(copied) as later:
        assert later.json(f"{SAE}/features")["total"] > 0


def test_the_index_may_be_removed_while_it_is_shown(copied: Path) -> None:
    with served(copied) as explorer:
        before = explorer.json(f"{SAE}/features")
        explorer.json(f"{SAE}/map/features")
        shutil.rmtree(copied / "explore")
        assert explorer.json(f"{SAE}/features") == before
        assert explorer.json(f"{SAE}/map/features")["of"]


def test_a_joined_store_is_no_run(copied: Path, tmp_path: Path) -> None:
    run = RunFolder(copied)
    store, twin = run.store(), run.baseline("untrained").store()
    joined = ml.JoinedStore.join({"image": store, "text": store, "sound": (twin, "image")})
    joined.save(tmp_path / "joined.json")
    with pytest.raises(
        InputError, match="joins 3 modalities, and the explorer shows pairs: explore the runs"
    ):
        serve([tmp_path / "joined.json"])


@pytest.mark.parametrize(("name", "other"), [("sae", "ncl"), ("ncl", "sae")])
def test_a_damaged_set_is_a_sentence_and_the_others_are_shown(copied: Path, name: str, other: str) -> None:
    weights = copied / "features" / name / f"{name}.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with served(copied) as damaged:
        about = damaged.json("/api/photos")
        assert [each["name"] for each in about["sets"]] == [other, "raw"]
        assert about["left_out"][0]["name"] == name
        assert name in damaged.refused(f"/api/photos/{name}/features")[1]
        assert damaged.json(f"/api/photos/{other}/features")["total"] > 0


def test_no_run_and_a_port_that_is_taken_are_sentences(explorer: Explorer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no run"):
        serve([tmp_path])
    with pytest.raises(InputError, match=f"Port {explorer.port} cannot be used"):
        serve([explorer.run], ExploreConfig(port=explorer.port, browser=False))
