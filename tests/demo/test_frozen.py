"""The frozen towers against the packages they come from."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("efficientnet_lite_pytorch", reason="the demo extra is not installed")

from modalens.demo import frozen
from modalens.demo.frozen import ImageTower, TextTower, to_pixels
from modalens.errors import ModalensError
from modalens.towers.compute import map_batches


@pytest.fixture(scope="module")
def image_tower() -> ImageTower:
    return ImageTower()


@pytest.fixture(scope="module")
def text_tower() -> TextTower:
    return TextTower()


@pytest.fixture(scope="module")
def plain_network() -> torch.nn.Module:
    """The network as its package builds it."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(frozen.image_weights(), weights_only=True))
    return network.eval().requires_grad_(False)


def test_image_features_and_gradients_are_the_packages(
    image_tower: ImageTower, plain_network: torch.nn.Module, photos: list[Image.Image]
) -> None:
    pixels = torch.stack([to_pixels(image) for image in photos[:2]])
    ours, plain = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    features, expected = image_tower(ours), plain_network.extract_features(plain).mean(dim=(2, 3))
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)
    weights = torch.randn(1280, generator=torch.Generator().manual_seed(0))
    torch.autograd.backward((features @ weights).sum())
    torch.autograd.backward((expected @ weights).sum())
    assert ours.grad is not None
    assert plain.grad is not None
    assert (ours.grad - plain.grad).norm() < 1e-3 * plain.grad.norm()


def test_image_features_do_not_depend_on_the_batch(
    image_tower: ImageTower, photos: list[Image.Image]
) -> None:
    together = image_tower.features(photos)
    assert together.shape == (len(photos), 1280)
    for row, image in enumerate(photos):
        assert torch.equal(image_tower.features([image])[0], together[row])
    assert torch.equal(image_tower.features(photos[::-1]).flip(0), together)
    assert image_tower.features([]).shape == (0, 1280)
    direct = image_tower(torch.stack([to_pixels(image) for image in photos]))
    torch.testing.assert_close(together, direct, rtol=1e-3, atol=1e-4)


def test_images_are_loaded_by_the_threads_that_compute(
    image_tower: ImageTower, photos: list[Image.Image]
) -> None:
    threads: set[threading.Thread] = set()
    done: list[int] = []

    def load(row: int) -> Image.Image:
        threads.add(threading.current_thread())
        return photos[row]

    found = image_tower.features_of(range(len(photos)), load, done.append)
    assert torch.equal(found, image_tower.features(photos))
    assert threading.main_thread() not in threads
    assert sum(done) == len(photos)


def test_pixels_are_the_centre_square() -> None:
    values = np.zeros((448, 1000, 3), dtype=np.uint8)
    values[:, 276:724] = (255, 127, 0)  # the middle 448 of 1000
    pixels = to_pixels(Image.fromarray(values))
    assert pixels.shape == (3, 224, 224)
    inside = pixels[:, :, 2:-2]
    torch.testing.assert_close(inside[0], torch.ones_like(inside[0]))
    torch.testing.assert_close(inside[1], torch.zeros_like(inside[1]))
    torch.testing.assert_close(inside[2], torch.full_like(inside[2], -127 / 128))


def test_the_image_tower_knows_dogs(
    image_tower: ImageTower, plain_network: torch.nn.Module, flickr: Path
) -> None:
    """Guards the preprocessing: ImageNet's mean and deviation make it two thirds."""
    import csv

    captions: dict[str, str] = {}
    with (flickr / "captions.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            captions[row["image"]] = captions.get(row["image"], "") + row["caption"].lower()
    dogs = [name for name, words in captions.items() if words.count(" dog ") >= 4][:40]
    features = image_tower.features([Image.open(flickr / "images" / name) for name in dogs])
    guesses = plain_network._fc(features).argmax(dim=1)
    breeds = (guesses >= 151) & (guesses <= 268)
    assert len(dogs) == 40
    assert breeds.float().mean() > 0.75


def test_text_features_are_those_of_sentence_transformers(text_tower: TextTower) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["grinning face", "a flag with three stripes", "x", "word " * 400, "éàü 漢字", ""]
    found = torch.nn.functional.normalize(text_tower.features(texts), dim=1)
    model = SentenceTransformer(str(frozen.text_model_folder()), device="cpu")
    np.testing.assert_allclose(found.numpy(), model.encode(texts), atol=1e-5)


def test_text_features_keep_their_order(text_tower: TextTower) -> None:
    texts = [f"{'very ' * (index % 7)}big number {index}" for index in range(150)]
    found = text_tower.features(texts)
    torch.testing.assert_close(text_tower.features(texts[::-1]).flip(0), found, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(text_tower.features(texts[77:78])[0], found[77], rtol=1e-4, atol=1e-5)
    assert text_tower.features([]).shape == (0, 384)


def test_batches_are_mapped_in_order_and_threads_are_given_back() -> None:
    threads = torch.get_num_threads()
    found = map_batches(lambda item: (item, torch.get_num_threads()), range(20), torch.device("cpu"))
    assert found == [(item, 1) for item in range(20)]
    assert torch.get_num_threads() == threads
    with pytest.raises(ZeroDivisionError):
        map_batches(lambda item: 1 / item, [1, 0], torch.device("cpu"))
    assert torch.get_num_threads() == threads


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(
        ModalensError, match=r"no_such_package; install it with pip install 'modalens\[demo\]'"
    ):
        frozen.demo_package("no_such_package")  # type: ignore[attr-defined]
