"""``modalens score --features``: a dictionary of another library is taken into the run and scored."""

from pathlib import Path

from modalens.runs import embed
from modalens.runs.layout import RunFolder
from modalens.store import EmbeddingStore
from tests.fakes import FakePairs, FakeVLM, colour_pairs
from tests.theirs import save_theirs


def test_a_dictionary_is_taken_in_under_a_name(run, run_json, tmp_path):
    embed(FakePairs(colour_pairs(40)), FakeVLM(), tmp_path / "run" / "embeddings")
    place = RunFolder(tmp_path / "run")
    d = int(EmbeddingStore.open(place.embeddings).image.shape[1])
    theirs = save_theirs(tmp_path / "theirs", d)
    found = run_json("score", place.folder, "--features", theirs, "--name", "mine", "--resamples", "5")
    assert found["name"] == "mine"
    assert found["features"] == 12
    assert Path(found["scores"]) == place.learned("mine").scores
    code, out, err = run("score", place.folder, "--features", theirs, "--resamples", "5")
    assert code == 0, err
    assert str(place.learned("dictionary_learning-n12").scores) in out.replace("\n", "")
    for words, said in (
        (("--name", "mine"), "say with --features which"),
        (("--features", theirs, "--out", tmp_path / "x"), "goes without --out"),
        (("--features", tmp_path / "nothing"), "holds no trained features"),
    ):
        code, _, err = run("score", place.folder, *words)
        assert code == 2
        assert said in " ".join(err.split())
