"""The non-negative contrastive projector (NCL): features that are sparse because they may not be negative."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from modalens.arrays import Matrix, iter_blocks, matrix_shape
from modalens.errors import ModalensError
from modalens.features.distributed import gather
from modalens.features.evaluation import Representation
from modalens.features.learners import LearnerLoss
from modalens.store.atomic import whole_file, write_json
from modalens.towers.cards import tensors_sha256
from modalens.version import __version__

_WEIGHTS_NAME = "ncl.safetensors"
_CONFIG_NAME = "config.json"
_KIND = "modalens non-negative contrastive projector"
_SCHEMA_VERSION = 1
_BLOCK_ROWS = 2048


@dataclass(frozen=True)
class NCLConfig:
    """Shape and loss of the projector.

    Attributes
    ----------
    d
        Width of the embeddings.
    n_features
        Width of the output.
    temperature
        What similarities are divided by in the loss. The papers do not give theirs.
    normalize
        Whether outputs are scaled to unit length for the loss, as in Wang et al. 2024; the features
        themselves are never scaled.
    seed
        Seed of the initial values.
    """

    d: int
    n_features: int = 1024
    temperature: float = 0.07
    normalize: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("d", "n_features"):
            if getattr(self, name) < 1:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if not self.temperature > 0:
            raise ModalensError(f"temperature is {self.temperature}; it must be over 0.")


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


class NCLLearner(nn.Module):
    """Trains the projector: InfoNCE between the projections of a pair, other pairs as negatives."""

    def __init__(self, config: NCLConfig) -> None:
        super().__init__()
        self.config = config
        self.projector = _Projector(config)

    def initialise(self, image: Tensor, text: Tensor) -> None:
        """Nothing about the start depends on the data."""

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

    def before_step(self) -> None:
        """Gradients are taken as they are."""

    def after_step(self) -> None:
        """Weights are taken as they are."""

    @torch.no_grad()
    def represent(self, x: Float[Tensor, "n d"], modality: str) -> Representation:
        """Projection (n, f), and how often each feature fired."""
        del modality
        projected = self.projector(x)
        return Representation(projected, (projected > 0).sum(dim=0), False)

    def export(self) -> "NCL":
        """The trained projector."""
        return NCL(self.config, {name: value.clone() for name, value in self.projector.state_dict().items()})


class NCL:
    """A trained non-negative contrastive projector: one for both modalities."""

    def __init__(self, config: NCLConfig, tensors: dict[str, Tensor]) -> None:
        self.config = config
        self._projector = _Projector(config).eval().requires_grad_(False)
        try:
            self._projector.load_state_dict({name: value.float().cpu() for name, value in tensors.items()})
        except RuntimeError as error:
            raise ModalensError(f"The weights do not fit the configuration {config}.") from error

    @classmethod
    def fit(cls, data: Any, *, n_features: int = 1024, seed: int = 0, **options: Any) -> "NCL":
        """Train on a store, or on two paired matrices (image, text), each (n, d).

        Parameters
        ----------
        data
            An :class:`modalens.EmbeddingStore` or a pair of matrices.
        n_features, seed
            Width of the output, and the seed of initial values and of the order of pairs.
        options
            Other fields of :class:`NCLConfig`; ``train``, ``held_out`` and ``out`` as
            :func:`modalens.features.train` takes them.

        Raises
        ------
        ModalensError
            If an option is out of range, or training cannot go on.
        """
        from modalens.features.settings import TrainConfig
        from modalens.features.trainer import pair_width, train

        training = options.pop("train", None) or TrainConfig(seed=seed)
        where = {name: options.pop(name, None) for name in ("held_out", "out")}
        try:
            config = NCLConfig(pair_width(data), n_features, seed=seed, **options)
        except TypeError as error:
            raise ModalensError(f"The projector does not take these options: {error}.") from error
        (trained,) = train([config], data, training, **where)
        return cast(NCL, trained.model)

    def __repr__(self) -> str:
        return f"NCL(d={self.config.d}, n_features={self.config.n_features})"

    def encode_blocks(self, x: Matrix, modality: str | None = None) -> Iterator[sp.csr_array]:
        """Features of a matrix (n, d), block by block, each a CSR matrix (rows, f), not negative.

        Raises
        ------
        ModalensError
            If the width does not fit or a value is NaN or infinite.
        """
        name = modality or "embedding"
        _, d = matrix_shape(x, f"The {name} matrix")
        if d != self.config.d:
            raise ModalensError(
                f"The {name} matrix has {d} features, the projector was trained on {self.config.d}."
            )
        with torch.inference_mode():
            for _, block in iter_blocks(x, _BLOCK_ROWS, name):
                dense = block.toarray() if sp.issparse(block) else block
                yield sp.csr_array(self._projector(torch.from_numpy(dense.astype(np.float32))).numpy())

    def encode(self, x: Matrix, modality: str | None = None) -> sp.csr_array:
        """Features of a matrix (n, d): CSR of shape (n, f). See :meth:`encode_blocks`."""
        return sp.vstack(list(self.encode_blocks(x, modality)), format="csr")

    def card(self) -> dict[str, Any]:
        """What a manifest records: class, configuration, checksum of the weights."""
        return {
            "class": "NCL",
            **asdict(self.config),
            "weights_sha256": tensors_sha256(self._projector.state_dict()),
        }

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors) and configuration (JSON); :meth:`load` gives the same bits."""
        folder = Path(folder)
        with whole_file(folder / _WEIGHTS_NAME) as partial:
            save_file(dict(self._projector.state_dict()), partial)
        stamp = {"kind": _KIND, "schema": _SCHEMA_VERSION, "modalens": __version__}
        write_json(folder / _CONFIG_NAME, {**stamp, "config": asdict(self.config)})

    @classmethod
    def load(cls, folder: str | Path) -> "NCL":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the files are missing, damaged or of another kind.
        """
        folder = Path(folder)
        try:
            values = json.loads((folder / _CONFIG_NAME).read_text(encoding="utf-8"))
            if values["kind"] != _KIND or values["schema"] != _SCHEMA_VERSION:
                raise ModalensError(f"{folder} does not hold a projector that this modalens reads.")
            return cls(NCLConfig(**values["config"]), load_file(folder / _WEIGHTS_NAME))
        except FileNotFoundError as error:
            raise ModalensError(f"There is no projector in {folder}.") from error
        except (KeyError, TypeError, json.JSONDecodeError, SafetensorError, OSError) as error:
            raise ModalensError(f"The projector in {folder} cannot be read ({error}).") from error
