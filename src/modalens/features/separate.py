"""An autoencoder for each modality, trained apart; features that answer to the same pairs share an index afterwards.

After Lee et al. 2026 (arXiv 2606.29888): features of the two are matched by their correlation over pairs (Hungarian
algorithm). There every image feature gets a partner; here those that correlate do, and the others stay by themselves.
"""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional

from modalens.arrays import Matrix
from modalens.features.base import MODALITIES, Learner, LearnerLoss
from modalens.features.config import SAEConfig
from modalens.features.evaluation import Representation, Sample
from modalens.features.learners import SAELearner
from modalens.features.sae import SparseAutoencoder, Standardiser, TopKSAE
from modalens.features.standardise import measure_standardiser

# Pairs that features are matched on; more hardly move a correlation.
MATCHED_PAIRS = 20_000
# Features that fire together on fewer pairs are not matched: they may do so by chance.
LEAST_TOGETHER = 5
# Up to here the best assignment is found; beyond, features that are each other's strongest.
_ASSIGNED = 2048


class SeparateSAE(SparseAutoencoder):
    """A TopK autoencoder for each modality, of half the features each, whose matched features share an index.

    Matched features come first, then the other ones of images, then those of texts; as many indices as there are
    matched features stay empty and never fire. A feature of one modality alone never fires on the other.

    Attributes
    ----------
    W_enc, W_dec
        (f, d) each: the direction between those of the two modalities where both have the feature, else that of the
        one, else 0; of unit norm. What codes are made and read with is :meth:`side`.
    """

    own_mean = True
    weights = "An autoencoder for each modality encodes"

    def __init__(self, config: SAEConfig, tensors: dict[str, Tensor]) -> None:
        super().__init__(config, tensors)
        self._sides = {modality: self._side(row) for row, modality in enumerate(MODALITIES)}

    @classmethod
    def _shapes(cls, config: SAEConfig) -> dict[str, tuple[int, ...]]:
        shapes = super()._shapes(config)
        return shapes | {name: (2, *shapes[name]) for name in ("W_enc", "W_dec", "b_enc", "b_pre")}

    def _side(self, row: int) -> TopKSAE:
        own = {name: self._tensors[name][row] for name in ("W_enc", "W_dec", "b_enc", "b_pre")}
        # An edit may write a feature that this modality has not: along the direction that it has in the other.
        absent = ~own["W_dec"].any(dim=1, keepdim=True)
        own["W_dec"] = torch.where(absent, self._tensors["W_dec"][1 - row], own["W_dec"])
        for name in ("mean", "scale"):
            own[name] = self._tensors[name][row].expand(2, -1)
        return TopKSAE(replace(self.config, kind="topk", standardise="shared"), own)

    def side(self, modality: str | None) -> TopKSAE:
        """The autoencoder of one modality, with the common indices.

        Raises
        ------
        ModalensError
            If the modality is missing or none of the two.
        """
        self.standardiser(modality)
        assert modality is not None
        return self._sides[modality]

    @property
    def W_enc(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Directions that features are read along, between the modalities."""
        return functional.normalize(self._tensors["W_enc"].sum(dim=0), dim=1)

    @property
    def W_dec(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Directions that features are written along, between the modalities."""
        return functional.normalize(self._tensors["W_dec"].sum(dim=0), dim=1)

    def directions(self, modality: str | None = None) -> Float[Tensor, "f d"]:
        """Decoder rows of a modality; for features that it has not, those of the other; between the two for None."""
        return self.W_dec if modality is None else self.side(modality).W_dec

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device; gives the autoencoder itself."""
        for side in self._sides.values():
            side.to(device)
        return super().to(device)

    def encode_tensor(self, x: Float[Tensor, "n d"], modality: str | None = None) -> Float[Tensor, "n f"]:
        """Dense codes of a tensor of one modality, with gradients through the active features.

        Raises
        ------
        ModalensError
            If the width does not fit, or the modality is missing.
        """
        return self.side(modality).encode_tensor(x)

    def decode(self, codes: Matrix, modality: str | None = None) -> Float[np.ndarray, "n d"]:
        """Reconstruct embeddings (n, d) of one modality from codes (n, f).

        Raises
        ------
        ModalensError
            If the width does not fit or the modality is missing.
        """
        return self.side(modality).decode(codes)

    def _sparse_codes(self, rows: Float[Tensor, "n d"], modality: str | None) -> sp.csr_array:
        return self.side(modality)._sparse_codes(rows, None)


class SeparateLearner(Learner):
    """Trains a TopK autoencoder on each side of the pairs; they have nothing in common but the bound on the gradient.

    On the way features are numbered as they are trained, those of images first; :meth:`finish` matches them.

    Attributes
    ----------
    partner
        Text feature that each image feature shares its index with, (f / 2,); -1 for none.
    """

    config: SAEConfig
    partner: Tensor

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__()
        self.config = config
        half = config.n_features // 2
        self.sides = nn.ModuleDict()
        for row, modality in enumerate(MODALITIES):
            seed = int(np.random.SeedSequence([config.seed, row]).generate_state(1)[0])
            own = None
            if standardiser is not None:
                own = Standardiser(
                    *(part[row].expand(2, -1) for part in (standardiser.mean, standardiser.scale))
                )
            self.sides[modality] = SAELearner(replace(config, kind="topk", n_features=half, seed=seed), own)
        self.register_buffer("partner", torch.full((half,), -1))

    @classmethod
    def for_data(cls, config: SAEConfig, image: Matrix, text: Matrix) -> Self:
        """The learner of a configuration, standardising as the pairs ask for."""
        return cls(config, measure_standardiser(image, text, config.standardise))

    def initialise(self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"]) -> None:
        """Start each pre-bias at the mean of a sample."""
        for modality, x in zip(MODALITIES, (image, text), strict=True):
            self._learner(modality).initialise(x, x)

    def loss(self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"]) -> LearnerLoss:
        """Sum of the losses of the two; also counts which features fired."""
        found = [self._learner(name).loss_of(x) for name, x in zip(MODALITIES, (image, text), strict=True)]
        parts = {name: value for each in found for name, value in each.parts.items()}
        for name in parts:
            parts[name] = torch.stack([each.parts[name] for each in found if name in each.parts]).sum()
        return LearnerLoss(found[0].total + found[1].total, parts)

    def before_step(self) -> None:
        """Change gradients before the optimiser sees them."""
        for modality in MODALITIES:
            self._learner(modality).before_step()

    def after_step(self) -> None:
        """Change weights after the optimiser did."""
        for modality in MODALITIES:
            self._learner(modality).after_step()

    def finish(self, image: Matrix, text: Matrix, *others: Matrix) -> None:
        """Match the features of the two on a sample of the pairs."""
        del others
        sample = Sample.draw(image, text, MATCHED_PAIRS, self.config.seed)
        codes = [
            self._learner(name).export().encode(x.numpy())
            for name, x in zip(MODALITIES, (sample.image, sample.text), strict=True)
        ]
        partner = match_codes(codes[0], codes[1], self.config.match_correlation)
        self.partner.copy_(torch.from_numpy(partner))

    @torch.no_grad()
    def represent(self, x: Float[Tensor, "n d"], modality: str) -> Representation:
        """Reconstruction (n, d) of one modality, and how often each feature fired, those of images first."""
        found = self._learner(modality).represent(x, modality)
        half, f = len(self.partner), self.config.n_features
        before = MODALITIES.index(modality) * half
        return found._replace(fired=functional.pad(found.fired, (before, f - half - before)))

    def export(self) -> SeparateSAE:
        """Both autoencoders, matched features under one index."""
        sides = [self._learner(modality).export().state() for modality in MODALITIES]
        f = self.config.n_features
        tensors: dict[str, Any] = {
            name: torch.stack([side[name] for side in sides]) for name in ("b_pre", "mean", "scale")
        }
        tensors |= {name: tensors[name][:, 0] for name in ("mean", "scale")}
        for name in ("W_enc", "W_dec", "b_enc"):
            shared = torch.zeros(2, f, *sides[0][name].shape[1:])
            for row, index in enumerate(common_indices(self.partner.cpu().numpy())):
                shared[row, torch.from_numpy(index)] = sides[row][name]
            tensors[name] = shared
        return SeparateSAE(self.config, tensors)

    def _learner(self, modality: str) -> SAELearner:
        found = self.sides[modality]
        assert isinstance(found, SAELearner)
        return found


def common_indices(partner: Int[np.ndarray, " g"]) -> tuple[Int[np.ndarray, " g"], Int[np.ndarray, " g"]]:
    """Index of each image feature and of each text feature: matched ones first, then those of images, then of texts."""
    g = len(partner)
    matched = np.flatnonzero(partner >= 0)
    image, text = np.empty(g, dtype=np.int64), np.full(g, -1)
    image[matched] = text[partner[matched]] = np.arange(len(matched))
    image[partner < 0] = np.arange(len(matched), g)
    text[text < 0] = g + np.arange(g - len(matched))
    return image, text


def match_codes(image: sp.csr_array, text: sp.csr_array, least: float) -> Int[np.ndarray, " g"]:
    """The text feature that stands for the same as each image feature, by correlation over paired codes (n, g).

    Up to 2,048 features a side the couples are those with the largest sum of correlations (Hungarian algorithm); with
    more, each is the other's strongest. Couples under ``least``, and those that fire together on fewer than
    :data:`LEAST_TOGETHER` pairs, are none: -1.
    """
    n = image.shape[0]
    sides = [side.astype(np.float64) for side in (image, text)]
    means = [np.asarray(side.mean(axis=0)).ravel() for side in sides]
    spreads = [
        np.sqrt(np.maximum(np.asarray(side.power(2).mean(axis=0)).ravel() - mean**2, 0))
        for side, mean in zip(sides, means, strict=True)
    ]
    covariance = (sides[0].T @ sides[1]).toarray() / n - np.outer(*means)
    together = ((image > 0).astype(np.int64).T @ (text > 0).astype(np.int64)).toarray()
    size = np.outer(*spreads)
    counts = (together >= LEAST_TOGETHER) & (size > 0)
    found = np.divide(covariance, size, out=np.zeros_like(covariance), where=counts)
    if len(found) <= _ASSIGNED:
        best = linear_sum_assignment(np.maximum(found, 0), maximize=True)[1]
    else:
        best = found.argmax(axis=1)
        best = np.where(found.argmax(axis=0)[best] == np.arange(len(found)), best, -1)
    there = (
        (best >= 0) & (found[np.arange(len(found)), best] >= least) & (found[np.arange(len(found)), best] > 0)
    )
    return np.where(there, best, -1)
