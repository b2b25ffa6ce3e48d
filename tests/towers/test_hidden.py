import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from modalens.errors import ModalensError
from modalens.towers import load_vlm

pytestmark = pytest.mark.usefixtures("no_network")

TEXTS = ["a photo of the cat", "dog", "red sun and blue sea", "", "cat " * 60]
WORDS = ["a", "photo", "of", "the", "red", "blue", "cat", "dog", "sun", "and", "sea"]
LAYERS = 3


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA-1.5 with random weights; its tokenizer starts every text with <s>, as Llama's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    folder = tmp_path_factory.mktemp("llava")
    pieces = ["<unk>", "<s>", "</s>", "<pad>", "<image>", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        additional_special_tokens=["<image>"],
    )
    body = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
    text = LlamaConfig(
        **body,
        num_hidden_layers=LAYERS,
        vocab_size=len(pieces),
        max_position_embeddings=40,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
    )
    vision = CLIPVisionConfig(**body, num_hidden_layers=2, image_size=32, patch_size=8)
    config = LlavaConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), image_token_index=4, image_seq_length=16
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlavaForConditionalGeneration(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        image_processor=images,
        tokenizer=wrapped,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder


@torch.no_grad()
def by_hand(folder: Path, layer: int, photos: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """Average the states that LLaVA itself hands out, one sample at a time."""
    import transformers

    model = transformers.LlavaForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.CLIPImageProcessorPil.from_pretrained(folder)

    def states(tokens: list[int], **inputs: Any) -> np.ndarray:
        output = model(input_ids=torch.tensor([tokens]), **inputs, output_hidden_states=True)
        assert len(output.hidden_states) == LAYERS + 1
        return output.hidden_states[layer][0].numpy()

    image_rows, text_rows = [], []
    for photo in photos:
        pixels = images(photo, return_tensors="pt", input_data_format="channels_last")
        image_rows.append(states([1, *[4] * 16], **pixels)[1:].mean(axis=0))
    for text in TEXTS:
        tokens = tokenizer(text)["input_ids"][:40]
        assert tokens[0] == 1
        text_rows.append(states(tokens)[1 if len(tokens) > 1 else 0 :].mean(axis=0))
    return np.stack(image_rows), np.stack(text_rows)


@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_states_are_those_of_transformers(tiny_llava: Path, layer: int, photos: list[Image.Image]) -> None:
    vlm = load_vlm(f"hidden:{tiny_llava}?layer={layer}", device="cpu")
    image, text = by_hand(tiny_llava, layer, photos)
    found_image, found_text = vlm.embed_images(photos), vlm.embed_texts(TEXTS)
    assert found_image.dtype == found_text.dtype == np.float32
    assert vlm.dim == 16
    assert image.std(axis=0).max() > 0.02
    assert text.std(axis=0).max() > 0.1
    np.testing.assert_allclose(found_image, image, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found_text, text, rtol=1e-3, atol=1e-4)
    assert vlm.embed_images([]).shape == vlm.embed_texts([]).shape == (0, 16)


def test_the_middle_layer_without_a_layer(tiny_llava: Path, photos: list[Image.Image]) -> None:
    vlm = load_vlm(f"hidden:{tiny_llava}", device="cpu")
    assert vlm.card()["layer"] == 1
    first = load_vlm(f"hidden:{tiny_llava}?layer=1", device="cpu")
    np.testing.assert_array_equal(vlm.embed_images(photos), first.embed_images(photos))


def test_batches_change_nothing(tiny_llava: Path) -> None:
    vlm = load_vlm(f"hidden:{tiny_llava}?layer=2", device="cpu")
    alone = np.concatenate([vlm.embed_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(vlm.embed_texts(TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(vlm.embed_texts(TEXTS[::-1])[::-1], alone, atol=1e-5)


def test_only_the_layers_that_are_needed_are_kept(tiny_llava: Path) -> None:
    sizes = [
        sum(
            parameter.numel()
            for parameter in load_vlm(f"hidden:{tiny_llava}?layer={layer}")._model.parameters()  # type: ignore[attr-defined]
        )  # type: ignore[attr-defined]
        for layer in range(LAYERS + 1)
    ]
    assert sizes == sorted(set(sizes))


def test_card(tiny_llava: Path) -> None:
    vlm = load_vlm(f"hidden:{tiny_llava}?layer=2", device="cpu")
    card = vlm.card()
    json.dumps(card)
    assert card["model"] == vlm.name == f"hidden:{tiny_llava}?layer=2"
    assert card["class"] == "LlavaForConditionalGeneration"
    assert card["layer"] == 2
    assert card["dtype"] == "float32"
    assert card["normalised"] is False
    assert list(card["weights_sha256"]) == ["model.safetensors"]
    assert card["preprocessing"]["image"]["image_mean"]


def test_an_untrained_twin(tiny_llava: Path, photos: list[Image.Image]) -> None:
    name = f"hidden:{tiny_llava}?layer=2"
    twins = [load_vlm(f"untrained:{name}", device="cpu") for _ in range(2)]
    first, second = (twin.embed_images(photos) for twin in twins)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, load_vlm(name, device="cpu").embed_images(photos))
    assert twins[0].card()["weights"] == "random, seed 0"


def test_a_commit_of_the_hub_is_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_llava: Path
) -> None:
    snapshot = tmp_path / "0123abcd"
    snapshot.symlink_to(tiny_llava)
    asked = []

    def download(
        name: str, *, revision: str | None, allow_patterns: list[str], ignore_patterns: list[str]
    ) -> str:
        asked.append((name, revision))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    vlm = load_vlm("hidden:org/llava?layer=1", device="cpu", revision="v1")
    assert asked == [("org/llava", "v1")]
    assert vlm.card()["revision"] == "0123abcd"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("", r"names no layer of a model; write hidden:MODEL\?layer=N"),
        ("{}?layer=", "names no layer"),
        ("{}?layer=-1", "names no layer"),
        ("{}?depth=1", "names no layer"),
        ("{}?layer=4", "asks for layer 4 of a model with 3; name one from 0 to 3"),
        ("./nowhere?layer=1", r"model folder \./nowhere does not exist"),
    ],
)
def test_what_cannot_be_asked_for(tiny_llava: Path, asked: str, sentence: str) -> None:
    with pytest.raises(ModalensError, match=sentence):
        load_vlm("hidden:" + asked.format(tiny_llava), device="cpu")


def test_what_is_no_such_model(tiny_llava: Path, tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="has none; leave it out"):
        load_vlm(f"hidden:{tiny_llava}", revision="main")
    with pytest.raises(ModalensError, match=r"weights of .* cannot be read") as caught:
        load_vlm(f"hidden:{tiny_clip}", device="cpu")
    assert "\n" not in str(caught.value)
    shutil.copytree(tiny_llava, tmp_path / "llava")
    (tmp_path / "llava" / "tokenizer.json").unlink()
    with pytest.raises(ModalensError, match=r"processor of .* cannot be read"):
        load_vlm(f"hidden:{tmp_path / 'llava'}", device="cpu")
