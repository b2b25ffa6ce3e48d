"""Sparse autoencoders as they are used: encode, decode, save, load. No training state."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from modalens.arrays import Matrix, iter_blocks, matrix_shape
from modalens.errors import ModalensError
from modalens.features.config import SAEConfig
from modalens.features.step import Selection, encode, over_threshold, top_k_per_sample
from modalens.store.atomic import whole_file, write_json
from modalens.towers.cards import tensors_sha256
from modalens.version import __version__

WEIGHTS_NAME = "sae.safetensors"
CONFIG_NAME = "config.json"
_KIND = "modalens sparse autoencoder"
_SCHEMA_VERSION = 1
_BLOCK_ROWS = 2048
MODALITIES = ("image", "text")


@dataclass(frozen=True)
class Standardiser:
    """Mean and scale of each modality's embeddings, (2, d) each, images first; zeros and ones for none."""

    mean: Float[Tensor, "2 d"]
    scale: Float[Tensor, "2 d"]


class SparseAutoencoder:
    """A trained sparse autoencoder: one set of weights for both modalities.

    z = select(relu(W_enc (x - b_pre) + b_enc)), x_hat = W_dec^T z + b_pre, with x standardised first if the
    configuration says so (Beyond Cross-Modal Alignment, section 2; Gao et al. 2024).

    Attributes
    ----------
    W_enc, W_dec
        (f, d) each, float32; decoder rows have unit norm.
    b_enc, b_pre
        (f,) and (d,).
    config
        Shape and loss it was trained with.
    """

    kind: ClassVar[str]
    _kinds: ClassVar[dict[str, type["SparseAutoencoder"]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        SparseAutoencoder._kinds[cls.kind] = cls

    def __init__(self, config: SAEConfig, tensors: dict[str, Tensor]) -> None:
        d, f = config.d, config.n_features
        shapes = {
            "W_enc": (f, d),
            "W_dec": (f, d),
            "b_enc": (f,),
            "b_pre": (d,),
            "mean": (2, d),
            "scale": (2, d),
        }
        for name, shape in shapes.items():
            found = tuple(tensors[name].shape) if name in tensors else "nothing"
            if found != shape:
                raise ModalensError(
                    f"The weights hold {found} as {name}, the configuration asks for {shape}."
                )
        self.config = config
        self._tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}

    @classmethod
    def fit(cls, data: Any, *, n_features: int = 1024, k: int = 32, seed: int = 0, **options: Any) -> Self:
        """Train on a store, or on two paired matrices (image, text), each (n, d).

        Parameters
        ----------
        data
            An :class:`modalens.EmbeddingStore` or a pair of matrices.
        n_features, k, seed
            Features, active features a code, and the seed of initial values and of the order of pairs.
        options
            Other fields of :class:`SAEConfig`; ``train`` (a :class:`TrainConfig`), ``held_out`` and ``out`` as
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
            config = SAEConfig(pair_width(data), n_features, k, cls.kind, seed=seed, **options)
        except TypeError as error:
            raise ModalensError(f"The autoencoder does not take these options: {error}.") from error
        (trained,) = train([config], data, training, **where)
        return cast(Self, trained.model)

    def __repr__(self) -> str:
        c = self.config
        return f"{type(self).__name__}(d={c.d}, n_features={c.n_features}, k={c.k})"

    @property
    def W_enc(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Encoder rows."""
        return self._tensors["W_enc"]

    @property
    def W_dec(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Decoder rows: the direction of each feature."""
        return self._tensors["W_dec"]

    @property
    def b_enc(self) -> Float[Tensor, " f"]:
        """Encoder bias."""
        return self._tensors["b_enc"]

    @property
    def b_pre(self) -> Float[Tensor, " d"]:
        """What is taken from the input and given back to the output."""
        return self._tensors["b_pre"]

    @property
    def _select(self) -> Selection:
        return top_k_per_sample(self.config.k)

    def encode_blocks(self, x: Matrix, modality: str | None = None) -> Iterator[sp.csr_array]:
        """Codes of a matrix (n, d), block by block, each a CSR matrix (rows, f) in float32.

        Parameters
        ----------
        x
            Embeddings.
        modality
            ``image`` or ``text``; needed where each modality is standardised on its own.

        Raises
        ------
        ModalensError
            If the width does not fit, a value is NaN or infinite, or the modality is missing.
        """
        name = modality or "embedding"
        _, d = matrix_shape(x, f"The {name} matrix")
        if d != self.config.d:
            raise ModalensError(
                f"The {name} matrix has {d} features, the autoencoder was trained on {self.config.d}."
            )
        mean, scale = self._standardiser(modality)
        with torch.inference_mode():
            for _, block in iter_blocks(x, _BLOCK_ROWS, name):
                dense = block.toarray() if sp.issparse(block) else block
                rows = (torch.from_numpy(dense).float() - mean) / scale - self.b_pre
                codes, _ = encode(rows, self.W_enc, self.b_enc, self._select)
                parts = (codes.values.numpy(), codes.features.numpy(), codes.offsets.numpy())
                sparse = sp.csr_array(parts, shape=(len(rows), self.config.n_features))
                sparse.eliminate_zeros()  # fewer than k may be positive
                sparse.sort_indices()
                yield sparse

    def encode(self, x: Matrix, modality: str | None = None) -> sp.csr_array:
        """Codes of a matrix (n, d): CSR of shape (n, f), not negative. See :meth:`encode_blocks`."""
        return sp.vstack(list(self.encode_blocks(x, modality)), format="csr")

    def decode(self, codes: Matrix, modality: str | None = None) -> Float[np.ndarray, "n d"]:
        """Reconstruct embeddings (n, d) from codes (n, f).

        Raises
        ------
        ModalensError
            If the width does not fit or the modality is missing.
        """
        _, f = matrix_shape(codes, "The code matrix")
        if f != self.config.n_features:
            raise ModalensError(f"The codes have {f} features, the autoencoder {self.config.n_features}.")
        mean, scale = (part.numpy() for part in self._standardiser(modality))
        decoder = self.W_dec.numpy()
        parts = [block.astype(np.float32) @ decoder for _, block in iter_blocks(codes, _BLOCK_ROWS, "code")]
        decoded: np.ndarray = (np.concatenate(parts) + self.b_pre.numpy()) * scale + mean
        return decoded

    def card(self) -> dict[str, Any]:
        """What a manifest records: class, configuration, checksum of the weights."""
        return {
            "class": type(self).__name__,
            **asdict(self.config),
            "weights_sha256": tensors_sha256(self._tensors),
        }

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors) and configuration (JSON); :meth:`load` gives the same bits."""
        folder = Path(folder)
        with whole_file(folder / WEIGHTS_NAME) as partial:
            save_file(self._tensors, partial)
        stamp = {"kind": _KIND, "schema": _SCHEMA_VERSION, "modalens": __version__}
        write_json(folder / CONFIG_NAME, {**stamp, "config": asdict(self.config)})

    @classmethod
    def load(cls, folder: str | Path) -> "SparseAutoencoder":
        """Read what :meth:`save` wrote; the class is that of the saved kind.

        Raises
        ------
        ModalensError
            If the files are missing, damaged, of another kind or of another class than this one.
        """
        folder = Path(folder)
        try:
            values = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
            if values["kind"] != _KIND or values["schema"] != _SCHEMA_VERSION:
                raise ModalensError(f"{folder} does not hold a sparse autoencoder that this modalens reads.")
            config = SAEConfig(**values["config"])
            tensors = load_file(folder / WEIGHTS_NAME)
        except FileNotFoundError as error:
            raise ModalensError(f"There is no sparse autoencoder in {folder}.") from error
        except (KeyError, TypeError, json.JSONDecodeError, SafetensorError, OSError) as error:
            raise ModalensError(f"The sparse autoencoder in {folder} cannot be read ({error}).") from error
        kind = cls._kinds[config.kind]
        if not issubclass(kind, cls):
            raise ModalensError(f"{folder} holds a {kind.__name__}, not a {cls.__name__}.")
        return kind(config, tensors)

    def _standardiser(self, modality: str | None) -> tuple[Tensor, Tensor]:
        if modality is None:
            if self.config.standardise == "per_modality":
                raise ModalensError(
                    "This autoencoder standardises each modality on its own: say which one this is."
                )
            modality = MODALITIES[0]
        if modality not in MODALITIES:
            raise ModalensError(f"There is no modality {modality!r}; there are {' and '.join(MODALITIES)}.")
        row = MODALITIES.index(modality)
        return self._tensors["mean"][row], self._tensors["scale"][row]


class TopKSAE(SparseAutoencoder):
    """The k strongest features of each sample (Gao et al. 2024; the papers' autoencoder)."""

    kind = "topk"


class MatryoshkaSAE(SparseAutoencoder):
    """A TopK autoencoder whose leading features reconstruct on their own (Bussmann et al. 2025)."""

    kind = "matryoshka"


class AlignedSAE(SparseAutoencoder):
    """A TopK autoencoder trained to keep the codes of a pair alike (Dhimoila et al. 2026)."""

    kind = "aligned"


class BatchTopKSAE(SparseAutoencoder):
    """k features a sample on average; in use, those over a threshold learned in training (Bussmann et al. 2024)."""

    kind = "batch_topk"

    @property
    def _select(self) -> Selection:
        return over_threshold(float(self._tensors["threshold"]))
