"""DeCLIP's files, written here in their published format, against a plain implementation of both towers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from modalens.errors import ModalensError
from modalens.towers import load_vlm
from modalens.towers.differentiable import differentiable_images
from tests.openclip import open_clip_or_skip

open_clip = open_clip_or_skip()
pytestmark = pytest.mark.usefixtures("no_network")

State = dict[str, torch.Tensor]
TEXTS = ["a photo of the cat", "dog", "Red sun & blue sea", "", "the red cat and the blue dog " * 30]
BLOCKS = (3, 4, 6, 3)
RESNET_WIDTH = 8


class Weights:
    """Random tensors by name."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.state: State = {}

    def normal(self, name: str, *shape: int, std: float = 0.1) -> None:
        self.state[name] = torch.randn(*shape, generator=self.generator) * std

    def linear(self, name: str, out: int, into: int) -> None:
        self.normal(f"{name}.weight", out, into, std=into**-0.5)
        self.normal(f"{name}.bias", out)

    def norm(self, name: str, width: int) -> None:
        self.normal(f"{name}.weight", width)
        self.state[f"{name}.weight"] += 1
        self.normal(f"{name}.bias", width)

    def batch_norm(self, name: str, width: int) -> None:
        self.norm(name, width)
        self.normal(f"{name}.running_mean", width)
        self.state[f"{name}.running_var"] = torch.rand(width, generator=self.generator) + 0.5
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def convolution(self, name: str, out: int, into: int, side: int) -> None:
        self.normal(f"{name}.weight", out, into, side, side, std=(into * side * side) ** -0.5)

    def transformer(self, prefix: str, width: int, layers: int) -> None:
        for layer in range(layers):
            block = f"{prefix}.resblocks.{layer}"
            self.normal(f"{block}.attn.in_proj_weight", 3 * width, width)
            self.normal(f"{block}.attn.in_proj_bias", 3 * width)
            self.linear(f"{block}.attn.out_proj", width, width)
            self.norm(f"{block}.ln_1", width)
            self.norm(f"{block}.ln_2", width)
            self.linear(f"{block}.mlp.c_fc", 4 * width, width)
            self.linear(f"{block}.mlp.c_proj", width, 4 * width)


def vit_weights(width: int, embed: int) -> State:
    """ViT-B/32: patches of 32, images of 224, so 50 positions."""
    weights = Weights()
    weights.normal("visual.class_embedding", width)
    weights.normal("visual.positional_embedding", 50, width)
    weights.normal("visual.proj", width, embed)
    weights.convolution("visual.conv1", width, 3, 32)
    weights.norm("visual.ln_pre", width)
    weights.transformer("visual.transformer", width, 2)
    weights.norm("visual.ln_post", width)
    return weights.state


def resnet_weights(embed: int) -> State:
    """RN50: CLIP's ResNet with an attention pool over 49 places and their mean, narrower."""
    weights, width = Weights(), RESNET_WIDTH
    stem = [(width // 2, 3), (width // 2, width // 2), (width, width // 2)]
    for number, (out, into) in enumerate(stem, start=1):
        weights.convolution(f"visual.conv{number}", out, into, 3)
        weights.batch_norm(f"visual.bn{number}", out)
    into = width
    for stage, blocks in enumerate(BLOCKS):
        planes = width * 2**stage
        for block in range(blocks):
            name = f"visual.layer{stage + 1}.{block}"
            for number, (out, source, side) in enumerate(
                [(planes, into, 1), (planes, planes, 3), (4 * planes, planes, 1)], start=1
            ):
                weights.convolution(f"{name}.conv{number}", out, source, side)
                weights.batch_norm(f"{name}.bn{number}", out)
            if block == 0:
                weights.convolution(f"{name}.downsample.0", 4 * planes, into, 1)
                weights.batch_norm(f"{name}.downsample.1", 4 * planes)
            into = 4 * planes
    weights.normal("visual.attnpool.positional_embedding", 50, into)
    for part in ("q_proj", "k_proj", "v_proj"):
        weights.linear(f"visual.attnpool.{part}", into, into)
    weights.linear("visual.attnpool.c_proj", embed, into)
    weights.linear("visual.fc", 1000, into)
    return weights.state


def text_weights(embed: int, width: int = 128) -> State:
    weights = Weights()
    weights.normal("positional_embedding", 77, width)
    weights.normal("token_embedding.weight", 49409, width)
    weights.transformer("transformer", width, 2)
    weights.norm("ln_final", width)
    weights.linear("text_projection", embed, width)
    return weights.state


def write(
    path: Path,
    visual: State,
    text: State,
    prefix: str = "encode_text.",
    change: Callable[[State], None] = lambda _: None,
) -> Path:
    """A file as the training code saved it."""
    losses = Weights()
    losses.linear("projector.linear1", 8, 8)
    losses.batch_norm("predictor.bn1", 8)
    losses.linear("text_label_predictor.decoder", 8, 8)
    losses.linear("image_mapping", 8, 8)
    losses.linear("text_mapping", 8, 8)
    state = {
        "logit_scale": torch.tensor([4.6]),
        "logit_scale_dense": torch.tensor([4.6]),
        **visual,
        **losses.state,
        **{prefix + key: value for key, value in text.items()},
    }
    state = {f"module.{key}": value for key, value in state.items()}
    change(state)
    torch.save({"model": state, "optimizer": {"state": {}, "param_groups": []}, "last_iter": 128000}, path)
    return path


def layer_norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-5)


def linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False) -> torch.Tensor:
    """Heads of 64, one after the other; all of shape (places, width)."""
    heads = []
    for start in range(0, q.shape[1], 64):
        part = slice(start, start + 64)
        scores = q[:, part] @ k[:, part].T / 8
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
        heads.append(scores.softmax(dim=1) @ v[:, part])
    return torch.cat(heads, dim=1)


def transformer(state: State, prefix: str, x: torch.Tensor, causal: bool) -> torch.Tensor:
    for layer in range(2):
        block = f"{prefix}.resblocks.{layer}"
        inner = layer_norm(state, f"{block}.ln_1", x)
        packed = inner @ state[f"{block}.attn.in_proj_weight"].T + state[f"{block}.attn.in_proj_bias"]
        x = x + linear(state, f"{block}.attn.out_proj", attend(*packed.chunk(3, dim=1), causal=causal))
        inner = linear(state, f"{block}.mlp.c_fc", layer_norm(state, f"{block}.ln_2", x))
        x = x + linear(state, f"{block}.mlp.c_proj", inner * torch.sigmoid(1.702 * inner))
    return x


def plain_pixels(image: Image.Image) -> torch.Tensor:
    """Shorter side to 256, the middle 224, ImageNet's mean and deviation."""
    width, height = image.size
    short = min(width, height)
    image = image.resize((int(256 * width / short), int(256 * height / short)), Image.Resampling.BILINEAR)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    values = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype=np.float32) / 255
    values = (values - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(values).permute(2, 0, 1)


def plain_vit(state: State, pixels: torch.Tensor) -> torch.Tensor:
    patches = F.conv2d(pixels[None], state["visual.conv1.weight"], stride=32)[0].flatten(1).T
    x = torch.cat([state["visual.class_embedding"][None], patches]) + state["visual.positional_embedding"]
    x = transformer(state, "visual.transformer", layer_norm(state, "visual.ln_pre", x), causal=False)
    return layer_norm(state, "visual.ln_post", x[0]) @ state["visual.proj"]


def plain_resnet(state: State, pixels: torch.Tensor) -> torch.Tensor:
    def convolve(name: str, norm: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        kernel = state[f"visual.{name}.weight"]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        mean, var = (state[f"visual.{norm}.running_{part}"][:, None, None] for part in ("mean", "var"))
        weight, bias = (state[f"visual.{norm}.{part}"][:, None, None] for part in ("weight", "bias"))
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    x = pixels[None]
    for number in (1, 2, 3):
        x = convolve(f"conv{number}", f"bn{number}", x, stride=2 if number == 1 else 1).relu()
    x = F.avg_pool2d(x, 2)
    for stage, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            name, stride = f"layer{stage + 1}.{block}", 2 if stage and not block else 1
            inner = convolve(f"{name}.conv1", f"{name}.bn1", x).relu()
            inner = F.avg_pool2d(convolve(f"{name}.conv2", f"{name}.bn2", inner).relu(), stride)
            inner = convolve(f"{name}.conv3", f"{name}.bn3", inner)
            if not block:
                x = convolve(f"{name}.downsample.0", f"{name}.downsample.1", F.avg_pool2d(x, stride))
            x = (x + inner).relu()
    places = x[0].flatten(1).T
    pool = "visual.attnpool"
    places = torch.cat([places.mean(dim=0, keepdim=True), places]) + state[f"{pool}.positional_embedding"]
    q, k, v = (linear(state, f"{pool}.{part}_proj", places) for part in "qkv")
    return linear(state, f"{pool}.c_proj", attend(q[:1], k, v))[0]


def plain_text(state: State, text: str) -> torch.Tensor:
    """With the file's own vocabulary: its token 49,406 is the mask, and start and end come after it."""
    tokens = open_clip.SimpleTokenizer()([text])[0]
    end = int(tokens.argmax())
    tokens = tokens + (tokens >= 49406)
    assert (tokens[0], tokens[end]) == (49407, 49408)
    x = state["token_embedding.weight"][tokens] + state["positional_embedding"]
    x = layer_norm(state, "ln_final", transformer(state, "transformer", x, causal=True))
    return linear(state, "text_projection", x[end])


@pytest.fixture(params=[("vit", 3072), ("vit", 96), ("resnet", 1024)], ids=["ViT-3072", "ViT-96", "RN50"])
def towers(request: pytest.FixtureRequest) -> tuple[State, State, Any]:
    kind, embed = request.param
    visual = vit_weights(128, embed) if kind == "vit" else resnet_weights(embed)
    return visual, text_weights(embed), plain_vit if kind == "vit" else plain_resnet


def test_embeddings_are_those_of_a_plain_implementation(
    tmp_path: Path, towers: tuple[State, State, Any], photos: list[Image.Image]
) -> None:
    visual, text, plain = towers
    vlm = load_vlm(f"declip:{write(tmp_path / 'declip.pth.tar', visual, text)}", device="cpu")
    with torch.no_grad():
        images = torch.stack([plain(visual, plain_pixels(photo)) for photo in photos]).numpy()
        texts = torch.stack([plain_text(text, each) for each in TEXTS]).numpy()
    found_images, found_texts = vlm.embed_images(photos), vlm.embed_texts(TEXTS)
    assert vlm.dim == found_images.shape[1] == found_texts.shape[1] == images.shape[1]
    assert images.std(axis=0).max() > 0.05
    assert texts.std(axis=0).max() > 0.05
    np.testing.assert_allclose(found_images, images, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(found_texts, texts, rtol=1e-3, atol=2e-4)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("declip") / "declip.pth.tar", vit_weights(128, 96), text_weights(96))


def test_card(file: Path) -> None:
    vlm = load_vlm(f"declip:{file}", device="cpu")
    card = vlm.card()
    assert card == json.loads(json.dumps(card))
    assert card["model"] == vlm.name == f"declip:{file}"
    assert card["dim"] == 96
    assert card["quick_gelu"] is True
    assert card["normalised"] is False
    assert list(card["weights_sha256"]) == [file.name]
    assert card["architecture"]["text_cfg"]["vocab_size"] == 49408
    image = card["preprocessing"]["image"]
    assert (image["resize"], image["crop"], image["mean"]) == (256, 224, [0.485, 0.456, 0.406])


def test_gradients_reach_the_pixels(file: Path, photos: list[Image.Image]) -> None:
    vlm = load_vlm(f"declip:{file}", device="cpu")
    tower = differentiable_images(vlm)
    assert tower.side == 224
    for photo in photos:
        pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float().div(255).requires_grad_()
        embedded = tower.embed(pixels)
        np.testing.assert_allclose(embedded.detach().numpy(), vlm.embed_images([photo]), rtol=1e-3, atol=1e-3)
        (gradient,) = torch.autograd.grad(embedded.square().sum(), pixels)
        assert (gradient != 0).any()


def test_slip_and_half_precision(tmp_path: Path, file: Path, photos: list[Image.Image]) -> None:
    def halve(state: State) -> None:
        for key, value in state.items():
            state[key] = value.half() if value.is_floating_point() else value

    slip = write(tmp_path / "slip.pth.tar", vit_weights(128, 96), text_weights(96), "text_encoder.", halve)
    whole, half = (load_vlm(f"declip:{path}", device="cpu") for path in (file, slip))
    np.testing.assert_allclose(half.embed_images(photos), whole.embed_images(photos), atol=0.05)
    np.testing.assert_allclose(half.embed_texts(TEXTS), whole.embed_texts(TEXTS), atol=0.05)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_the_clip_of_the_release_is_read_as_declip_is(
    tmp_path: Path, kind: str, photos: list[Image.Image]
) -> None:
    """Its file has both towers and one temperature, and nothing of other losses."""

    def plain_clip(state: State) -> None:
        kept = ("module.visual.", "module.encode_text.", "module.logit_scale")
        for key in [key for key in state if not key.startswith(kept) or key.endswith("scale_dense")]:
            del state[key]

    visual, text = vit_weights(128, 96) if kind == "vit" else resnet_weights(96), text_weights(96)
    both = write(tmp_path / "declip", visual, text), write(tmp_path / "clip", visual, text, change=plain_clip)
    declip, clip = (load_vlm(f"declip:{path}", device="cpu") for path in both)
    np.testing.assert_array_equal(clip.embed_images(photos), declip.embed_images(photos))
    np.testing.assert_array_equal(clip.embed_texts(TEXTS), declip.embed_texts(TEXTS))
    assert clip.card()["architecture"] == declip.card()["architecture"]


def test_an_untrained_twin(file: Path, photos: list[Image.Image]) -> None:
    twins = [load_vlm(f"untrained:declip:{file}", device="cpu") for _ in range(2)]
    first, second = (twin.embed_images(photos) for twin in twins)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, load_vlm(f"declip:{file}", device="cpu").embed_images(photos))
    assert twins[0].card()["weights"] == "random, seed 0"


@pytest.mark.parametrize("prefix", ["module.visual.", "module."])
def test_a_file_with_the_image_tower_only(tmp_path: Path, prefix: str) -> None:
    state = {prefix + key.removeprefix("visual."): value for key, value in vit_weights(128, 96).items()}
    torch.save({"model": state}, tmp_path / "visual.pth.tar")
    with pytest.raises(ModalensError, match=r"holds the image tower only, .*that has the text tower"):
        load_vlm(f"declip:{tmp_path / 'visual.pth.tar'}", device="cpu")


def drop(state: State) -> None:
    del state["module.encode_text.ln_final.bias"]


def add(state: State) -> None:
    state["module.encode_text.adapter.weight"] = torch.zeros(2, 3)


def reshape(state: State) -> None:
    state["module.visual.ln_post.weight"] = torch.zeros(7)


def shorten(state: State) -> None:
    name = "module.encode_text.token_embedding.weight"
    state[name] = state[name][:49408]


def blind(state: State) -> None:
    for key in [key for key in state if ".visual." in key]:
        del state[key]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop, r"in 1 tensors, ln_final\.bias first \(shape none, not 128\)"),
        (add, r"in 1 tensors, adapter\.weight first \(shape 2x3, not none\)"),
        (reshape, r"in 1 tensors, visual\.ln_post\.weight first \(shape 7, not 128\)"),
        (shorten, "a vocabulary of 49408 tokens, where DeCLIP's checkpoints have 49409"),
        (blind, "it holds no image tower"),
    ],
)
def test_keys_and_shapes_must_match_exactly(
    tmp_path: Path, change: Callable[[State], None], sentence: str
) -> None:
    path = write(tmp_path / "bad.pth.tar", vit_weights(128, 96), text_weights(96), change=change)
    with pytest.raises(ModalensError, match=sentence):
        load_vlm(f"declip:{path}", device="cpu")


@pytest.mark.parametrize("content", [{"state_dict": {}}, {"model": {"epoch": 3}}, [1, 2]])
def test_files_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(
        ModalensError, match="no DeCLIP checkpoint: it holds no weights under the name 'model'"
    ):
        load_vlm(f"declip:{tmp_path / 'other.pth'}")


def test_damaged_and_missing_files(tmp_path: Path, file: Path) -> None:
    (tmp_path / "half.pth").write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModalensError, match=r"checkpoint of .* cannot be read"):
        load_vlm(f"declip:{tmp_path / 'half.pth'}")
    with pytest.raises(ModalensError, match=r"There is no DeCLIP checkpoint .nowhere\.pth."):
        load_vlm("declip:nowhere.pth")
    with pytest.raises(ModalensError, match="has none; leave it out"):
        load_vlm(f"declip:{file}", revision="main")


def test_pickled_code_is_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (marker,))

    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ModalensError, match=r"checkpoint of .* cannot be read"):
        load_vlm(f"declip:{tmp_path / 'evil.pth'}")
    assert not marker.exists()
