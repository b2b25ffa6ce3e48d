"""The study command: what people say to it, and what it says back."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from modalens.pairs import load_pairs
from modalens.runs import embed
from tests.classifier import images, save_classifier
from tests.clip import save_clip
from tests.diffusion import save_stable_diffusion, save_unclip
from tests.fakes import FakeVLM
from tests.llava import save_llava
from tests.studies.adversarial_images.chat_server import chat_server, says


@pytest.fixture
def made(tmp_path):
    """A run of pictures of two kinds, with a category and with one mood for all."""
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "image", "caption", "category", "mood"))
        for number, image in enumerate(images(60)):
            image.resize((240, 240)).save(tmp_path / f"{number}.png")
            table.writerow((f"p{number}", f"{number}.png", f"picture {number}", number % 2, "calm"))
    embed(load_pairs(f"csv:{tmp_path}/pairs.csv"), FakeVLM(), tmp_path / "run" / "embeddings")
    return tmp_path / "run"


def test_gender_as_a_classifier_sees_it(made, tmp_path, run, run_json):
    classifier = save_classifier(tmp_path / "classifier")
    words = ("study", "gender", made, "--classifier", classifier, "--threshold", 0.6, "--rule", "mu_sigma")
    found = run_json(*words)["raw"]
    assert found["statements"][0].startswith(f"The attribute gender is what {classifier} says of the images")
    samples = {(row["input"], row["value"]): row for row in found["tables"]["samples"]}
    from modalens.studies.attribute_probing.attributes import GENDER
    from modalens.towers.classifiers import load_image_classifier

    model = load_image_classifier(str(classifier))
    loaded = [pair.image for pair in load_pairs(f"csv:{tmp_path}/pairs.csv")]
    expected = model.labels(model.embed(loaded), GENDER.value_of, 0.6)
    for value in ("female", "male"):
        assert samples["image", value]["tested"] == expected.count(value) > 0
    kept = np.load(made / "studies/gender/work/labels/image.npy")
    assert np.allclose(kept, model.embed(loaded))
    described = json.loads((made / "studies/gender/work/labels/image.json").read_text())
    assert described["embedder"]["model"] == str(classifier)
    code, _, err = run(*words[:5], "--threshold", 0.2)
    assert code == 2
    assert "--threshold: threshold is 0.2; it must be at least 0.5 and under 1" in err


def test_an_attribute_is_told_the_papers_way_too(made, tiny_clip, run_json):
    words = (
        "study",
        "gender",
        made,
        "--attribute",
        "category",
        "--rule",
        "mu_sigma",
        "--seeds",
        1,
        "--folds",
        2,
    )
    encoders = ("--image-embedder", f"vlm:{tiny_clip}", "--text-embedder", f"vlm:{tiny_clip}")
    found = run_json(*words, "--published", *encoders)["raw"]
    rows = found["tables"]["published_way"]
    assert {(row["input"], row["without"]) for row in rows} == {
        (side, without) for side in ("image", "text") for without in ("image", "text", "random")
    }
    assert any(f"in the space of vlm:{tiny_clip}." in each for each in found["statements"])
    assert "published_way" not in run_json(*words)["raw"]["tables"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("removal", "--label", "mood"), "at least two"),
        (("gender", "--attribute", "mood"), "Every pair that has a label has the label"),
        (("gender",), "no column 'gender'"),
        (("gender", "--classifier", "nothing"), "There is no classifier 'nothing'"),
    ],
)
def test_what_cannot_be_studied_gets_a_sentence(made, run, words, sentence):
    code, _, err = run("study", words[0], made, *words[1:])
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


@pytest.fixture
def clip_run(made, tiny_clip, tmp_path, run):
    """The same pictures through a CLIP with projections."""
    code, _, err = run(
        "embed", f"csv:{tmp_path}/pairs.csv", "--vlm", tiny_clip, "--out", tmp_path / "clip" / "embeddings"
    )
    assert code == 0, err
    return tmp_path / "clip"


@pytest.mark.demo
@pytest.mark.parametrize(("name", "save"), [("sd", save_stable_diffusion), ("unclip", save_unclip)])
def test_pipelines_draw_for_a_run_of_their_clip(
    clip_run, tiny_clip, tmp_path, run_json, monkeypatch, name, save
):
    pipeline = save(tmp_path / f"tiny-{name}", tiny_clip)
    words = ("--generator", pipeline, "--prompt", "a cat", "--rule", "mu_sigma", "--reference", "3.png")
    words += ("--strengths", 0, "--strengths", 0.5, "--seeds", 1, "--draws", 2, "--steps", 1)
    monkeypatch.chdir(tmp_path)
    found = run_json("study", "text-to-image", clip_run, *words)["raw"]
    assert found["statements"]
    if name == "sd":  # its text projection does not fit this pipeline
        assert any(each.startswith("A space is left out: The token vectors") for each in found["statements"])
    assert (clip_run / "studies/text-to-image/raw/pictures/grid-1.png").exists()


@pytest.mark.slow
def test_a_llava_and_a_server_are_victims(made, tmp_path, run, run_json):
    clip = save_clip(tmp_path / "clip", side=112)  # words can be read on it
    source, clip_run = f"csv:{tmp_path}/pairs.csv", tmp_path / "run-of-clip"
    code, _, err = run("embed", source, "--vlm", clip, "--out", clip_run / "embeddings")
    assert code == 0, err
    llava = save_llava(tmp_path / "llava")
    (tmp_path / "requests.json").write_text(json.dumps([{"request": "pear", "word": "pear"}]))
    words = (
        "study",
        "adversarial",
        clip_run,
        "--requests",
        tmp_path / "requests.json",
        "--images",
        1,
        "--runs",
        2,
        "--rule",
        "mu_sigma",
    )
    found = run_json(*words, "--victim", llava)["raw"]
    assert found["tables"]
    code, _, err = run("train", "sae", clip_run, "--n-features", 24, "--k", 3, "--name", "sae", "--steps", 5)
    assert code == 0, err
    words = (*words, "--features", "raw", "--tries", 2)
    Image.new("RGB", (112, 112), "navy").save(tmp_path / "scenery.png")
    both = run_json(*words, "--beside", "sae", "--base-image", tmp_path / "scenery.png")["raw"]
    assert both["tables"]
    result = json.loads((clip_run / "studies/adversarial-one-image/raw/result.json").read_text())
    assert result["name"] == "adversarial-one-image", "the report sets it beside images of their own"
    with chat_server([says("nothing of the kind")]) as server:
        served = run_json(*words, "--victim", f"{server.url}#tiny", "--judge", f"{server.url}#judge")["raw"]
    assert served["tables"]
    assert {call["model"] for call in server.calls} == {"tiny", "judge"}
    code, _, err = run(*words, "--victim", "http://localhost:1/v1")
    assert code == 2
    assert "URL#MODEL" in err
