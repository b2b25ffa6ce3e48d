"""Dual encoders of transformers beyond CLIP, each against its own classes called by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modalens.errors import ModalensError
from modalens.towers import VLM, load_vlm
from modalens.towers.differentiable import differentiable_images
from modalens.towers.transformers_pixels import TransformersImages

pytestmark = pytest.mark.usefixtures("no_network")

TEXTS = ["a photo of the cat", "dog", "red sun and blue sea", ""]
BODY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def save(folder: Path, model_class: type, config: Any, *parts: Any) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config)
        for parameter in model.parameters():  # far from the small initial values that make embeddings alike
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert_tokenizer() -> Any:
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [
        "a",
        "photo",
        "of",
        "the",
        "red",
        "green",
        "blue",
        "cat",
        "dog",
        "on",
        "mat",
        "sun",
        "and",
        "sea",
    ]
    return BertTokenizer(vocab={word: index for index, word in enumerate(pieces + words)})


@pytest.fixture(scope="session")
def tiny_blip(tmp_path_factory: pytest.TempPathFactory, bert_tokenizer: Any) -> Path:
    from transformers import (
        BlipConfig,
        BlipForImageTextRetrieval,
        BlipImageProcessorPil,
        BlipTextConfig,
        BlipVisionConfig,
    )

    text = BlipTextConfig(**BODY, encoder_hidden_size=32, vocab_size=24, max_position_embeddings=16)
    vision = BlipVisionConfig(**BODY, image_size=32, patch_size=8)
    config = BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), image_text_hidden_size=20)
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    folder = tmp_path_factory.mktemp("blip")
    return save(folder, BlipForImageTextRetrieval, config, images, bert_tokenizer)


@pytest.fixture(scope="session")
def tiny_align(tmp_path_factory: pytest.TempPathFactory, bert_tokenizer: Any) -> Path:
    from transformers import (
        AlignConfig,
        AlignModel,
        AlignTextConfig,
        AlignVisionConfig,
        EfficientNetImageProcessorPil,
    )

    text = AlignTextConfig(**BODY, vocab_size=24, max_position_embeddings=16)
    vision = AlignVisionConfig(
        image_size=32,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=24,
        kernel_sizes=[3, 3],
        in_channels=[32, 16],
        out_channels=[16, 24],
        strides=[1, 2],
        num_block_repeats=[1, 1],
        expand_ratios=[1, 2],
    )
    config = AlignConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=24)
    images = EfficientNetImageProcessorPil(
        size={"height": 36, "width": 36},
        crop_size={"height": 32, "width": 32},
        do_center_crop=True,
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        include_top=True,
        do_normalize=False,
    )
    return save(tmp_path_factory.mktemp("align"), AlignModel, config, images, bert_tokenizer)


@torch.no_grad()
def blip_cosines(folder: Path, images: list[Image.Image], texts: list[str]) -> np.ndarray:
    """Image-text cosines as BLIP's own contrastive path gives them, for one pair at a time."""
    import transformers

    model = transformers.BlipForImageTextRetrieval.from_pretrained(folder).eval()
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    images_of = transformers.BlipImageProcessorPil.from_pretrained(folder)
    rows = []
    for image in images:
        pixels = images_of(image, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        tokens = [tokenizer(text, return_tensors="pt") for text in texts]
        rows.append(
            [
                model(
                    input_ids=each["input_ids"],
                    attention_mask=each["attention_mask"],
                    pixel_values=pixels,
                    use_itm_head=False,
                ).itm_score.item()
                for each in tokens
            ]
        )
    return np.array(rows)


@torch.no_grad()
def align_by_hand(
    folder: Path, images: list[Image.Image], texts: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, normalised by ALIGN itself, and its logits."""
    import transformers

    model = transformers.AlignModel.from_pretrained(folder).eval()
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    images_of = transformers.EfficientNetImageProcessorPil.from_pretrained(folder)
    pixels = images_of(images, return_tensors="pt", input_data_format="channels_last")
    tokens = tokenizer(texts, padding="max_length", max_length=16, return_tensors="pt")
    output = model(**tokens, **pixels)
    logits = output.logits_per_image * model.temperature
    return output.image_embeds.numpy(), output.text_embeds.numpy(), logits.numpy()


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_blip_compares_as_its_own_contrastive_path(tiny_blip: Path, photos: list[Image.Image]) -> None:
    vlm = load_vlm(str(tiny_blip), device="cpu")
    image, text = vlm.embed_images(photos), vlm.embed_texts(TEXTS)
    assert image.shape == (len(photos), 20)
    assert text.shape == (len(TEXTS), 20)
    expected = blip_cosines(tiny_blip, photos, TEXTS)
    assert expected.std() > 0.05
    np.testing.assert_allclose(unit(image) @ unit(text).T, expected, atol=1e-5)


def test_align_embeds_as_its_own_call(tiny_align: Path, photos: list[Image.Image]) -> None:
    vlm = load_vlm(str(tiny_align), device="cpu")
    image, text = vlm.embed_images(photos), vlm.embed_texts(TEXTS)
    expected_image, expected_text, cosines = align_by_hand(tiny_align, photos, TEXTS)
    assert expected_text.std(axis=0).max() > 0.05
    np.testing.assert_allclose(unit(image), expected_image, atol=1e-5)
    np.testing.assert_allclose(unit(text), expected_text, atol=1e-5)
    np.testing.assert_allclose(unit(image) @ unit(text).T, cosines, atol=1e-5)


@pytest.fixture(params=["tiny_blip", "tiny_align"])
def folder(request: pytest.FixtureRequest) -> Path:
    path = request.getfixturevalue(request.param)
    assert isinstance(path, Path)
    return path


@pytest.fixture
def vlm(folder: Path) -> VLM:
    return load_vlm(str(folder), device="cpu")


def test_embeddings_are_not_normalised_and_the_card_says_so(vlm: VLM, photos: list[Image.Image]) -> None:
    for rows in (vlm.embed_images(photos), vlm.embed_texts(TEXTS)):
        assert rows.dtype == np.float32
        assert not np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-2)
    card = vlm.card()
    json.dumps(card)
    assert card["normalised"] is False
    assert card["dim"] == vlm.dim
    assert card["weights_sha256"]
    assert vlm.modalities == ("image", "text")


def test_batches_change_nothing(vlm: VLM, photos: list[Image.Image]) -> None:
    alone = np.concatenate([vlm.embed_images([photo]) for photo in photos])
    np.testing.assert_allclose(vlm.embed_images(photos), alone, rtol=1e-4, atol=1e-5)
    alone = np.concatenate([vlm.embed_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(vlm.embed_texts(TEXTS), alone, rtol=1e-4, atol=1e-5)
    assert vlm.embed_images([]).shape == vlm.embed_texts([]).shape == (0, vlm.dim)


def test_long_texts_are_cut(vlm: VLM) -> None:
    long = "red cat on the mat " * 30
    first, second, short = vlm.embed_texts([long, long + "and a dog", "red cat"])
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, short)


def test_an_untrained_twin(vlm: VLM, folder: Path, photos: list[Image.Image]) -> None:
    twins = [load_vlm(f"untrained:{folder}", device="cpu") for _ in range(2)]
    first, second = (twin.embed_images(photos) for twin in twins)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, vlm.embed_images(photos))


def test_gradients_reach_the_pixels(vlm: VLM) -> None:
    images = differentiable_images(vlm)
    assert isinstance(images, TransformersImages)
    rng = np.random.default_rng(1)
    for width, height in [(50, 36), (20, 90), (32, 32)]:
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        pixels = (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255).requires_grad_()
        embedded = images.embed(pixels)
        np.testing.assert_allclose(embedded.detach().numpy(), vlm.embed_images([image]), rtol=1e-3, atol=1e-3)
        (gradient,) = torch.autograd.grad(embedded.square().sum(), pixels)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.05


def test_a_blip_that_was_made_to_caption_is_refused(
    tiny_blip: Path, changed_copy: Callable[..., Path]
) -> None:
    from safetensors.torch import load_file, save_file

    copy = changed_copy(tiny_blip)
    tensors = load_file(copy / "model.safetensors")
    kept = {
        name: tensor for name, tensor in tensors.items() if not name.startswith(("text_proj", "vision_proj"))
    }
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModalensError,
        match=r"lack 4 tensors that a BlipForImageTextRetrieval has, text_proj.bias first; "
        "name a whole one, such as Salesforce/blip-itm-base-coco",
    ):
        load_vlm(str(copy), device="cpu")


def test_siglip_reads_lower_case_whatever_its_tokenizer_does(
    tiny_siglip: Path, changed_copy: Callable[..., Path]
) -> None:
    """SigLIP 2 of fixed resolution says that it is a SigLIP, with a tokenizer that keeps capitals."""
    vlm = load_vlm(str(tiny_siglip), device="cpu")
    capital, small, other = vlm.embed_texts(["A Photo of the CAT", "a photo of the cat", "a dog"])
    np.testing.assert_array_equal(capital, small)
    assert np.abs(small - other).max() > 1e-3
    assert vlm.card()["preprocessing"]["text"]["lower_case"]
    copy = changed_copy(tiny_siglip)
    told = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps(told | {"do_lower_case": False}))
    capital, small = load_vlm(str(copy), device="cpu").embed_texts(
        ["A Photo of the CAT", "a photo of the cat"]
    )
    assert np.abs(capital - small).max() > 1e-3


def test_siglip2_of_any_shape_reads_lower_case(tiny_siglip2: Path) -> None:
    capital, small = load_vlm(str(tiny_siglip2), device="cpu").embed_texts(["RED Sun", "red sun"])
    np.testing.assert_array_equal(capital, small)


def test_blip_reads_35_tokens_as_it_was_trained(
    tmp_path: Path, tiny_blip: Path, changed_copy: Callable[..., Path]
) -> None:
    from transformers import BlipConfig, BlipForImageTextRetrieval

    copy = changed_copy(tiny_blip)
    config = BlipConfig.from_pretrained(tiny_blip)
    config.text_config.max_position_embeddings = 64
    BlipForImageTextRetrieval(config).save_pretrained(copy)
    vlm = load_vlm(str(copy), device="cpu")
    assert vlm.card()["preprocessing"]["text"]["tokens"] == 35
    words = ["red cat", *["on the mat"] * 10, "and", "dog"]  # 33 words and 2 marks, and one more
    whole, cut = vlm.embed_texts([" ".join(words[:-1]), " ".join(words)])
    np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_a_tokenizer_that_knows_a_shorter_context_is_believed(
    tiny_align: Path, changed_copy: Callable[..., Path]
) -> None:
    copy = changed_copy(tiny_align)
    told = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps(told | {"model_max_length": 5}))
    assert load_vlm(str(copy), device="cpu").card()["preprocessing"]["text"]["tokens"] == 5
