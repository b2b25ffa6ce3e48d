"""Explaining a text, an image and both on the command line."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from modalens.runs import origin
from modalens.runs.layout import RunFolder
from tests.fakes import FakeVLM
from tests.small_run import make_run, make_table


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("explained")
    return make_run(folder / "run", make_table(folder))


@pytest.fixture
def made(learned: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(learned.folder, tmp_path / "run")
    monkeypatch.setattr(origin, "load_vlm", lambda *args, **kwargs: FakeVLM(revision="1"))
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path / "run"


def test_a_text(made, run, run_json):
    words = ("explain", made, "--text", "[red] tea", "--features", "sae")
    found = run_json(*words)
    assert found["representation"] == "sae"
    assert list(found["samples"]) == ["text"]
    assert {"feature", "label", "certainty", "score", "text"} <= set(found["features"][0])
    assert sum(each["text"] for each in found["features"]) == pytest.approx(1)
    assert sum(found["samples"]["text"]["shares"].values()) == pytest.approx(1)
    code, out, _ = run(*words, "--top", 1)
    assert code == 0
    assert "1 of" in out
    assert "Energy of the text by class: image" in out


def test_an_image_and_a_text_with_a_picture(made, run, run_json):
    words = ("explain", made, "--text", "tea", "--image", made.parent / "red.png", "--features", "sae")
    found = run_json(*words, "--picture", made.parent / "both.png")
    assert {each["on"] for each in found["features"]} <= {"both", "image", "text"}
    assert found["shared"] == sum(each["on"] == "both" for each in found["features"])
    with Image.open(found["picture"]) as drawn:
        assert drawn.width > 1000
    code, out, _ = run(*words)
    assert code == 0
    assert "run's pairs share" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Give --text, --image or both"),
        (("--image", "missing.png", "--features", "sae"), "missing.png"),
        (("--text", "a", "--picture", "a.pdf"), "name a .png file"),
        (("--text", "a", "--top", 0), "top is 0"),
        (("--text", "a", "--features", "none"), "has no features 'none'"),
        (("--text", "a"), "choose with --features"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(made, run, words, sentence):
    code, _, err = run("explain", made, *words)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
    assert "bug" not in err
