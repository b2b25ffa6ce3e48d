"""Image classifiers as labellers, on a tiny model saved as people save theirs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from modalens.errors import ModalensError
from modalens.studies.attribute_probing.attributes import GENDER
from modalens.towers.classifiers import load_image_classifier
from tests.classifier import CLASSES, images, save_classifier


@pytest.fixture(scope="module")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("classifier"))


def test_probabilities_are_those_of_transformers(tiny_classifier: Path, no_network: None) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    classifier = load_image_classifier(str(tiny_classifier), device="cpu")
    samples = images(40)  # more than a batch
    found = classifier.embed(samples)
    model = AutoModelForImageClassification.from_pretrained(tiny_classifier).eval()
    processor = AutoImageProcessor.from_pretrained(tiny_classifier, backend="pil")
    with torch.no_grad():
        expected = np.stack(
            [model(**processor(image, return_tensors="pt")).logits.softmax(1)[0].numpy() for image in samples]
        )
    assert classifier.classes == CLASSES
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert classifier.embed([]).shape == (0, 4)
    assert classifier.card()["classes"] == list(CLASSES)
    assert list(classifier.card()["weights_sha256"]) == ["model.safetensors"]


def test_only_sure_values_are_given(tiny_classifier: Path) -> None:
    classifier = load_image_classifier(str(tiny_classifier), device="cpu")
    samples = images(60)
    found_in = classifier.embed(samples)
    found = classifier.labels(found_in, GENDER.value_of, threshold=0.6)
    expected: list[str | None] = []
    for first, male, second, _ in found_in:
        female = first + second
        expected.append("female" if female > 0.6 else "male" if male > 0.6 else None)
    assert found == expected
    assert len(set(found)) >= 2, "the samples do not tell anything"
    strict = classifier.labels(found_in, GENDER.value_of, threshold=0.99)
    assert sum(each is None for each in strict) > sum(each is None for each in found)
    assert all(a == b for a, b in zip(strict, found, strict=True) if a is not None)


def test_what_cannot_label_is_refused(tiny_classifier: Path, tiny_clip: Path, tmp_path: Path) -> None:
    classifier = load_image_classifier(str(tiny_classifier), device="cpu")
    with pytest.raises(ModalensError, match="do not stand for two values"):
        classifier.labels(classifier.embed(images(1)), lambda name: "shoe" if name == "shoe" else None, 0.9)
    with pytest.raises(ModalensError, match=r"between 0\.5 and 1, not 0\.3"):
        classifier.labels(classifier.embed(images(1)), GENDER.value_of, threshold=0.3)
    with pytest.raises(ModalensError, match="no classifier 'nothing'"):
        load_image_classifier("nothing")
    with pytest.raises(ModalensError, match="revision was given"):
        load_image_classifier(str(tiny_classifier), revision="main")
    with pytest.raises(ModalensError, match="was not trained to classify images"):
        load_image_classifier(str(tiny_clip), device="cpu")
    with pytest.raises(ModalensError, match="has no weights"):
        load_image_classifier(str(tmp_path))
    broken = tmp_path / "broken"
    shutil.copytree(tiny_classifier, broken)
    (broken / "preprocessor_config.json").unlink()
    with pytest.raises(ModalensError, match=r"image processor of .* cannot be read"):
        load_image_classifier(str(broken), device="cpu")
