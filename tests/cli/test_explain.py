"""Explaining a text, an image and both on the command line."""

import os

import pytest
from PIL import Image

from modalens.runs import origin


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


def test_a_picture_of_one_pixel_and_a_long_text(made, run_json):
    Image.new("1", (1, 1)).save(made.parent / "dot.png")
    words = ("--text", "tea " * 20_000, "--image", made.parent / "dot.png", "--features", "sae")
    found = run_json("explain", made, *words, "--picture", made.parent / "both.png")
    assert set(found["samples"]) == {"image", "text"}
    spaced = run_json("explain", made, "--text", " tea\n", "--features", "sae")
    assert spaced["features"] == run_json("explain", made, "--text", "tea", "--features", "sae")["features"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Give --text, --image or both"),
        (("--image", "missing.png", "--features", "sae"), "missing.png"),
        (("--text", "a", "--picture", "a.pdf"), "name a .png file"),
        (("--text", "a", "--top", 0), "top is 0"),
        (("--text", "a", "--features", "none"), "has no features 'none'"),
        (("--text", "a"), "choose with --features"),
        (("--text", " \t", "--features", "sae"), "text to explain is empty"),
        (("--text", "\udcff", "--features", "sae"), "text to explain is empty"),
        (("--text", "", "--features", "sae"), "--text is empty"),
        (("--image", "{here}", "--features", "sae"), "is a folder, not a file"),
        (("--image", "{here}/pipe", "--features", "sae"), "is a pipe or a device, not a file"),
        (("--text", "a", "--image", "{here}/pipe", "--features", "sae"), "is a pipe or a device"),
        (("--image", "{here}/run/scores/scores.json", "--features", "sae"), "not an image"),
        (("--image", "{here}/red.png", "--picture", "{here}/red.png"), "the image itself"),
        (("--image", "{here}/red.png", "--picture", "{here}/folder.png"), "which is a folder"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(made, run, words, sentence, monkeypatch):
    def load(*_, **__):
        raise AssertionError("the model is loaded before the sample is known to be one")

    monkeypatch.setattr(origin, "load_vlm", load)
    os.mkfifo(made.parent / "pipe")
    (made.parent / "folder.png").mkdir()
    picture = (made.parent / "red.png").read_bytes()
    code, _, err = run("explain", made, *(str(word).format(here=made.parent) for word in words))
    assert (made.parent / "red.png").read_bytes() == picture
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
    assert "bug" not in err
