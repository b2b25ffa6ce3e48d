"""Every architecture and pretrained tag of open_clip."""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from modalens.errors import InputError, MissingPackageError, ModalensError
from modalens.files import read_json
from modalens.hashing import sha256_of
from modalens.towers.abilities import Abilities
from modalens.towers.base import VLM
from modalens.towers.cards import files_sha256, versions
from modalens.towers.compute import full_precision, pick_device
from modalens.towers.openclip_pixels import OpenClipImages, PixelSteps
from modalens.towers.reading import readable
from modalens.towers.torchvision_check import check_torchvision

logger = logging.getLogger(__name__)

# What open_clip calls the parts of a model that it saves into a folder.
_FOLDER_CONFIG = "open_clip_config.json"
_FOLDER_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class OpenClipVLM(VLM):
    """A dual encoder of open_clip; embeddings are projected, not normalised.

    Parameters
    ----------
    name
        What the user called it.
    model
        As open_clip builds it.
    transform
        From an RGB image to the model's pixels.
    tokenizer
        From texts to the model's tokens.
    dim
        Features of the shared space.
    description
        What the card says besides.
    steps
        What ``transform`` does, for gradients to the pixels; None where that is not known.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        transform: Callable[[Image.Image], Tensor],
        tokenizer: Any,
        dim: int,
        description: Mapping[str, Any],
        steps: PixelSteps | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.transform = transform
        self.dim = dim
        self._tokenizer = tokenizer
        self._description = dict(description)
        self._steps = steps

    @property
    def differentiable(self) -> bool:
        """For towers of square images."""
        return self._steps is not None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = next(self.model.parameters()).device
        return found

    def differentiable_images(self) -> OpenClipImages:
        """The image tower behind its transforms, with gradients to the pixels."""
        if self._steps is None:
            raise NotImplementedError(f"{self.name} is not differentiable.")
        return OpenClipImages(self, self._steps)

    def image_features(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """The model's own embedding of transformed images, with gradients where they are asked for."""
        # Told outright, since CoCa normalises unless told not to.
        found: Tensor = self.model.encode_image(pixels, normalize=False)
        return found

    def text_features(self, tokens: Int[Tensor, "n t"]) -> Float[Tensor, "n d"]:
        """The model's own embedding of tokens."""
        found: Tensor = self.model.encode_text(tokens, normalize=False)
        return found

    def text_projection(self) -> Float[np.ndarray, "w d"] | None:
        """The linear map at the end of the text tower; None where that ends in something else."""
        found = getattr(getattr(self.model, "text", self.model), "text_projection", None)
        if isinstance(found, torch.nn.Linear):
            found = found.weight.T if found.bias is None else None
        if not isinstance(found, Tensor):
            return None
        weights: np.ndarray = found.detach().float().cpu().numpy()
        return weights

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images as one batch."""
        if not images:
            return np.empty((0, self.dim), dtype=np.float32)
        return self._numpy(self.image_features, torch.stack([self.transform(image) for image in images]))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Embed texts as one batch; what is longer than the model's context is cut."""
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        return self._numpy(self.text_features, self._tokenizer(list(texts)))

    def card(self) -> dict[str, Any]:
        """Where the weights come from, the class, the preprocessing and the versions."""
        card = {
            "model": self.name,
            **self._description,
            "class": type(self.model).__name__,
            "dim": self.dim,
            "normalised": False,
            "versions": versions("torch", "torchvision", "open_clip_torch", "pillow"),
        }
        # As it reads back from a manifest: open_clip's settings have tuples.
        as_read: dict[str, Any] = json.loads(json.dumps(card))
        return as_read

    def _numpy(self, encode: Callable[..., Tensor], inputs: Tensor) -> Float[np.ndarray, "n d"]:
        with full_precision(self.device):
            return encode(inputs.to(self.device)).float().cpu().numpy()


def load_open_clip(
    name: str, asked: str, *, revision: str | None, device: str | None, untrained: bool
) -> OpenClipVLM:
    """Load what open_clip lists.

    Parameters
    ----------
    name
        What the user called it.
    asked
        ``NAME/TAG``, an architecture and a pretrained tag of it; ``NAME/FILE`` with a checkpoint of one; or a
        folder as open_clip saves a model.
    revision
        Branch, tag or commit of the repository on the Hugging Face hub that holds the weights.
    device, untrained
        As :func:`modalens.load_vlm` reads them.

    Raises
    ------
    ModalensError
        If open_clip is missing, knows no such architecture or tag, or the weights cannot be fetched or read, or
        they were trained with another activation than the architecture has.
    """
    open_clip = import_open_clip()
    chosen = pick_device(device)
    found = _find(open_clip, asked)
    origin: dict[str, Any]
    weights: Path | None = None
    if untrained:
        origin = {"weights": "random, seed 0"}
    elif found.pretrained:
        weights = _fetch(open_clip, name, found.pretrained, revision)
        origin = _origin(weights)
    elif revision is not None:
        raise InputError(f"A revision was given for {found.files[0]}, which has none; leave it out.")
    else:
        weights = found.files[0]
        origin = {"weights_sha256": files_sha256(found.files)}
    folder = found.files[0].parent if found.in_folder else None
    with readable(name, "weights", folder), torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model(
            found.source,
            # A folder's weights are found in it.
            pretrained=None if weights is None or found.in_folder else str(weights),
            load_weights=not untrained,
            pretrained_text=False,
            force_preprocess_cfg=dict(found.pretrained),
        )
    with readable(name, "tokenizer", folder):
        tokenizer = open_clip.get_tokenizer(found.source)
    model = model.to(chosen).eval().requires_grad_(False)
    preprocessing = open_clip.get_model_preprocess_cfg(model)
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**preprocessing), is_train=False
    )
    logger.info("Loaded %s, a %s, on %s.", name, type(model).__name__, chosen)
    description = {
        **origin,
        "architecture": dict(found.config) if found.in_folder else found.source,
        "quick_gelu": bool(found.config.get("quick_gelu")),
        "preprocessing": {"image": preprocessing, "text": describe_tokenizer(tokenizer)},
    }
    steps = PixelSteps.of_open_clip(preprocessing)
    return OpenClipVLM(name, model, transform, tokenizer, int(found.config["embed_dim"]), description, steps)


def open_clip_abilities(asked: str, revision: str | None) -> Abilities:
    """What a model can do, by its description alone; raises as :func:`load_open_clip` does before it fetches."""
    del revision
    found = _find(import_open_clip(), asked)
    size = found.config["vision_cfg"].get("image_size", 224)
    return Abilities(differentiable=isinstance(size, int) or len(set(size)) == 1)


def import_open_clip() -> Any:
    """The package.

    Raises
    ------
    ModalensError
        If it is not installed, or a torchvision is that does not match torch.
    """
    check_torchvision()
    try:
        return import_module("open_clip")
    except ImportError as error:
        raise MissingPackageError.of("A model of open_clip or DeCLIP", "open_clip", "open-clip") from error


def describe_tokenizer(tokenizer: Any) -> dict[str, Any]:
    """What a card says about a tokenizer of open_clip."""
    return {"tokenizer": type(tokenizer).__name__, "tokens": int(tokenizer.context_length)}


@dataclass(frozen=True)
class _Found:
    """What a name stands for, known before weights are fetched.

    Attributes
    ----------
    source
        As open_clip's own functions take it: an architecture, or a folder.
    config
        The architecture.
    pretrained
        Entry of the tag in open_clip's list; empty for files and folders.
    files
        Weights that lie here.
    in_folder
        Whether open_clip finds them by itself.
    """

    source: str
    config: Mapping[str, Any]
    pretrained: Mapping[str, Any]
    files: Sequence[Path] = ()
    in_folder: bool = False


def _find(open_clip: Any, asked: str) -> _Found:
    folder = Path(asked).expanduser()
    if asked and (folder / _FOLDER_CONFIG).is_file():
        return _find_in_folder(folder)
    architecture, _, tag = asked.partition("/")
    config = open_clip.get_model_config(architecture)
    if config is None:
        raise InputError(
            f"open_clip has no architecture {architecture!r}; write open_clip:NAME/TAG, such as "
            "open_clip:ViT-H-14/laion2b_s32b_b79k, with a NAME of open_clip.list_models(), or open_clip:FOLDER with "
            f"a folder that holds {_FOLDER_CONFIG}."
        )
    file = Path(tag).expanduser()
    pretrained: Mapping[str, Any] = open_clip.get_pretrained_cfg(architecture, tag)
    if not pretrained and not (tag and file.is_file()):
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise InputError(
            f"open_clip has no weights {tag!r} for {architecture}; its tags are {', '.join(tags) or 'none'}, and a "
            "checkpoint's file will do too."
        )
    _check_activation(architecture, tag, config, pretrained)
    return _Found(architecture, config, pretrained, () if pretrained else (file,))


def _find_in_folder(folder: Path) -> _Found:
    path = folder / _FOLDER_CONFIG
    config = read_json(path, f"The file {path}", dict).get("model_cfg")
    if not isinstance(config, dict) or not isinstance(config.get("embed_dim"), int):
        raise InputError(f"The file {path} has no model_cfg with an embed_dim, as open_clip writes it.")
    files = [path for pattern in _FOLDER_WEIGHTS for path in sorted(folder.glob(pattern))]
    if not files:
        raise InputError(f"{folder} holds no weights; they are called {' or '.join(_FOLDER_WEIGHTS)}.")
    return _Found(f"local-dir:{folder}", config, {}, files, in_folder=True)


def _check_activation(
    architecture: str, tag: str, config: Mapping[str, Any], pretrained: Mapping[str, Any]
) -> None:
    """Weights load into either activation without complaint and embed wrongly in the other one.

    The reverse, an architecture with QuickGELU whose tag does not mention it, is listed once, for a model that
    was trained from that very architecture file.
    """
    if pretrained.get("quick_gelu") and not config.get("quick_gelu"):
        raise InputError(
            f"The weights {tag} were trained with QuickGELU, which the architecture {architecture} does not have; "
            f"name open_clip:{architecture}-quickgelu/{tag}."
        )


def _fetch(open_clip: Any, name: str, pretrained: Mapping[str, Any], revision: str | None) -> Path:
    hub = open_clip.pretrained
    try:
        if revision is None:
            return Path(hub.download_pretrained(dict(pretrained)))
        if not pretrained.get("hf_hub"):
            raise InputError(f"A revision was given for {name}, which has none; leave it out.")
        repository, file = os.path.split(pretrained["hf_hub"])
        return Path(hub.download_pretrained_from_hf(repository, filename=file or None, revision=revision))
    except ModalensError:
        raise
    except Exception as error:  # connections fail in as many ways as there are libraries below
        at = f" at revision {revision!r}" if revision else ""
        raise InputError(
            f"The weights of {name}{at} could not be fetched ({type(error).__name__}); check the network and the "
            "revision, or name a file with them: open_clip:NAME/FILE."
        ) from error


def _origin(weights: Path) -> dict[str, Any]:
    """The commit, which the hub's cache names a snapshot's folder after; else a hash of the file."""
    if weights.parent.parent.name == "snapshots":
        return {"revision": weights.parent.name}
    return {"weights_sha256": {weights.name: sha256_of(weights)}}
