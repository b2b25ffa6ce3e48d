"""What a learner has reached: reconstruction, active features and retrieval on a fixed sample."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modalens.arrays import Matrix, paired_shape, read_rows
from modalens.dominance.retrieval import measure_retrieval

# Under this share of its own size, what embeddings vary by is the rounding of float32.
LEAST_VARIANCE = 1e-12
_BLOCK_ROWS = 512


class Representation(NamedTuple):
    """What a learner makes of samples.

    ``output`` is of width d or f, ``fired`` says how many of the samples each feature fires on, and
    ``reconstructs`` whether the output stands for the input.
    """

    output: Float[Tensor, "n o"]
    fired: Int[Tensor, " f"]
    reconstructs: bool


class Represents(Protocol):
    """A learner as evaluation sees it."""

    def represent(self, x: Tensor, modality: str) -> Representation:
        """Represent samples of one modality."""
        ...


@dataclass(frozen=True)
class Sample:
    """Pairs set aside for evaluation, float32 tensors of shape (n, d), with those of further modalities."""

    image: Float[Tensor, "n d"]
    text: Float[Tensor, "n d"]
    others: Sequence[Float[Tensor, "n d"]] = ()

    @classmethod
    def draw(
        cls,
        image: Matrix,
        text: Matrix,
        pairs: int,
        seed: int,
        others: Sequence[Matrix] = (),
    ) -> "Sample":
        """Draw at most ``pairs`` pairs by seed."""
        return cls.take(image, text, cls.rows(paired_shape(image, text)[0], pairs, seed), others)

    @staticmethod
    def rows(n: int, pairs: int, seed: int) -> Int[np.ndarray, " k"]:
        """At most ``pairs`` of n row numbers by seed, sorted."""
        if n <= pairs:
            return np.arange(n)
        return np.sort(np.random.default_rng((seed, 2)).choice(n, pairs, replace=False))

    @classmethod
    def take(
        cls,
        image: Matrix,
        text: Matrix,
        rows: Int[np.ndarray, " k"],
        others: Sequence[Matrix] = (),
    ) -> "Sample":
        """The pairs of some rows."""
        sides = []
        for name, matrix in _named(image, text, others).items():
            block = read_rows(matrix[rows], 0, len(rows), name)
            dense = block.toarray() if hasattr(block, "toarray") else block
            sides.append(torch.from_numpy(dense.astype(np.float32)))
        return cls(sides[0], sides[1], sides[2:])

    @property
    def sides(self) -> dict[str, Tensor]:
        """The samples by modality; those after image and text by number, as ``modality_3``."""
        return _named(self.image, self.text, self.others)

    @cached_property
    def retrieval(self) -> dict[str, Any]:
        """Retrieval of the pairs as they are."""
        return measure_retrieval(self.image, self.text).to_dict()

    def sha256(self) -> str:
        """Checksum of the values."""
        digest = hashlib.sha256()
        for side in self.sides.values():
            digest.update(side.numpy().tobytes())
        return digest.hexdigest()


def _named(image: Any, text: Any, others: Sequence[Any]) -> dict[str, Any]:
    return {"image": image, "text": text} | {f"modality_{n}": other for n, other in enumerate(others, 3)}


def evaluate(learner: Represents, sample: Sample, device: torch.device | None = None) -> dict[str, Any]:
    """Fraction of variance unexplained, active features and retrieval of a learner on a sample.

    Parameters
    ----------
    learner
        What to evaluate.
    sample
        Pairs to evaluate on.
    device
        Where the learner is; the CPU by default.

    Returns
    -------
    dict
        For each modality ``fvu_image`` (0 is perfect, 1 no better than the mean, None where the samples are all
        one; only for what reconstructs), ``active_image`` and ``dead_image`` (features that fire at least once, and
        that never do), ``active_share_image`` (share of features that fire on a sample, in [0, 1], lower is
        sparser); ``dead``, features that fire for none; ``retrieval`` of the outputs and
        ``retrieval_before`` of the embeddings themselves, as :meth:`modalens.Retrieval.to_dict` gives it.
    """
    found: dict[str, Any] = {}
    outputs, fires = [], []
    for modality, x in sample.sides.items():
        parts = [
            learner.represent(block if device is None else block.to(device), modality)
            for block in torch.split(x, _BLOCK_ROWS)
        ]
        output = torch.cat([part.output.float().cpu() for part in parts])
        fired = torch.stack([part.fired.cpu() for part in parts]).sum(dim=0)
        if parts[0].reconstructs:
            spread = float((x - x.mean(dim=0)).double().square().sum())
            error = float((x - output).double().square().sum())
            varies = spread > LEAST_VARIANCE * float(x.double().square().sum())
            found[f"fvu_{modality}"] = error / spread if varies else None
        found[f"active_{modality}"] = int((fired > 0).sum())
        found[f"dead_{modality}"] = int((fired == 0).sum())
        found[f"active_share_{modality}"] = int(fired.sum()) / (len(x) * len(fired))
        outputs.append(output)
        fires.append(fired)
    found["dead"] = int((torch.stack(fires).sum(dim=0) == 0).sum())
    found["retrieval"] = measure_retrieval(*outputs[:2]).to_dict()
    found["retrieval_before"] = sample.retrieval
    return found
