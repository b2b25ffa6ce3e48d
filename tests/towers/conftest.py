"""Tiny models with random weights, saved as people save theirs."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

WORDS = ["a", "photo", "of", "the", "red", "green", "blue", "cat", "dog", "on", "mat", "sun", "and", "sea"]


def save_tiny_siglip(folder: Path, tokenizer: Any) -> Path:
    from transformers import (
        SiglipConfig,
        SiglipImageProcessorPil,
        SiglipModel,
        SiglipProcessor,
        SiglipTextConfig,
        SiglipVisionConfig,
    )

    body = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = SiglipTextConfig(**body, vocab_size=32, max_position_embeddings=12, pad_token_id=0)
    vision = SiglipVisionConfig(**body, image_size=32, patch_size=8)
    config = SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    images = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        SiglipModel(config).save_pretrained(folder)
    SiglipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_siglip2(tmp_path_factory: pytest.TempPathFactory, tiny_siglip: Path) -> Path:
    """A SigLIP 2 that takes images of any shape."""
    from transformers import (
        AutoTokenizer,
        Siglip2Config,
        Siglip2ImageProcessorPil,
        Siglip2Model,
        Siglip2TextConfig,
        Siglip2VisionConfig,
    )

    folder = tmp_path_factory.mktemp("siglip2")
    body = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = Siglip2TextConfig(
        **body, vocab_size=32, max_position_embeddings=12, pad_token_id=0, projection_size=32
    )
    vision = Siglip2VisionConfig(**body, num_patches=16, patch_size=8)
    config = Siglip2Config(text_config=text.to_dict(), vision_config=vision.to_dict())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Siglip2Model(config).save_pretrained(folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_siglip).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SigLIP with a tokenizer in one JSON file, as SigLIP 2 has it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids"],
    )
    return save_tiny_siglip(tmp_path_factory.mktemp("siglip"), wrapped)


@pytest.fixture(scope="session")
def tiny_siglip_sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SigLIP with a sentencepiece tokenizer, as the first SigLIP has it."""
    pytest.importorskip("google.protobuf", reason="SigLIP's own tokenizer needs protobuf")
    import sentencepiece
    from transformers import SiglipTokenizer

    folder = tmp_path_factory.mktemp("siglip-sentencepiece")
    vocabulary = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))]),
        model_writer=vocabulary,
        vocab_size=32,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(vocabulary.getvalue())
    return save_tiny_siglip(folder, SiglipTokenizer(str(folder / "spiece.model"), model_max_length=12))


@pytest.fixture
def changed_copy(tmp_path: Path) -> Callable[..., Path]:
    """Copy a model's folder and change its config.json."""

    def copy(folder: Path, **changes: object) -> Path:
        for file in folder.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        return tmp_path

    return copy
