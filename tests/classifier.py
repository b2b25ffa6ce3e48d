"""A tiny image classifier, saved as people save theirs."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

CLASSES = ("adult-female", "adult-male", "young_female", "shoe")


def save_classifier(folder: Path) -> Path:
    """A ViT with random weights and a head that is often sure of what it says, and does not always say the same."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    config = ViTConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ViTForImageClassification(config)
    processor = ViTImageProcessorPil(size={"height": 32, "width": 32})
    with torch.no_grad():
        logits = model(**processor(images(60), return_tensors="pt")).logits
        model.classifier.weight *= 2 / logits.std(0).mean()
        model.classifier.bias -= model(**processor(images(60), return_tensors="pt")).logits.mean(0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def images(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(1)
    noise = [Image.fromarray(rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)) for _ in range(count // 2)]
    flat = [
        Image.new("RGB", (30, 20), tuple(rng.integers(0, 256, 3).tolist())) for _ in range(count - len(noise))
    ]
    return [*noise, *flat]
