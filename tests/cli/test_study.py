"""The study command: what people say to it, and what it says back."""

import csv
import json

import numpy as np
import pytest

from modalens.engine import embed
from modalens.pairs import load_pairs
from tests.classifier import images, save_classifier
from tests.fakes import FakeVLM


@pytest.fixture
def made(tmp_path):
    """A run of pictures of two kinds, with a category and with one mood for all."""
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "image", "caption", "category", "mood"))
        for number, image in enumerate(images(60)):
            image.save(tmp_path / f"{number}.png")
            table.writerow((f"p{number}", f"{number}.png", f"picture {number}", number % 2, "calm"))
    embed(load_pairs(f"csv:{tmp_path}/pairs.csv"), FakeVLM(), tmp_path / "run" / "embeddings")
    return tmp_path / "run"


def test_gender_as_a_classifier_sees_it(made, tmp_path, run, run_json):
    classifier = save_classifier(tmp_path / "classifier")
    words = ("study", "gender", made, "--classifier", classifier, "--threshold", 0.6, "--rule", "mu_sigma")
    found = run_json(*words)["raw"]
    assert found["statements"][0].startswith(f"Gender is what {classifier} says of the images")
    samples = {(row["input"], row["value"]): row for row in found["tables"]["samples"]}
    from modalens.studies.gender import GENDER
    from modalens.towers.classifiers import load_image_classifier

    model = load_image_classifier(str(classifier))
    loaded = [pair.image for pair in load_pairs(f"csv:{tmp_path}/pairs.csv")]
    expected = model.labels(model.embed(loaded), GENDER.value_of, 0.6)
    for value in ("female", "male"):
        assert samples["image", value]["tested"] == expected.count(value) > 0
    kept = np.load(made / "studies/gender/labels/image.npy")
    assert np.allclose(kept, model.embed(loaded))
    described = json.loads((made / "studies/gender/labels/image.json").read_text())
    assert described["embedder"]["model"] == str(classifier)
    code, _, err = run(*words[:5], "--threshold", 0.2)
    assert code == 2
    assert "The threshold must lie between 0.5 and 1, not 0.2." in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("removal", "--label", "mood"), "at least two"),
        (("gender", "--attribute", "mood"), "Only 1 of 1 labels has at least two groups"),
        (("gender",), "no column 'gender'"),
        (("gender", "--classifier", "nothing"), "There is no classifier 'nothing'"),
    ],
)
def test_what_cannot_be_studied_gets_a_sentence(made, run, words, sentence):
    code, _, err = run("study", words[0], made, *words[1:])
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
