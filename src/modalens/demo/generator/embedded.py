"""The generator that comes with modalens: a small flow-matching U-Net that draws emoji from demo embeddings."""

import json
import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from modalens.demo.generator.network import Network, NetworkConfig
from modalens.errors import InputError
from modalens.hashing import sha256_of
from modalens.studies.text_to_image_control.generator import Generator, unit_embeddings
from modalens.towers.compute import map_batches

logger = logging.getLogger(__name__)

WEIGHTS = "generator.safetensors"
CARD = "generator.json"
SHIPPED = Path(__file__).parent / "weights"

# Euler steps from noise to picture; 20 draw nothing better.
STEPS = 8
# Paper and lines come out a little grey and grainy, and the image tower minds: of 150 emoji it found 71 % within
# 5 without this, 89 % with it. Values are stretched by so much around mid-grey, then cut off at white and black.
CONTRAST = 1.1
# What the demo's image tower looks at. Sharpened, because a picture enlarged from 64 pixels is softer than a
# drawing: of 200 emoji themselves shrunk to 64 pixels, 91 % are found within 5 when sharpened, 86 % when not.
SHOWN_SIDE = 224
_SHARPEN = ImageFilter.UnsharpMask(radius=2, percent=200, threshold=0)
# Batches are filled up to one size, so that a picture does not depend on its neighbours, to the last bit.
_BATCH = 16


class EmbeddedGenerator(Generator):
    """Draws an emoji from an embedding of the demo encoder, of an image or a text alike.

    It has learnt the training emoji by heart and draws those; from other embeddings it draws a near relative
    where it knows one, else a jumble. The demo encoder is trained anew on each machine, which moves its
    embeddings by 3e-6 (measured over instruction sets), where 99 % of the emoji are 2e-2 or more from any
    other: nothing has to be aligned.

    Parameters
    ----------
    network
        Trained network.
    card
        What is to be known about its weights.
    """

    name = "emoji"

    def __init__(self, network: Network, card: Mapping[str, Any]) -> None:
        self.dim = network.config.dim
        self._network = network.eval().requires_grad_(False)
        self._card = dict(card)

    @classmethod
    def load(cls, folder: str | Path = SHIPPED) -> "EmbeddedGenerator":
        """Load the weights that come with modalens, or those that training wrote to a folder.

        Raises
        ------
        ModalensError
            If diffusers is not installed, or the folder holds no generator or a damaged one.
        """
        weights, card = Path(folder) / WEIGHTS, Path(folder) / CARD
        try:
            description = json.loads(card.read_text(encoding="utf-8"))
            network = Network(NetworkConfig.from_dict(description["network"]))
            if (found := sha256_of(weights)) != description["weights_sha256"]:
                raise InputError(f"{weights} is damaged (SHA-256 {found}); install modalens again.")
            network.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
        except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError, RuntimeError) as error:
            raise InputError(
                f"{folder} holds no generator ({error}); train one with "
                f"python -m modalens.demo.generator.training --out {folder}."
            ) from error
        return cls(network, description)

    def save(self, folder: str | Path) -> None:
        """Write the weights in float16 and the card, from which :meth:`load` makes the generator again."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.half().contiguous() for name, value in self._network.state_dict().items()}
        save_file(state, folder / WEIGHTS)
        self._card |= {
            "network": self._network.config.to_dict(),
            "weights_sha256": sha256_of(folder / WEIGHTS),
        }
        text = json.dumps(self._card, indent=2, ensure_ascii=False)
        (folder / CARD).write_text(text + "\n", encoding="utf-8")

    def with_card(self, **added: Any) -> "EmbeddedGenerator":
        """The same generator with more said on its card."""
        return EmbeddedGenerator(self._network, {**self._card, **added})

    def generate(self, embedding: Float[np.ndarray, "n d"], seed: int = 0) -> list[Image.Image]:
        """Draw one picture of 224 pixels a row; all rows start from the same noise (see the base class)."""
        unit = torch.from_numpy(unit_embeddings(embedding, self.dim, self.name)).float()
        side = self._network.config.side
        noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(seed))

        def run(start: int) -> list[Image.Image]:
            rows = unit[start : start + _BATCH]
            filled = torch.cat([rows, rows.new_zeros(_BATCH - len(rows), self.dim)])
            drawn = _bytes(draw(self._network, filled, noise))
            return [enlarge(pixels) for pixels in drawn[: len(rows)]]

        batches = map_batches(run, range(0, len(unit), _BATCH), torch.device("cpu"))
        return [picture for batch in batches for picture in batch]

    def card(self) -> dict[str, Any]:
        """Training data and its attribution, recipe, recognition and the weights' checksum."""
        return {"generator": self.name, **self._card}


def shipped_generator(encoder: Mapping[str, Any]) -> EmbeddedGenerator | None:
    """The generator that comes with modalens, if it was trained on the embeddings of an encoder; else None.

    Parameters
    ----------
    encoder
        The encoder's card.
    """
    if not (SHIPPED / CARD).is_file() or find_spec("diffusers") is None:
        logger.info("The weights of the demo's generator or the package diffusers are missing.")
        return None
    generator = EmbeddedGenerator.load()
    cards = generator.card().get("encoder", {}), encoder
    # By recipe and not by checksum: trained on another machine, the encoder differs in its last digits.
    trained_on, own = ({key: card.get(key) for key in ("model", "recipe")} for card in cards)
    return generator if json.dumps(trained_on, sort_keys=True) == json.dumps(own, sort_keys=True) else None


@torch.inference_mode()
def draw(
    network: Network,
    embedding: Float[Tensor, "n d"],
    noise: Float[Tensor, "1 3 p p"],
    steps: int = STEPS,
) -> Float[Tensor, "n 3 p p"]:
    """Follow the learnt flow from noise to pictures, values about [-1, 1].

    Notes
    -----
    Euler's method on dx/dt = (clean(x, t) - x) / (1 - t) (Lipman et al. 2023, with the clean picture as the
    network's output); its last step lands on the predicted picture itself.
    """
    sketch = network.draw_sketch(embedding)
    current = noise.expand(len(embedding), -1, -1, -1)
    for step in range(steps):
        time = torch.full((len(embedding),), step / steps)
        clean = network(current, time, embedding, sketch)
        current = current + (clean - current) / (steps - step)
    return current


def enlarge(pixels: UInt8[np.ndarray, "p p 3"]) -> Image.Image:
    """Picture of 224 pixels, as the demo's image tower sees it, from one of the network's size."""
    small = Image.fromarray(pixels)
    return small.resize((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS).filter(_SHARPEN)


def _bytes(pixels: Float[Tensor, "n 3 p p"]) -> UInt8[np.ndarray, "n p p 3"]:
    values = (((pixels * CONTRAST).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return values.permute(0, 2, 3, 1).numpy()
