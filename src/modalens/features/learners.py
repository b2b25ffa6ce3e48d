"""Sparse autoencoders as they are trained: parameters, losses and what is counted on the way."""

from itertools import combinations
from typing import ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from modalens.arrays import Matrix
from modalens.features.base import MODALITIES, Learner, LearnerLoss
from modalens.features.config import SAEConfig
from modalens.features.distributed import maximum_, minimum_, world_size
from modalens.features.evaluation import Representation
from modalens.features.registry import kind_named
from modalens.features.sae import SparseAutoencoder, Standardiser
from modalens.features.standardise import measure_standardiser
from modalens.features.step import (
    Codes,
    Selection,
    decode,
    encode,
    over_threshold,
    top_k_of_batch,
    top_k_per_sample,
)

_THRESHOLD_MEMORY = 0.99


class SAELearner(Learner):
    """Trains any kind of sparse autoencoder on paired batches, or on aligned ones of more modalities.

    Loss: squared reconstruction error of the image side plus that of the text side (and of others), mean over pairs,
    plus the auxiliary loss of Gao et al. 2024 on dead features (method: one autoencoder for both modalities).
    The whole state, what is counted included, is in ``state_dict``.
    """

    takes_several = True
    own_bias: ClassVar[bool] = False
    """Whether images and texts have a pre-bias each, ``b_pre`` being (2, d)."""
    config: SAEConfig
    mean: Tensor
    scale: Tensor
    threshold: Tensor
    pairs_since_fired: Tensor

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__()
        self.config = config
        d, f = config.d, config.n_features
        generator = torch.Generator().manual_seed(config.seed)
        directions = functional.normalize(torch.randn(f, d, generator=generator), dim=1)
        self.W_dec = nn.Parameter(directions)
        self.W_enc = nn.Parameter(directions.clone())
        self.b_enc = nn.Parameter(torch.zeros(f))
        self.b_pre = nn.Parameter(torch.zeros((2, d) if self.own_bias else d))
        standardiser = standardiser or Standardiser(torch.zeros(2, d), torch.ones(2, d))
        self.register_buffer("mean", standardiser.mean.float().clone())
        self.register_buffer("scale", standardiser.scale.float().clone())
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("pairs_since_fired", torch.zeros(2, f, dtype=torch.int64))

    @classmethod
    def for_data(cls, config: SAEConfig, image: Matrix, text: Matrix, *others: Matrix) -> Self:
        """The learner of a configuration, standardising as the pairs ask for."""
        return cls(config, measure_standardiser(image, text, config.standardise, others))

    def initialise(
        self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"], *others: Float[Tensor, "n d"]
    ) -> None:
        """Start the pre-bias at the mean of a sample, of all modalities or each at that of its own."""
        sides = self._standardise(image, text, *others)
        with torch.no_grad():
            means = torch.stack([side.mean(dim=0) for side in sides])  # sides are of one size
            self.b_pre.copy_(means if self.own_bias else means.mean(dim=0))

    def loss(
        self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"], *others: Float[Tensor, "n d"]
    ) -> LearnerLoss:
        """Loss of one batch; also counts which features fired."""
        return self.loss_of(image, text, *others)

    def loss_of(self, *sides: Float[Tensor, "n d"]) -> LearnerLoss:
        """Loss of one batch of any number of modalities; also counts which features fired."""
        x = torch.cat(self._standardise(*sides))
        n = len(sides[0])
        bias = self.b_pre.repeat_interleave(n, dim=0) if self.own_bias else self.b_pre
        dead = (self.pairs_since_fired >= self.config.dead_after).all(dim=0)
        codes, auxiliary = encode(
            x - bias, self.W_enc, self.b_enc, self._training_selection(), dead, self.config.aux_features
        )
        x_hat = x
        reconstruction = x.new_zeros(())
        for length in self.config.prefixes:
            leading = codes if length == self.config.n_features else _leading(codes, length)
            x_hat = decode(leading, self.W_dec) + bias
            reconstruction = reconstruction + (x - x_hat).square().sum() / n
        reconstruction = reconstruction / len(self.config.prefixes)
        parts = {"reconstruction": reconstruction}
        if auxiliary is not None:
            residual = (x - x_hat).detach()
            missed = (residual - decode(auxiliary, self.W_dec)).square().sum() / n
            parts["auxiliary"] = self.config.aux_coefficient * missed
        parts |= self._penalties(codes, n)
        total = torch.stack(list(parts.values())).sum()
        self._count(codes, n)
        return LearnerLoss(total, {name: part.detach() for name, part in parts.items()})

    @torch.no_grad()
    def before_step(self) -> None:
        """Take from the decoder's gradient what would only lengthen its rows."""
        if self.W_dec.grad is not None:
            along = torch.linalg.vecdot(self.W_dec.grad, self.W_dec).unsqueeze(1)
            self.W_dec.grad.addcmul_(along, self.W_dec, value=-1)

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring decoder rows back to unit norm."""
        self.W_dec.div_(torch.linalg.vector_norm(self.W_dec, dim=1, keepdim=True).clamp_min_(1e-12))

    @torch.no_grad()
    def represent(self, x: Float[Tensor, "n d"], modality: str) -> Representation:
        """Reconstruction (n, d) as the exported autoencoder gives it, and how often each feature fired."""
        row = (
            MODALITIES.index(modality) if modality in MODALITIES else 0
        )  # others have no standard of their own
        standard = (x - self.mean[row]) / self.scale[row]
        bias = self.b_pre[row] if self.own_bias else self.b_pre
        codes, _ = encode(standard - bias, self.W_enc, self.b_enc, self._selection())
        fired = torch.bincount(codes.features[codes.values > 0], minlength=self.config.n_features)
        x_hat = (decode(codes, self.W_dec) + bias) * self.scale[row] + self.mean[row]
        return Representation(x_hat, fired, True)

    def export(self) -> SparseAutoencoder:
        """The trained autoencoder, without training state."""
        tensors = {
            name: getattr(self, name) for name in ("W_enc", "W_dec", "b_enc", "b_pre", "mean", "scale")
        }
        if self.config.kind == "batch_topk":
            tensors["threshold"] = self.threshold
        if self.own_bias:  # what the biases differ by from their mean is in the means of the modalities
            tensors["b_pre"] = self.b_pre.mean(dim=0)
            tensors["mean"] = self.mean + self.scale * (self.b_pre - tensors["b_pre"])
        tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        exported: SparseAutoencoder = kind_named(self.config.kind).model_class(self.config, tensors)
        return exported

    def _standardise(self, *sides: Tensor) -> tuple[Tensor, ...]:
        if self.config.standardise == "none":
            return sides
        rows = [min(number, 1) for number in range(len(sides))]  # of more than two all rows are alike
        return tuple((side - self.mean[row]) / self.scale[row] for side, row in zip(sides, rows, strict=True))

    def _penalties(self, codes: Codes, n: int) -> dict[str, Tensor]:
        """What is added to the loss for codes that pairs do not share."""
        if self.config.kind != "aligned":
            return {}
        return {"alignment": self.config.align_lambda * (1 - self._alignment(codes, n))}

    def _training_selection(self) -> Selection:
        return (
            top_k_of_batch(self.config.k)
            if self.config.kind == "batch_topk"
            else top_k_per_sample(self.config.k)
        )

    def _selection(self) -> Selection:
        if self.config.kind == "batch_topk":
            return over_threshold(float(self.threshold))
        return top_k_per_sample(self.config.k)

    def _alignment(self, codes: Codes, n: int) -> Tensor:
        """Mean cosine of the codes of each two sides of a sample, the strongest feature of each left out.

        The strongest feature carries the modality itself (method: Dhimoila et al. 2026).
        """
        k = self.config.k
        values, features = codes.values.reshape(-1, n, k), codes.features.reshape(-1, n, k)
        strongest = values.argmax(dim=2, keepdim=True)
        values = values.scatter(2, strongest, 0.0)
        norms = values.square().sum(dim=2).clamp_min(1e-12).sqrt()
        cosines = []
        for first, second in combinations(range(len(values)), 2):
            same = features[first].unsqueeze(2) == features[second].unsqueeze(1)
            dot = (values[first].unsqueeze(2) * values[second].unsqueeze(1) * same).sum(dim=(1, 2))
            cosines.append((dot / (norms[first] * norms[second])).mean())
        return torch.stack(cosines).mean()

    @torch.no_grad()
    def _count(self, codes: Codes, n: int) -> None:
        active = codes.values > 0
        entries = torch.arange(len(codes.values), device=active.device)
        modality = (entries >= codes.offsets[n]).long()
        fired = torch.zeros(self.pairs_since_fired.numel(), device=active.device)
        fired.index_add_(0, modality * self.config.n_features + codes.features, active.float())
        maximum_(fired)
        self.pairs_since_fired += n * world_size()
        self.pairs_since_fired.masked_fill_(fired.view_as(self.pairs_since_fired) > 0, 0)
        if self.config.kind == "batch_topk":
            lowest = minimum_(codes.values.masked_fill(~active, torch.inf).min())
            lowest = torch.where(lowest.isfinite(), lowest, self.threshold)
            known = self.threshold > 0
            self.threshold.copy_(
                torch.where(known, self.threshold.lerp(lowest, 1 - _THRESHOLD_MEMORY), lowest)
            )


def _leading(codes: Codes, length: int) -> Codes:
    """The codes without the features after the first ``length``."""
    return Codes(codes.values * (codes.features < length), codes.features, codes.offsets)
