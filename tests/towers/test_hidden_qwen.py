"""Layers of a tiny random Qwen2.5-VL, saved as people save theirs; its processor needs torchvision."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modalens.towers import load_vlm

pytest.importorskip("torchvision", exc_type=ImportError)

LAYERS, WIDTH = 2, 32
WORDS = ["<unk>", "<|endoftext|>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
WORDS += ["a", "red", "blue", "square"]
TEXTS = ["a red square", "blue"]


@pytest.fixture(scope="module")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessorPil,
        Qwen2VLVideoProcessor,
    )

    folder = tmp_path_factory.mktemp("qwen")
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=WORDS[2:6],
    )
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": WIDTH,
            "intermediate_size": 48,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": len(WORDS),
            "max_position_embeddings": 128,
            "bos_token_id": None,
            "eos_token_id": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "patch_size": 8,
            "window_size": 32,
            "fullatt_block_indexes": [1],
            "out_hidden_size": WIDTH,
        },
        image_token_id=2,
        video_token_id=3,
        vision_start_token_id=4,
        vision_end_token_id=5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    sizes = {"patch_size": 8, "merge_size": 2, "size": {"shortest_edge": 256, "longest_edge": 4096}}
    Qwen2_5_VLProcessor(
        Qwen2VLImageProcessorPil(**sizes),
        wrapped,
        Qwen2VLVideoProcessor(**sizes),
        chat_template="{{ messages }}",
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_states_are_those_of_transformers(tiny_qwen: Path, layer: int) -> None:
    import transformers

    photos = [
        Image.effect_mandelbrot(size, (-2, -1, 1, 1), 50).convert("RGB") for size in ((32, 32), (48, 32))
    ]
    vlm = load_vlm(f"hidden:{tiny_qwen}?layer={layer}", device="cpu")
    found_image, found_text = vlm.embed_images(photos), vlm.embed_texts(TEXTS)
    model = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny_qwen).eval()
    processor = transformers.AutoProcessor.from_pretrained(tiny_qwen)
    processor.image_processor = transformers.AutoImageProcessor.from_pretrained(tiny_qwen, backend="pil")
    with torch.no_grad():
        for row, photo in enumerate(photos):
            inputs = processor(images=[photo], text=["<|image_pad|>"], return_tensors="pt")
            states = model(**inputs, output_hidden_states=True).hidden_states
            assert len(states) == LAYERS + 1
            np.testing.assert_allclose(found_image[row], states[layer][0].mean(dim=0), rtol=1e-3, atol=1e-4)
        for row, text in enumerate(TEXTS):
            states = model(
                **processor.tokenizer(text, return_tensors="pt", return_token_type_ids=False),
                output_hidden_states=True,
            ).hidden_states
            np.testing.assert_allclose(found_text[row], states[layer][0].mean(dim=0), rtol=1e-3, atol=1e-4)
    assert found_image.shape == (2, WIDTH)
    assert not np.allclose(found_image[0], found_image[1])
