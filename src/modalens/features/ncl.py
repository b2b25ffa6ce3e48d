"""The non-negative contrastive projector (NCL): features that are sparse because they may not be negative."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from modalens.errors import ModalensError
from modalens.features.base import Learner, LearnerLoss
from modalens.features.config import NCLConfig
from modalens.features.distributed import gather
from modalens.features.evaluation import Representation
from modalens.features.trainable import Trainable


class _Projector(nn.Module):
    """g = Linear(d, d), LayerNorm, ReLU, Linear(d, f), ReLU; the last ReLU makes it non-negative."""

    def __init__(self, config: NCLConfig) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.layers = nn.Sequential(
                nn.Linear(config.d, config.d),
                nn.LayerNorm(config.d),
                nn.ReLU(),
                nn.Linear(config.d, config.n_features),
                nn.ReLU(),
            )

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        """Project."""
        projected: Tensor = self.layers(x)
        return projected


class NCLLearner(Learner):
    """Trains the projector: InfoNCE between the projections of a pair, other pairs as negatives."""

    config: NCLConfig

    def __init__(self, config: NCLConfig) -> None:
        super().__init__()
        self.config = config
        self.projector = _Projector(config)

    def loss(self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"]) -> LearnerLoss:
        """Mean of the cross-entropies image to text and text to image over the batch of all processes."""
        sides = [gather(self.projector(x).float()) for x in (image, text)]
        if self.config.normalize:
            sides = [functional.normalize(side, dim=1) for side in sides]
        with torch.autocast(image.device.type, enabled=False):  # three digits are too few for similarities
            logits = sides[0] @ sides[1].T / self.config.temperature
        target = torch.arange(len(logits), device=image.device)
        loss = (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
        return LearnerLoss(loss, {"contrastive": loss.detach()})

    @torch.no_grad()
    def represent(self, x: Float[Tensor, "n d"], modality: str) -> Representation:
        """Projection (n, f), and how often each feature fired."""
        del modality
        projected = self.projector(x)
        return Representation(projected, (projected > 0).sum(dim=0), False)

    def export(self) -> "NCL":
        """The trained projector."""
        return NCL(self.config, {name: value.clone() for name, value in self.projector.state_dict().items()})


class NCL(Trainable):
    """A trained non-negative contrastive projector: one for both modalities."""

    document = "modalens non-negative contrastive projector"
    weights_name = "ncl.safetensors"
    hub_tag = "non-negative-contrastive-learning"
    config: NCLConfig

    def __init__(self, config: NCLConfig, tensors: dict[str, Tensor]) -> None:
        self.config = config
        self._projector = _Projector(config).eval().requires_grad_(False)
        try:
            self._projector.load_state_dict({name: value.float().cpu() for name, value in tensors.items()})
        except RuntimeError as error:
            raise ModalensError(f"The weights do not fit the configuration {config}.") from error

    @classmethod
    def describe(cls, card: Mapping[str, Any]) -> str:
        """What a card speaks of, in words that begin a sentence."""
        return f"Non-negative contrastive projector, temperature {card['temperature']}"

    def state(self) -> dict[str, Tensor]:
        """The weights, by name."""
        return dict(self._projector.state_dict())

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device; gives the projector itself."""
        self._projector.to(device)
        return self

    def encode_tensor(self, x: Float[Tensor, "n d"], modality: str | None = None) -> Float[Tensor, "n f"]:
        """Dense features of a tensor on the projector's device, with gradients.

        Raises
        ------
        ModalensError
            If the width does not fit.
        """
        del modality
        projected: Tensor = self._projector(self._rows(x))
        return projected
