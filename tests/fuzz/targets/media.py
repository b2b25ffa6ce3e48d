"""Pictures, sounds and folders of models."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from modalens.pairs.audio import SoundFile
from modalens.pairs.images import FileImage
from tests.fuzz.target import Target

_PICTURES = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "tif": "TIFF", "bmp": "BMP", "ppm": "PPM",
             "tga": "TGA", "jp2": "JPEG2000", "avif": "AVIF"}  # fmt: skip
_NEEDS = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}


def _picture(kind: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {}
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        (folder / "a").write_bytes(buffer.getvalue())

    return make


def _grey(folder: Path) -> None:
    Image.fromarray(np.arange(120, dtype=np.uint16).reshape(10, 12) * 500).save(folder / "a", "PNG")


def _read_picture(folder: Path) -> Any:
    image = FileImage(folder / "a", "a").load()
    assert image.mode == "RGB"
    assert min(image.size) > 0
    return image.tobytes()


def _wav(folder: Path) -> None:
    data = (np.sin(np.arange(100)) * 9000).astype("<i2").tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 2, 8000, 32000, 4, 16
    )
    (folder / "a.wav").write_bytes(head + struct.pack("<4sI", b"data", len(data)) + data)


def _read_sound(folder: Path) -> Any:
    sound = SoundFile(folder / "a.wav", "a").load()
    assert len(sound.samples)
    assert np.isfinite(sound.samples).all()
    return sound.samples.tobytes()


def _model(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPConfig,
        CLIPImageProcessorPil,
        CLIPModel,
        CLIPTextConfig,
        CLIPVisionConfig,
        PreTrainedTokenizerFast,
    )

    words = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", "a", "cat"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    body = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = CLIPTextConfig(**body, vocab_size=5, max_position_embeddings=8, eos_token_id=1)
    vision = CLIPVisionConfig(**body, image_size=8, patch_size=4)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=8
    ).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}).save_pretrained(
        folder
    )


def _read_model(folder: Path) -> Any:
    from modalens.towers import load_vlm

    vlm = load_vlm(str(folder), device="cpu")
    assert vlm.dim > 0
    return vlm.embed_texts(["a cat"]).shape, vlm.embed_images([Image.new("RGB", (9, 9))]).shape


TARGETS: dict[str, Target] = {
    **{
        f"picture {suffix}": Target(_picture(kind), _read_picture)
        for suffix, kind in _PICTURES.items()
        if kind not in _NEEDS or features.check(_NEEDS[kind])
    },
    "picture of 16 bits": Target(_grey, _read_picture),
    "sound": Target(_wav, _read_sound),
    "model": Target(_model, _read_model),
}
