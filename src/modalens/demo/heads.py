"""The trained part of the demo encoder: two linear heads on frozen features, and how they are trained."""

import logging
import time

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from modalens.demo.twins import HeadsRecipe
from modalens.towers.compute import on_one_core

logger = logging.getLogger(__name__)

_MAX_LOGIT_SCALE = 100.0


class Heads(nn.Module):
    """One linear head a modality, and the logit scale."""

    def __init__(self, image_dim: int, text_dim: int, recipe: HeadsRecipe) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(recipe.seed)
        self.image = _linear(image_dim, recipe.dim, generator)
        self.text = _linear(text_dim, recipe.dim, generator)
        self.log_scale = nn.Parameter(
            torch.tensor(recipe.logit_scale).log(), requires_grad=recipe.learn_scale
        )

    def embed_image(self, features: Float[Tensor, "n p"]) -> Float[Tensor, "n d"]:
        """Unit vectors of frozen image features."""
        return functional.normalize(self.image(features), dim=-1)

    def embed_text(self, features: Float[Tensor, "n q"]) -> Float[Tensor, "n d"]:
        """Unit vectors of frozen text features."""
        return functional.normalize(self.text(features), dim=-1)


def train_heads(image: Float[Tensor, "n p"], text: Float[Tensor, "n q"], recipe: HeadsRecipe) -> Heads:
    """Train heads on paired frozen features with the symmetric InfoNCE loss.

    The result depends on the features, the recipe and the machine alone; the global random state is
    neither read nor moved.

    Notes
    -----
    Loss: mean of the cross-entropies image to text and text to image over the batch (CLIP: Radford et
    al. 2021).
    """
    started = time.monotonic()
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    heads = Heads(image.shape[1], text.shape[1], recipe)
    if recipe.shuffle_pairs:
        text = text[torch.randperm(len(text), generator=generator)]
    batch = min(recipe.batch, len(image))
    steps = recipe.epochs * (len(image) // batch)
    if steps:
        with on_one_core():
            _optimise(heads, image, text, recipe, batch, steps, generator)
        logger.info(
            "Trained the heads for %d steps on %d pairs in %.1f s.",
            steps,
            len(image),
            time.monotonic() - started,
        )
    return heads.eval().requires_grad_(False)


def _optimise(
    heads: Heads,
    image: Tensor,
    text: Tensor,
    recipe: HeadsRecipe,
    batch: int,
    steps: int,
    generator: torch.Generator,
) -> None:
    decayed = [*heads.image.parameters(), *heads.text.parameters()]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": [heads.log_scale], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=recipe.lr, total_steps=steps)
    targets = torch.arange(batch)
    for _ in range(recipe.epochs):
        # The last pairs of a pass, too few for a batch, are left out: every step has as many negatives.
        order = torch.randperm(len(image), generator=generator)
        for start in range(0, len(image) - batch + 1, batch):
            rows = order[start : start + batch]
            images = heads.embed_image(_dropout(image[rows], recipe.dropout, generator))
            texts = heads.embed_text(_dropout(text[rows], recipe.dropout, generator))
            logits = heads.log_scale.exp().clamp(max=_MAX_LOGIT_SCALE) * images @ texts.T
            loss = (
                functional.cross_entropy(logits, targets) + functional.cross_entropy(logits.T, targets)
            ) / 2
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()


def _dropout(features: Tensor, share: float, generator: torch.Generator) -> Tensor:
    kept = torch.rand(features.shape, generator=generator) >= share
    return features * kept / (1 - share)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Make a linear layer with PyTorch's usual initial values, drawn from a generator of our own."""
    with torch.random.fork_rng(devices=[]):  # what the layer draws by itself leaves the global state alone
        layer = nn.Linear(inputs, outputs)
    bound = inputs**-0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer
