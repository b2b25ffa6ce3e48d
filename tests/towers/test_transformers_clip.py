import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modalens.errors import ModalensError
from modalens.towers import VLM, load_vlm

pytestmark = pytest.mark.usefixtures("no_network")

TEXTS = ["a photo of the cat", "dog", "red sun and blue sea", ""]
LONG = "the red cat and the blue dog on the green mat " * 10


def by_hand(folder: Path, images: list[Image.Image], texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Embed with the concrete classes of transformers, one sample at a time."""
    import transformers

    kind = json.loads((folder / "config.json").read_text())["model_type"]
    name = {"clip": "CLIP", "siglip": "Siglip", "siglip2": "Siglip2"}[kind]
    model = getattr(transformers, f"{name}Model").from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    processor = getattr(transformers, f"{name}ImageProcessorPil").from_pretrained(folder)
    length = 16 if kind == "clip" else 12
    padding = False if kind == "clip" else "max_length"
    rows: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    with torch.no_grad():
        for image in images:
            pixels = processor(image, return_tensors="pt", input_data_format="channels_last")
            rows[0].append(model.get_image_features(**pixels).pooler_output.numpy())
        for text in texts:
            tokens = tokenizer(text, padding=padding, truncation=True, max_length=length, return_tensors="pt")
            rows[1].append(model.get_text_features(**tokens).pooler_output.numpy())
    return np.concatenate(rows[0]), np.concatenate(rows[1])


@pytest.fixture(params=["tiny_clip", "tiny_siglip", "tiny_siglip2", "tiny_siglip_sentencepiece"])
def folder(request: pytest.FixtureRequest) -> Path:
    path = request.getfixturevalue(request.param)
    assert isinstance(path, Path)
    return path


@pytest.fixture
def vlm(folder: Path) -> VLM:
    return load_vlm(str(folder), device="cpu")


def test_embeddings_are_those_of_transformers(vlm: VLM, folder: Path, photos: list[Image.Image]) -> None:
    image, text = by_hand(folder, photos, [*TEXTS, LONG])
    found_image, found_text = vlm.embed_images(photos), vlm.embed_texts([*TEXTS, LONG])
    assert found_image.dtype == found_text.dtype == np.float32
    assert found_image.shape == (len(photos), vlm.dim)
    assert found_text.shape == (len(TEXTS) + 1, vlm.dim)
    np.testing.assert_allclose(found_image, image, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_text, text, rtol=1e-4, atol=1e-5)
    assert not np.allclose(np.linalg.norm(found_image, axis=1), 1, atol=1e-2), "must not be normalised"


def test_order_within_a_batch_changes_nothing(vlm: VLM, photos: list[Image.Image]) -> None:
    np.testing.assert_allclose(vlm.embed_images(photos[::-1])[::-1], vlm.embed_images(photos), atol=1e-5)
    np.testing.assert_allclose(vlm.embed_texts(TEXTS[::-1])[::-1], vlm.embed_texts(TEXTS), atol=1e-5)
    assert len(np.unique(vlm.embed_images(photos).round(5), axis=0)) == len(photos)


def test_empty_batches(vlm: VLM) -> None:
    assert vlm.embed_images([]).shape == vlm.embed_texts([]).shape == (0, vlm.dim)


def test_long_texts_are_cut_at_the_context(vlm: VLM) -> None:
    first, second = vlm.embed_texts([LONG, LONG + " and more"])
    np.testing.assert_array_equal(first, second)


def test_card(vlm: VLM, folder: Path) -> None:
    card = vlm.card()
    json.dumps(card)
    assert card["model"] == vlm.name == str(folder)
    assert card["normalised"] is False
    assert card["dim"] == vlm.dim
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert card["weights_sha256"] == {"model.safetensors": weights}
    assert card["preprocessing"]["image"]["image_mean"]
    assert card == load_vlm(str(folder), device="cpu").card()


def test_the_older_weights_format_is_read(
    tiny_clip: Path, changed_copy: Callable[..., Path], photos: list
) -> None:
    from safetensors.torch import load_file

    copy = changed_copy(tiny_clip)
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    found = load_vlm(str(copy), device="cpu").embed_images(photos)
    np.testing.assert_array_equal(found, load_vlm(str(tiny_clip), device="cpu").embed_images(photos))


def test_pickled_code_is_never_run(tiny_clip: Path, changed_copy: Callable[..., Path]) -> None:
    copy = changed_copy(tiny_clip)
    marker = copy / "was-run"

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (marker,))

    torch.save({"logit_scale": Evil()}, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModalensError, match=r"weights of"):
        load_vlm(str(copy), device="cpu")
    assert not marker.exists()


def test_other_families_are_refused(tiny_clip: Path, changed_copy: Callable[..., Path]) -> None:
    copy = changed_copy(tiny_clip, model_type="bert")
    with pytest.raises(
        ModalensError, match="type 'bert'; modalens reads clip, siglip, siglip2, blip, align, clap"
    ):
        load_vlm(str(copy))


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no weights"),
        ("tokenizer.json", "no tokenizer"),
        ("processor_config.json", "image processor of"),
    ],
)
def test_missing_files(
    tiny_clip: Path, changed_copy: Callable[..., Path], missing: str, sentence: str
) -> None:
    copy = changed_copy(tiny_clip)
    (copy / missing).unlink()
    with pytest.raises(ModalensError, match=sentence):
        load_vlm(str(copy), device="cpu")


def test_damaged_weights(tiny_clip: Path, changed_copy: Callable[..., Path]) -> None:
    copy = changed_copy(tiny_clip)
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModalensError, match=r"model\.safetensors cannot be read as safetensors"):
        load_vlm(str(copy), device="cpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b"\xff\xfe"),
        ("config.json", b"[" * 5000),
        ("processor_config.json", b"{"),
        ("tokenizer.json", b"{"),
        ("tokenizer_config.json", b"{"),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 100),
    ],
)
def test_the_file_that_is_damaged_is_named(
    tiny_clip: Path, changed_copy: Callable[..., Path], file: str, content: bytes
) -> None:
    copy = changed_copy(tiny_clip)
    (copy / file).write_bytes(content)
    with pytest.raises(ModalensError, match=rf"^The file .*/{file} ") as caught:
        load_vlm(str(copy), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_configuration_that_does_not_fit_the_weights(
    tiny_clip: Path, changed_copy: Callable[..., Path]
) -> None:
    width = json.loads((tiny_clip / "config.json").read_text())["projection_dim"]
    copy = changed_copy(tiny_clip, projection_dim=width - 4)
    words = (
        rf"do not fit its config.json in 2 tensors, text_projection.weight first: {width} x \d+ in the file, "
    )
    with pytest.raises(ModalensError, match=words + rf"{width - 4} x \d+ by config.json"):
        load_vlm(str(copy), device="cpu")


def test_a_configuration_of_a_million_layers(tiny_clip: Path, changed_copy: Callable[..., Path]) -> None:
    text = json.loads((tiny_clip / "config.json").read_text())["text_config"]
    copy = changed_copy(tiny_clip, text_config=text | {"num_hidden_layers": 10**6})
    with pytest.raises(ModalensError, match="asks for 1000000 as num_hidden_layers; at most 1000 are read"):
        load_vlm(str(copy), device="cpu")


def test_weights_that_lack_tensors_are_not_filled_with_random_ones(
    tiny_clip: Path, changed_copy: Callable[..., Path]
) -> None:
    from safetensors.torch import load_file, save_file

    copy = changed_copy(tiny_clip)
    tensors = load_file(copy / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModalensError, match=r"lack 1 tensors .* visual_projection.weight first"):
        load_vlm(str(copy), device="cpu")


def test_an_untrained_twin_is_the_same_model_with_random_weights(
    tiny_clip: Path, photos: list[Image.Image]
) -> None:
    from transformers import CLIPConfig, CLIPModel

    trained = load_vlm(str(tiny_clip), device="cpu")
    twins = [load_vlm(f"untrained:{tiny_clip}", device="cpu") for _ in range(2)]
    first, second = (twin.embed_images(photos) for twin in twins)
    assert np.array_equal(first, second)
    assert first.shape == trained.embed_images(photos).shape
    # The fixture's own weights are the initial state of seed 0; another state must not come out alike.
    with torch.random.fork_rng():
        torch.manual_seed(1)
        CLIPModel(CLIPConfig.from_pretrained(tiny_clip)).save_pretrained(tiny_clip.parent / "other")
    for file in tiny_clip.iterdir():
        if not (tiny_clip.parent / "other" / file.name).exists():
            (tiny_clip.parent / "other" / file.name).write_bytes(file.read_bytes())
    other = load_vlm(str(tiny_clip.parent / "other"), device="cpu")
    assert not np.allclose(other.embed_images(photos), first)
    untrained_other = load_vlm(f"untrained:{tiny_clip.parent / 'other'}", device="cpu")
    assert np.array_equal(untrained_other.embed_images(photos), first)
    card = twins[0].card()
    assert card["weights"] == "random, seed 0"
    assert card["model"].startswith("untrained:")
    assert "weights_sha256" not in card


def test_unavailable_device(tiny_clip: Path) -> None:
    with pytest.raises(ModalensError, match="device 'nonsense' is not available"):
        load_vlm(str(tiny_clip), device="nonsense")


def test_parts_that_do_not_fit_together_are_refused_as_they_are_loaded(
    tiny_clip: Path, changed_copy: Callable[..., Path]
) -> None:
    copy = changed_copy(tiny_clip)
    file = copy / "processor_config.json"
    told = json.loads(file.read_text())
    for size, words in (
        (24, r"output for an image of .* cannot be read"),
        (10**6, "images of 1000000 pixels a side"),
    ):
        told["image_processor"] |= {
            "size": {"shortest_edge": size},
            "crop_size": {"height": size, "width": size},
        }
        file.write_text(json.dumps(told))
        with pytest.raises(ModalensError, match=words):
            load_vlm(str(copy), device="cpu")


def test_a_tokenizer_of_another_model_is_refused(tiny_clip: Path, tmp_path: Path) -> None:
    vlm = load_vlm(str(tiny_clip), device="cpu")
    vlm.model.config.text_config.vocab_size = 2  # type: ignore[attr-defined]
    with pytest.raises(ModalensError, match=r"makes tokens that its weights do not know \(2 are known"):
        vlm.embed_texts(["a red cat"])
