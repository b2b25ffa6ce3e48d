"""The embedded generator's network: a sketch of the picture from its embedding, and a U-Net that draws it.

A U-Net that has to learn from modulation alone where everything lies needs days on two cores. Here a
perceptron, 100 times cheaper a step, learns the picture's coarse mean first, and the U-Net sees that sketch
beside the noisy picture, as in cascades of diffusion models (Ho et al. 2022).
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from modalens.errors import InputError

# Noise is as large as a picture's values, which lie in [-1, 1].
_TIME_SCALE = 1000.0


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network.

    Parameters
    ----------
    dim
        Features of the embedding.
    side
        Side of the pictures in pixels.
    patch
        Side of the square of pixels that makes one position of the U-Net, so that a large picture costs
        no more than a small one.
    channels
        Channels of the U-Net at its full, half, quarter ... resolution.
    time_dim
        Width of the vector that modulates the U-Net.
    groups
        Groups of the U-Net's group norms; must divide ``channels``.
    sketch_side
        Side of the sketch in pixels: ``side / patch``, times a whole number up to ``patch``.
    sketch_hidden, sketch_rank
        Width of the sketch's two hidden layers, and of the narrow layer before its pixels.
    """

    dim: int = 256
    side: int = 64
    patch: int = 4
    channels: tuple[int, ...] = (64, 64, 96)
    time_dim: int = 256
    groups: int = 16
    sketch_side: int = 32
    sketch_hidden: int = 1280
    sketch_rank: int = 384

    def __post_init__(self) -> None:
        if self.side % self.patch or self.sketch_side % self.grid or self.sketch_side > self.side:
            raise InputError(
                f"A picture of {self.side} pixels, patches of {self.patch} and a sketch of {self.sketch_side} "
                "do not fit: each must divide the one before into whole squares."
            )

    @property
    def grid(self) -> int:
        """Positions of the U-Net along one side."""
        return self.side // self.patch

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NetworkConfig":
        """Inverse of :meth:`to_dict`."""
        return cls(**{**values, "channels": tuple(values["channels"])})


class Network(nn.Module):
    """Predicts the clean picture from a noisy one, its time and the embedding.

    Raises
    ------
    ModalensError
        If diffusers is not installed.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        sketch_channels = 3 * (config.sketch_side // config.grid) ** 2
        self.sketch = nn.Sequential(
            nn.Linear(config.dim, config.sketch_hidden),
            nn.SiLU(),
            nn.LayerNorm(config.sketch_hidden),
            nn.Linear(config.sketch_hidden, config.sketch_hidden),
            nn.SiLU(),
            nn.Linear(config.sketch_hidden, config.sketch_rank),
            nn.Linear(config.sketch_rank, 3 * config.sketch_side**2),
        )
        levels = len(config.channels)
        self.unet = _unet_class()(
            sample_size=config.grid,
            in_channels=3 * config.patch**2 + sketch_channels,
            out_channels=3 * config.patch**2,
            down_block_types=("DownBlock2D",) * levels,
            mid_block_type="UNetMidBlock2D",
            up_block_types=("UpBlock2D",) * levels,
            block_out_channels=config.channels,
            layers_per_block=1,
            norm_num_groups=config.groups,
            # No block attends; diffusers wants a width all the same.
            cross_attention_dim=1,
            class_embed_type="projection",
            projection_class_embeddings_input_dim=config.dim,
            time_embedding_dim=config.time_dim,
            resnet_time_scale_shift="scale_shift",
        ).to(memory_format=torch.channels_last)

    def draw_sketch(self, embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n 3 s s"]:
        """Coarse picture of unit embeddings, values about [-1, 1]."""
        flat: Tensor = self.sketch(self._scaled(embedding))
        return flat.reshape(-1, 3, self.config.sketch_side, self.config.sketch_side)

    def forward(
        self,
        noisy: Float[Tensor, "n 3 p p"],
        time: Float[Tensor, " n"],
        embedding: Float[Tensor, "n d"],
        sketch: Float[Tensor, "n 3 s s"],
    ) -> Float[Tensor, "n 3 p p"]:
        """Clean pictures, from ``time * clean + (1 - time) * noise``."""
        seen = torch.cat(
            [
                functional.pixel_unshuffle(noisy, self.config.patch),
                functional.pixel_unshuffle(sketch, self.config.sketch_side // self.config.grid),
            ],
            dim=1,
        ).contiguous(memory_format=torch.channels_last)
        drawn: Tensor = self.unet(
            seen,
            time * _TIME_SCALE,
            encoder_hidden_states=seen.new_zeros(len(seen), 1, 1),
            class_labels=self._scaled(embedding),
        ).sample
        picture: Tensor = functional.pixel_shuffle(drawn, self.config.patch)
        return picture

    def _scaled(self, embedding: Tensor) -> Tensor:
        # The values of a unit vector are about d ** -0.5; layers start out best on values about 1.
        scaled: Tensor = embedding * self.config.dim**0.5
        return scaled


def _unet_class() -> Any:
    try:
        from diffusers import UNet2DConditionModel
    except ImportError as error:
        raise InputError(
            "The embedded generator needs the package diffusers; install it with "
            "pip install 'modalens[demo]'."
        ) from error
    return UNet2DConditionModel
