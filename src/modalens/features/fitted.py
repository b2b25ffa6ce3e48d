"""Dictionaries by classical factorisations, with the k strongest coefficients of each sample.

They are fitted by scikit-learn on a sample of the pairs, both modalities together, and standardised as the
autoencoders that are held against them.
"""

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from modalens.arrays import Matrix
from modalens.errors import ModalensError
from modalens.features.base import MODALITIES
from modalens.features.config import SAEConfig
from modalens.features.evaluation import Representation, Sample
from modalens.features.learners import SAELearner
from modalens.features.sae import SparseAutoencoder, Standardiser
from modalens.features.standardise import measure_standardiser

# More pairs hardly move a factorisation of some thousand dimensions.
FITTED_PAIRS = 4096
_ITERATIONS = 30
_TINY = 1e-12


class _Fitted(SparseAutoencoder):
    """Features that scikit-learn fitted."""

    hub_tag = "matrix-factorization"
    factorisation = ""

    @classmethod
    def describe(cls, card: Mapping[str, Any]) -> str:
        """What a card speaks of, in words that begin a sentence."""
        how = card["standardise"]
        given = "" if how == "none" else f", input standardised ({how})"
        return f"{cls.factorisation}, the {card['k']} strongest coefficients of a sample{given}"


class PCAFeatures(_Fitted):
    """Principal components, each as two features: one for either sign."""

    factorisation = "Principal components, either sign a feature"


class ICAFeatures(_Fitted):
    """Independent components (FastICA), each as two features: one for either sign."""

    factorisation = "Independent components, either sign a feature"


class NMFFeatures(_Fitted):
    """Non-negative factors of the positive and the negative parts of centred embeddings.

    Attributes
    ----------
    parts
        The factors, (f, 2d): of the positive parts, then of the negative ones. ``W_dec`` is their difference.
    """

    factorisation = "Non-negative factors of positive and negative parts"

    def __init__(self, config: SAEConfig, tensors: dict[str, Tensor]) -> None:
        super().__init__(config, tensors)
        shape = (config.n_features, 2 * config.d)
        if "parts" not in tensors or tuple(tensors["parts"].shape) != shape:
            raise ModalensError(f"The weights hold no factors of shape {shape}.")

    @property
    def parts(self) -> Float[Tensor, "f 2d"]:
        """The factors."""
        return self._tensors["parts"]

    def encode_tensor(self, x: Float[Tensor, "n d"], modality: str | None = None) -> Float[Tensor, "n f"]:
        """Dense codes of a tensor on the features' device, with gradients."""
        return nonnegative_codes(self._centred(self._rows(x), modality), self.parts, self.config.k)

    def _sparse_codes(self, rows: Float[Tensor, "n d"], modality: str | None) -> sp.csr_array:
        return sp.csr_array(self.encode_tensor(rows, modality).cpu().numpy())


class FittedLearner(SAELearner):
    """Features that are whole once they are made for some pairs: nothing is left to train."""

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__(config, standardiser)
        self.requires_grad_(False)

    @classmethod
    def for_data(cls, config: SAEConfig, image: Matrix, text: Matrix, *others: Matrix) -> Self:
        """Fit to a random sample of the pairs."""
        learner = cls(config, measure_standardiser(image, text, config.standardise, others))
        sample = Sample.draw(image, text, FITTED_PAIRS, config.seed, others)
        x = torch.cat(learner._standardise(*sample.sides.values())).double().numpy()
        learner.b_pre.copy_(torch.from_numpy(x.mean(axis=0)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # iterations are bounded, whether or not they have converged
            learner.fit(x - x.mean(axis=0))
        return learner

    def initialise(
        self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"], *others: Float[Tensor, "n d"]
    ) -> None:
        """It starts, and stays, as it was fitted."""

    @abstractmethod
    def fit(self, x: Float[np.ndarray, "n d"]) -> None:
        """Set the weights from centred embeddings."""

    def _signed(self, encoder: Float[np.ndarray, "c d"], decoder: Float[np.ndarray, "c d"]) -> None:
        """Take components that have either sign as two features each; features beyond those never fire."""
        for weight, rows in ((self.W_enc, encoder), (self.W_dec, decoder)):
            both = np.stack([rows, -rows], axis=1).reshape(-1, rows.shape[1])[: len(weight)]
            weight.zero_()[: len(both)] = torch.from_numpy(both)

    def _components(self, x: Float[np.ndarray, "n d"]) -> int:
        return int(min(*x.shape, -(-self.config.n_features // 2)))


class PCALearner(FittedLearner):
    """Principal components."""

    def fit(self, x: Float[np.ndarray, "n d"]) -> None:
        """Set the weights from centred embeddings."""
        from sklearn.decomposition import PCA

        found = PCA(self._components(x), svd_solver="full").fit(x)
        self._signed(found.components_, found.components_)


class ICALearner(FittedLearner):
    """Independent components."""

    def fit(self, x: Float[np.ndarray, "n d"]) -> None:
        """Set the weights from centred embeddings; decoder rows have unit norm."""
        from sklearn.decomposition import FastICA

        found = FastICA(
            self._components(x),
            whiten="unit-variance",
            max_iter=_ITERATIONS,
            random_state=self.config.seed,
        ).fit(x)
        lengths = np.linalg.norm(found.mixing_, axis=0)[:, None]
        self._signed(found.components_ * lengths, found.mixing_.T / lengths)


class NMFLearner(FittedLearner):
    """Non-negative factors."""

    parts: Tensor

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__(config, standardiser)
        self.register_buffer("parts", torch.zeros(config.n_features, 2 * config.d))

    def fit(self, x: Float[np.ndarray, "n d"]) -> None:
        """Set the factors, of unit norm, from centred embeddings."""
        from sklearn.decomposition import MiniBatchNMF

        both = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=1)
        found = MiniBatchNMF(
            self.config.n_features,
            init="random",
            batch_size=1024,
            max_iter=_ITERATIONS,
            random_state=self.config.seed,
        ).fit(both)
        self.parts.copy_(functional.normalize(torch.from_numpy(found.components_), dim=1))
        difference = self.parts[:, : self.config.d] - self.parts[:, self.config.d :]
        for weight in (self.W_dec, self.W_enc):
            weight.copy_(difference)

    @torch.no_grad()
    def represent(self, x: Float[Tensor, "n d"], modality: str) -> Representation:
        """Reconstruction (n, d) as the exported features give it, and how often each feature fired."""
        row = MODALITIES.index(modality) if modality in MODALITIES else 0
        codes = nonnegative_codes(
            (x - self.mean[row]) / self.scale[row] - self.b_pre, self.parts, self.config.k
        )
        x_hat = (codes @ self.W_dec + self.b_pre) * self.scale[row] + self.mean[row]
        return Representation(x_hat, (codes > 0).sum(dim=0), True)

    def export(self) -> SparseAutoencoder:
        """The features, without training state."""
        names = ("W_enc", "W_dec", "b_enc", "b_pre", "mean", "scale", "parts")
        return NMFFeatures(self.config, {name: getattr(self, name).detach().clone() for name in names})


def nonnegative_codes(
    centred: Float[Tensor, "n d"], parts: Float[Tensor, "f 2d"], k: int
) -> Float[Tensor, "n f"]:
    """Codes of at most k factors that reconstruct the positive and negative parts, by multiplicative updates.

    All factors first, then the k strongest of each sample alone (Lee & Seung 2001; an update keeps a 0 at 0).
    """
    both = torch.cat([centred.relu(), (-centred).relu()], dim=1)
    towards, within = both @ parts.T, parts @ parts.T
    codes = towards
    for _ in range(_ITERATIONS):
        codes = codes * towards / (codes @ within + _TINY)
    strongest = torch.topk(codes, k, dim=1).indices
    codes = codes * torch.zeros_like(codes).scatter(1, strongest, 1.0)
    for _ in range(_ITERATIONS):
        codes = codes * towards / (codes @ within + _TINY)
    return codes
