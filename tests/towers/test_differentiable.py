from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from modalens.errors import ModalensError
from modalens.towers import load_vlm
from modalens.towers.differentiable import DifferentiableImages, differentiable_images
from modalens.towers.hidden import HiddenStates
from modalens.towers.resizing import centre_crop, resize
from modalens.towers.transformers_pixels import TransformersImages, can_differentiate
from tests.fakes import FakeVLM

SIZES = [(40, 30), (30, 51), (64, 64), (5, 20), (33, 500), (224, 224), (32, 32)]


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def as_values(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize(
    "resample", [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS]
)
@pytest.mark.parametrize("size", SIZES)
def test_resize_is_pillows_bit_for_bit(size: tuple[int, int], resample: Image.Resampling) -> None:
    image = noise(*size)
    for wanted in ((24, 37), (100, 16), (size[1], 20)):
        ours = resize(as_values(image), wanted, resample)
        theirs = as_values(image.resize(wanted[::-1], resample))
        assert (ours - theirs).abs().max() == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_box_between_pixels_is_pillows_too(size: tuple[int, int]) -> None:
    image, square = noise(*size), min(size)
    left, top = (size[0] - square) / 2, (size[1] - square) / 2
    ours = resize(
        as_values(image), (28, 28), Image.Resampling.BICUBIC, (left, top, left + square, top + square)
    )
    theirs = as_values(ImageOps.fit(image, (28, 28), method=Image.Resampling.BICUBIC))
    assert (ours - theirs).abs().max() == 0


@pytest.mark.parametrize("size", SIZES)
def test_gradients_of_resize_are_those_of_pillow_without_rounding(
    size: tuple[int, int], rng: np.random.Generator
) -> None:
    box = (0.0, 0.5, float(size[0]) - 1.5, float(size[1]))
    values = as_values(noise(*size)).requires_grad_()
    weights = rng.normal(size=(12, 9)).astype(np.float32)
    resized = resize(values, (12, 9), Image.Resampling.BICUBIC, box)
    (gradient,) = torch.autograd.grad((resized[0, 1] * torch.from_numpy(weights)).sum(), values)
    other = rng.normal(size=size[::-1]).astype(np.float32)  # the derivative along any direction
    moved = np.asarray(Image.fromarray(other).resize((9, 12), Image.Resampling.BICUBIC, box=box))
    assert float((gradient[0, 1].numpy() * other).sum()) == pytest.approx(
        float((weights * moved).sum()), abs=1e-3
    )
    assert gradient[0, [0, 2]].abs().sum() == 0


def test_centre_crop_is_that_of_transformers() -> None:
    from transformers.image_transforms import center_crop

    for size in SIZES:
        values = as_values(noise(*size))
        for wanted in ((31, 30), (64, 11), (6, 5)):
            theirs = center_crop(values[0].numpy(), wanted, input_data_format="channels_first")
            np.testing.assert_array_equal(centre_crop(values, wanted)[0].numpy(), theirs)


@pytest.mark.parametrize("folder", ["tiny_clip", "tiny_siglip"])
def test_pixels_and_embeddings_are_those_of_the_processor(
    folder: str, request: pytest.FixtureRequest
) -> None:
    vlm = load_vlm(str(request.getfixturevalue(folder)), device="cpu")
    images = differentiable_images(vlm)
    assert isinstance(images, TransformersImages)
    assert isinstance(images, DifferentiableImages)
    assert images.side == 32
    for size in SIZES:
        image = noise(*size)
        pixels = (as_values(image) / 255).requires_grad_()
        seen = vlm.processor([image], return_tensors="pt", input_data_format="channels_last")  # type: ignore[attr-defined]
        assert (images.preprocess(pixels) - seen["pixel_values"]).abs().max() < 1e-4
        embedded = images.embed(pixels)
        np.testing.assert_allclose(embedded.detach().numpy(), vlm.embed_images([image]), rtol=1e-3, atol=1e-4)
        (gradient,) = torch.autograd.grad(embedded.square().sum(), pixels)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.05


def test_what_has_no_path_says_so(tiny_siglip2: Path) -> None:
    with pytest.raises(ModalensError, match="No gradients reach the pixels"):
        differentiable_images(FakeVLM())
    with pytest.raises(ModalensError, match="No gradients reach the pixels"):
        differentiable_images(load_vlm(str(tiny_siglip2), device="cpu"))


def test_processors_without_a_counterpart_are_known_before_the_first_step() -> None:
    assert can_differentiate({"do_resize": False})
    assert can_differentiate({"do_resize": True, "size": {"height": 8, "width": 8}})
    assert can_differentiate({"do_resize": True, "size": {"shortest_edge": 8}})
    assert not can_differentiate({"do_resize": True, "size": {"shortest_edge": 8, "longest_edge": 16}})
    assert not can_differentiate({"do_resize": True, "size": {"max_height": 8}})


def test_models_say_what_they_can_do(tiny_clip: Path, tiny_siglip2: Path) -> None:
    clip = load_vlm(str(tiny_clip), device="cpu")
    assert (clip.modalities, clip.differentiable, clip.projection) == (("image", "text"), True, True)
    assert clip.device.type == "cpu"
    assert not load_vlm(str(tiny_siglip2), device="cpu").differentiable
    assert not FakeVLM().differentiable
    assert not FakeVLM().tokens
    assert not HiddenStates.projection


@pytest.mark.demo
def test_the_demo_tower_agrees_and_hands_gradients_on() -> None:
    vlm = load_vlm("demo", device="cpu")
    images = differentiable_images(vlm)
    for size in [(300, 225), (224, 224), (151, 400)]:
        image = noise(*size)
        pixels = (as_values(image) / 255).requires_grad_()
        embedded = images.embed(pixels)
        np.testing.assert_allclose(embedded.detach().numpy(), vlm.embed_images([image]), atol=1e-4)
        (gradient,) = torch.autograd.grad(embedded[0, 0], pixels)
        assert (gradient != 0).float().mean() > 0.2
