import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from modalens.errors import ModalensError
from modalens.recipes.recipe import load_recipe
from modalens.recipes.stand_ins import notes_on, with_stand_ins
from modalens.towers import load_vlm
from modalens.towers.abilities import Abilities
from modalens.towers.differentiable import DifferentiableImages, differentiable_images
from modalens.towers.openclip_pixels import PixelSteps
from modalens.towers.registry import abilities_of
from tests.openclip import open_clip_or_skip

open_clip = open_clip_or_skip()
pytestmark = pytest.mark.usefixtures("no_network")

TEXTS = ["a photo of the cat", "dog", "red sun and blue sea", "", "the red cat and the blue dog " * 30]
TEXT = {"context_length": 24, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
VISION = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
CLIP = {"embed_dim": 40, "vision_cfg": VISION, "text_cfg": TEXT}
COCA = {
    "embed_dim": 64,
    "vision_cfg": {**VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
    "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {
        "context_length": 24,
        "vocab_size": 49408,
        "width": 64,
        "heads": 2,
        "layers": 1,
        "attn_pooler_heads": 2,
    },
    "custom_text": True,
}
ARCHITECTURES = {
    "tiny": CLIP,
    "tiny-quickgelu": {**CLIP, "quick_gelu": True},
    "tiny-custom": {**CLIP, "custom_text": True},
    "tiny-coca": COCA,
}
IMAGENET = {
    "mean": (0.4, 0.5, 0.6),
    "std": (0.2, 0.3, 0.4),
    "interpolation": "bilinear",
    "resize_mode": "squash",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("open_clip")


@pytest.fixture(scope="module", autouse=True)
def listed(folder: Path) -> Iterator[None]:
    """Tiny architectures and tags in open_clip's own lists."""
    from open_clip import factory, pretrained

    configs, tags = copy.deepcopy(factory._MODEL_CONFIGS), dict(pretrained._PRETRAINED)
    for name, config in ARCHITECTURES.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder / f"{name}.json")
    for name in ARCHITECTURES:
        torch.manual_seed(1)
        model = open_clip.create_model(name)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
        torch.save(model.state_dict(), folder / f"{name}.pt")
        entry = {"url": "", "hf_hub": "", "file": str(folder / f"{name}.pt")}
        pretrained._PRETRAINED[name] = {
            "plain": {**entry, **IMAGENET, "quick_gelu": "quickgelu" in name},
            "hub": {"url": "", "hf_hub": "org/tiny/", **IMAGENET},
        }
    pretrained._PRETRAINED["tiny"]["quick"] = {**entry, **IMAGENET, "quick_gelu": True}
    yield
    factory._MODEL_CONFIGS = configs
    del factory._MODEL_CONFIG_PATHS[-len(ARCHITECTURES) :]
    pretrained._PRETRAINED.clear()
    pretrained._PRETRAINED.update(tags)


@torch.no_grad()
def by_hand(name: str, pretrained: str | None, photos: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """As open_clip's README embeds."""
    model, _, preprocess = open_clip.create_model_and_transforms(name, pretrained=pretrained)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    image = [model.encode_image(preprocess(photo)[None]).numpy() for photo in photos]
    text = [model.encode_text(tokenizer([each])).numpy() for each in TEXTS]
    return np.concatenate(image), np.concatenate(text)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["tiny", "tiny-quickgelu", "tiny-custom"])
def test_embeddings_are_those_of_open_clip(name: str, photos: list[Image.Image]) -> None:
    vlm = load_vlm(f"open_clip:{name}/plain", device="cpu")
    image, text = by_hand(name, "plain", photos)
    assert vlm.dim == image.shape[1] == 40
    found_image, found_text = vlm.embed_images(photos), vlm.embed_texts(TEXTS)
    assert found_image.dtype == found_text.dtype == np.float32
    np.testing.assert_allclose(found_image, image, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found_text, text, rtol=1e-4, atol=1e-4)
    assert vlm.embed_images([]).shape == vlm.embed_texts([]).shape == (0, 40)


def test_coca_comes_without_its_normalisation(photos: list[Image.Image]) -> None:
    vlm = load_vlm("open_clip:tiny-coca/plain", device="cpu")
    image, text = by_hand("tiny-coca", "plain", photos)
    for found, expected in ((vlm.embed_images(photos), image), (vlm.embed_texts(TEXTS), text)):
        np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)
        assert not np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-2)
        np.testing.assert_allclose(unit(found), expected, atol=1e-5)
    assert vlm.card()["class"] == "CoCa"


def test_the_activation_changes_what_is_embedded(photos: list[Image.Image]) -> None:
    gelu = load_vlm("open_clip:tiny/plain", device="cpu").embed_images(photos)
    quick = load_vlm("open_clip:tiny-quickgelu/plain", device="cpu").embed_images(photos)
    assert np.abs(gelu - quick).max() > 1e-3, "the two files hold the same weights"


def test_weights_of_the_other_activation_are_refused() -> None:
    with pytest.raises(
        ModalensError,
        match=r"weights quick were trained with QuickGELU, .* name open_clip:tiny-quickgelu/quick\.$",
    ):
        load_vlm("open_clip:tiny/quick")


SIZES = [(40, 30), (30, 51), (33, 33), (5, 20), (33, 300), (224, 225), (32, 32)]


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_differentiable_pixels_are_the_librarys_own(mode: str, interpolation: str) -> None:
    settings = {
        "size": (32, 32), "mode": "RGB", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4),
        "interpolation": interpolation, "resize_mode": mode, "fill_color": 7,
    }  # fmt: skip
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**settings), is_train=False
    )
    steps = PixelSteps.of_open_clip(settings)
    assert steps is not None
    for size in SIZES:
        image = noise(*size)
        assert (steps(pixels_of(image))[0] - transform(image)).abs().max() < 1e-4
    assert PixelSteps.of_open_clip({**settings, "size": 32}) == steps
    assert PixelSteps.of_open_clip({**settings, "size": (32, 40)}) is None


@pytest.mark.parametrize("name", ["tiny-quickgelu", "tiny-coca"])
def test_gradients_reach_the_pixels(name: str) -> None:
    vlm = load_vlm(f"open_clip:{name}/plain", device="cpu")
    tower = differentiable_images(vlm)
    assert vlm.differentiable
    assert isinstance(tower, DifferentiableImages)
    assert tower.side == 32
    for size in SIZES:
        pixels = pixels_of(noise(*size)).requires_grad_()
        embedded = tower.embed(pixels)
        np.testing.assert_allclose(
            embedded.detach().numpy(), vlm.embed_images([noise(*size)]), rtol=1e-3, atol=1e-4
        )
        (gradient,) = torch.autograd.grad(embedded.square().sum(), pixels)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.05


def test_an_attack_nears_its_target() -> None:
    from modalens.studies.adversarial_images.attack import attack
    from modalens.studies.adversarial_images.config import Optimisation

    vlm = load_vlm("open_clip:tiny-quickgelu/plain", device="cpu")
    image, target = noise(32, 32), noise(32, 31)
    (found,) = attack(differentiable_images(vlm), [image], [target], Optimisation(60, rate=0.05))
    goal, before, after = (vlm.embed_images([each])[0] for each in (target, image, found.image))
    assert np.linalg.norm(after - goal) < np.linalg.norm(before - goal) / 3


class ReachedFetchError(Exception):
    pass


def test_every_listed_model_is_fetched_or_another_name_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> Path:
        raise ReachedFetchError

    monkeypatch.setattr("modalens.towers.openclip._fetch", stop)
    listed = {pair for pair in open_clip.list_pretrained() if not pair[0].startswith("tiny")}
    assert len(listed) > 150
    refused = set()
    for architecture, tag in sorted(listed):
        try:
            load_vlm(f"open_clip:{architecture}/{tag}", device="cpu")
        except ReachedFetchError:
            continue
        except ModalensError as error:
            refused.add((architecture, tag, str(error)))
    for architecture, tag, sentence in refused:
        assert f"name open_clip:{architecture}-quickgelu/{tag}." in sentence
        assert (f"{architecture}-quickgelu", tag) in listed
    names = {pair[:2] for pair in refused}
    assert ("ViT-B-32", "openai") in names
    assert ("ViT-H-14", "laion2b_s32b_b79k") not in names


def test_a_checkpoint_of_ones_own(folder: Path, photos: list[Image.Image]) -> None:
    name = f"open_clip:tiny/{folder / 'tiny.pt'}"
    vlm = load_vlm(name, device="cpu")
    image, _ = by_hand("tiny", str(folder / "tiny.pt"), photos)
    np.testing.assert_allclose(vlm.embed_images(photos), image, rtol=1e-4, atol=1e-4)
    assert list(vlm.card()["weights_sha256"]) == ["tiny.pt"]
    with pytest.raises(ModalensError, match="has none; leave it out"):
        load_vlm(name, revision="main")


def test_a_folder_as_open_clip_saves_it(folder: Path, tmp_path: Path, photos: list[Image.Image]) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    preprocess = {
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.4],
        "interpolation": "bilinear",
        "resize_mode": "squash",
    }
    described = {"model_cfg": CLIP, "preprocess_cfg": preprocess}
    (saved / "open_clip_config.json").write_text(json.dumps(described))
    with pytest.raises(ModalensError, match="holds no weights"):
        load_vlm(f"open_clip:{saved}", device="cpu")
    state = torch.load(folder / "tiny.pt", weights_only=True)
    save_file(
        {name: values.contiguous() for name, values in state.items()}, saved / "open_clip_model.safetensors"
    )
    vlm = load_vlm(f"open_clip:{saved}", device="cpu")
    plain = load_vlm("open_clip:tiny/plain", device="cpu")
    np.testing.assert_allclose(vlm.embed_images(photos), plain.embed_images(photos), atol=1e-5)
    np.testing.assert_allclose(vlm.embed_texts(TEXTS), plain.embed_texts(TEXTS), atol=1e-5)
    assert list(vlm.card()["weights_sha256"]) == ["open_clip_model.safetensors"]
    twin = load_vlm(f"untrained:open_clip:{saved}", device="cpu")
    assert not np.allclose(twin.embed_images(photos), vlm.embed_images(photos))
    (saved / "open_clip_config.json").write_text("{}")
    with pytest.raises(ModalensError, match="has no model_cfg"):
        load_vlm(f"open_clip:{saved}", device="cpu")


def test_what_models_can_do_is_known_without_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*args: object, **kwargs: object) -> Path:
        raise AssertionError("weights were fetched")

    monkeypatch.setattr("modalens.towers.openclip._fetch", fetched)
    for name in ("open_clip:ViT-H-14/laion2b_s32b_b79k", "untrained:open_clip:RN50-quickgelu/openai"):
        assert abilities_of(name) == Abilities(("image", "text"), differentiable=True)
    with pytest.raises(ModalensError, match="name open_clip:RN50-quickgelu/openai"):
        abilities_of("open_clip:RN50/openai")
    with pytest.raises(ModalensError, match="no architecture 'ViT-Z'"):
        abilities_of("open_clip:ViT-Z/openai")


def test_the_papers_recipe_names_models_that_open_clip_has() -> None:
    recipe = load_recipe("beyond_cross_modal")
    asked = [value for value in recipe.inputs.values() if value.startswith("open_clip:")]
    assert len(asked) == 2
    assert all(abilities_of(name).differentiable for name in asked)


def test_stand_ins_of_open_clip_are_open_clips(tmp_path: Path) -> None:
    name = with_stand_ins("stand-in:openclip1", tmp_path)
    assert name == with_stand_ins("stand-in:openclip1", tmp_path) == f"open_clip:{tmp_path / 'openclip1'}"
    vlm = load_vlm(name, device="cpu")
    assert vlm.card()["class"] == "CLIP"
    assert abilities_of(name).differentiable
    assert vlm.differentiable
    assert notes_on([name]) == notes_on(["stand-in:openclip1"]) == []


def test_a_commit_of_the_hub_is_pinned(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path, photos: list[Image.Image]
) -> None:
    snapshot = tmp_path / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    weights = snapshot / "open_clip_pytorch_model.bin"
    weights.write_bytes((folder / "tiny.pt").read_bytes())
    asked: list[Any] = []

    def download(*, repo_id: str, filename: str, revision: str | None, cache_dir: None) -> str:
        asked.append((repo_id, filename, revision))
        if filename.endswith(".safetensors"):
            raise FileNotFoundError
        return str(weights)

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", download)
    for revision in ("v1", None):
        vlm = load_vlm("open_clip:tiny/hub", device="cpu", revision=revision)
        assert asked[-1] == ("org/tiny", "open_clip_pytorch_model.bin", revision)
        assert vlm.card()["revision"] == "0123abcd"
    plain = load_vlm("open_clip:tiny/plain", device="cpu")
    np.testing.assert_array_equal(vlm.embed_images(photos), plain.embed_images(photos))


def test_card() -> None:
    vlm = load_vlm("open_clip:tiny-quickgelu/plain", device="cpu")
    card = vlm.card()
    assert card == json.loads(json.dumps(card))
    assert card["model"] == vlm.name == "open_clip:tiny-quickgelu/plain"
    assert card["architecture"] == "tiny-quickgelu"
    assert card["quick_gelu"] is True
    assert card["normalised"] is False
    assert card["preprocessing"]["image"]["mean"] == [0.4, 0.5, 0.6]
    assert card["preprocessing"]["image"]["resize_mode"] == "squash"
    assert card["preprocessing"]["text"]["tokens"] == 24
    assert {"torch", "torchvision", "open_clip_torch"} <= card["versions"].keys()


def test_an_untrained_twin(photos: list[Image.Image]) -> None:
    trained = load_vlm("open_clip:tiny/plain", device="cpu")
    state = torch.get_rng_state()
    twins = [load_vlm("untrained:open_clip:tiny/plain", device="cpu") for _ in range(2)]
    assert torch.equal(state, torch.get_rng_state())
    first, second = (twin.embed_images(photos) for twin in twins)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, trained.embed_images(photos))
    card = twins[0].card()
    assert card["weights"] == "random, seed 0"
    assert "weights_sha256" not in card
    assert card["preprocessing"] == trained.card()["preprocessing"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ViT-Z/openai", "no architecture 'ViT-Z'; write open_clip:NAME/TAG"),
        ("", "no architecture ''"),
        ("tiny", r"no weights '' for tiny; its tags are plain, hub, quick"),
        ("tiny/nothing", "no weights 'nothing' for tiny"),
        ("ViT-B-32/no.pt", "its tags are openai, .* and a checkpoint's file will do too"),
    ],
)
def test_what_is_not_listed(name: str, sentence: str) -> None:
    with pytest.raises(ModalensError, match=sentence):
        load_vlm(f"open_clip:{name}")


def test_pickled_code_is_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (marker,))

    torch.save({"logit_scale": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ModalensError, match=r"weights of .* cannot be read") as caught:
        load_vlm(f"open_clip:tiny/{tmp_path / 'evil.pt'}", device="cpu")
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_weights_of_another_shape(folder: Path) -> None:
    with pytest.raises(ModalensError, match=r"weights of .* cannot be read"):
        load_vlm(f"open_clip:tiny-coca/{folder / 'tiny.pt'}", device="cpu")


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**kwargs: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", fail)
    for revision in (None, "v9"):
        with pytest.raises(
            ModalensError, match=r"could not be fetched .*FileNotFoundError.*open_clip:NAME/FILE"
        ):
            load_vlm("open_clip:tiny/hub", device="cpu", revision=revision)
