"""What every feature learner has, and what every trained set of features does."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from modalens.arrays import Matrix, iter_blocks, matrix_shape, single_rows
from modalens.errors import ModalensError
from modalens.features.config import CONFIG_NAME, FeatureConfig
from modalens.features.evaluation import Representation
from modalens.store.atomic import whole_file, write_json
from modalens.towers.cards import tensors_sha256
from modalens.version import __version__

SCHEMA_VERSION = 1
MODALITIES = ("image", "text")
_BLOCK_ROWS = 2048


class LearnerLoss(NamedTuple):
    """Loss of one batch: ``total`` to go backward from, and its parts, detached, for the log."""

    total: Tensor
    parts: dict[str, Tensor]


class Learner(nn.Module, ABC):
    """Features as they are trained. The whole state, what is counted included, is in ``state_dict``.

    The initial values must follow from the configuration alone, so that a run can be resumed.
    """

    config: FeatureConfig
    takes_several: ClassVar[bool] = False
    """Whether ``for_data``, ``initialise`` and ``loss`` take further modalities after image and text."""

    @classmethod
    def for_data(cls, config: Any, image: Matrix, text: Matrix) -> Self:
        """The learner of a configuration, for pairs of which it may first measure something."""
        del image, text
        return cls(config)

    def initialise(self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"]) -> None:
        """Start from a sample of the pairs; by default nothing about the start depends on them."""

    @abstractmethod
    def loss(self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"]) -> LearnerLoss:
        """Loss of one paired batch."""

    def before_step(self) -> None:
        """Change gradients before the optimiser sees them."""

    def after_step(self) -> None:
        """Change weights after the optimiser did."""

    def finish(self, image: Matrix, text: Matrix, *others: Matrix) -> None:
        """Do what takes the trained features and all pairs; called once, before ``export``."""

    @abstractmethod
    def represent(self, x: Float[Tensor, "n d"], modality: str) -> Representation:
        """What the trained features would make of samples, for evaluations on the way."""

    @abstractmethod
    def export(self) -> "FeatureModel":
        """The trained features, without training state."""


class FeatureModel(ABC):
    """Trained features: embeddings (n, d) in, non-negative codes (n, f) out.

    Attributes
    ----------
    config
        What they were trained with.
    """

    document: ClassVar[str]
    """Kind of the document ``config.json``."""
    weights_name: ClassVar[str]
    """File name of the weights."""
    hub_tag: ClassVar[str] = "sparse-features"
    """What the method is called on the hub."""
    weights: ClassVar[str] = "One set of weights encodes"
    """How a sentence begins that says what they do to the embeddings of both modalities."""
    has_decoder: ClassVar[bool] = False
    """Whether there is a way back from codes to embeddings (``decode``, ``W_dec``)."""
    config: FeatureConfig

    @abstractmethod
    def __init__(self, config: Any, tensors: dict[str, Tensor]) -> None: ...

    def __repr__(self) -> str:
        return f"{type(self).__name__}(d={self.config.d}, n_features={self.config.n_features})"

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """The weights, by name."""

    @abstractmethod
    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device; gives the features themselves."""

    @abstractmethod
    def encode_tensor(self, x: Float[Tensor, "n d"], modality: str | None = None) -> Float[Tensor, "n f"]:
        """Dense codes of a tensor on the features' device, with gradients for what went into it.

        Raises
        ------
        ModalensError
            If the width does not fit, or the modality is missing where it is needed.
        """

    @classmethod
    @abstractmethod
    def describe(cls, card: Mapping[str, Any]) -> str:
        """What a card speaks of, in words that begin a sentence."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(iter(self.state().values())).device

    def encode_blocks(self, x: Matrix, modality: str | None = None) -> Iterator[sp.csr_array]:
        """Codes of a matrix (n, d), block by block, each a CSR matrix (rows, f) in float32.

        Parameters
        ----------
        x
            Embeddings, as every kind of matrix.
        modality
            ``image`` or ``text``; needed where each modality is standardised on its own.

        Raises
        ------
        ModalensError
            If the width does not fit, a value is NaN or infinite, or the modality is missing.
        """
        name = modality or "embedding"
        self._check_width(matrix_shape(x, f"The {name} matrix")[1], f"The {name} matrix")
        for _, block in iter_blocks(x, _BLOCK_ROWS, name, single_rows):
            with torch.inference_mode():
                rows = torch.from_numpy(block)
                if self.device.type == "cuda":  # from such memory it is copied while the program goes on
                    rows = rows.pin_memory()
                rows = rows.to(self.device, non_blocking=True)
                codes = self._sparse_codes(rows, modality)
            yield codes

    def encode(self, x: Matrix, modality: str | None = None) -> sp.csr_array:
        """Codes of a matrix (n, d): CSR of shape (n, f), not negative. See :meth:`encode_blocks`."""
        blocks = list(self.encode_blocks(x, modality))
        return blocks[0] if len(blocks) == 1 else sp.vstack(blocks, format="csr")

    def decode(self, codes: Matrix, modality: str | None = None) -> Float[np.ndarray, "n d"]:
        """Reconstruct embeddings (n, d) from codes (n, f).

        Raises
        ------
        ModalensError
            If there is no decoder, the width does not fit or the modality is missing.
        """
        del codes, modality
        raise self._no_way_back()

    @property
    def W_dec(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Decoder rows: the direction of each feature."""
        raise self._no_way_back()

    def directions(self, modality: str | None = None) -> Float[Tensor, "f d"]:
        """Decoder rows by which features are written into a modality's embeddings."""
        del modality
        return self.W_dec

    def standardiser(self, modality: str | None = None) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
        """Mean and scale that embeddings of a modality are standardised by; zeros and ones for none."""
        del modality
        return torch.zeros(self.config.d, device=self.device), torch.ones(self.config.d, device=self.device)

    def card(self) -> dict[str, Any]:
        """What a manifest records: class, configuration, checksum of the weights."""
        return {
            "class": type(self).__name__,
            **asdict(self.config),
            "weights_sha256": tensors_sha256(self.state()),
        }

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors) and configuration (JSON); loaded again, they give the same bits."""
        folder = Path(folder)
        with whole_file(folder / self.weights_name) as partial:
            save_file({name: value.cpu() for name, value in self.state().items()}, partial)
        write_json(folder / CONFIG_NAME, self.config_document())

    def config_document(self) -> dict[str, Any]:
        """What ``config.json`` says: kind, schema, configuration and the checksum of the weights."""
        stamp = {"kind": self.document, "schema": SCHEMA_VERSION, "modalens": __version__}
        return {**stamp, "config": asdict(self.config), "weights_sha256": tensors_sha256(self.state())}

    def _sparse_codes(self, rows: Float[Tensor, "n d"], modality: str | None) -> sp.csr_array:
        """Codes of a block of rows on the device, which may be overwritten."""
        return sp.csr_array(self.encode_tensor(rows, modality).cpu().numpy())

    def _check_width(self, width: int, what: str) -> None:
        if width != self.config.d:
            raise ModalensError(
                f"{what} has {width} features; this {type(self).__name__} was trained on {self.config.d}."
            )

    def _rows(self, x: Tensor) -> Float[Tensor, "n d"]:
        """A tensor of embeddings as the weights take it."""
        if x.ndim != 2:
            raise ModalensError(f"The embeddings must be of shape (n, d), not {tuple(x.shape)}.")
        self._check_width(x.shape[1], "The tensor")
        return x.to(self.device, torch.float32)

    def _no_way_back(self) -> ModalensError:
        return ModalensError(
            f"{type(self).__name__} features have no way back to embeddings; take a sparse autoencoder."
        )
