"""What a learner has reached: reconstruction, active features and retrieval on a fixed sample."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from modalens.arrays import Matrix, paired_shape, read_rows
from modalens.retrieval import measure_retrieval


class Represents(Protocol):
    """A learner as evaluation sees it."""

    def represent(self, x: Tensor, modality: str) -> tuple[Tensor, Tensor, bool]:
        """Output of width d or f, which features are active (f,), and whether the output reconstructs x."""
        ...


@dataclass(frozen=True)
class Sample:
    """Pairs set aside for evaluation, float32 tensors of shape (n, d)."""

    image: Tensor
    text: Tensor

    @classmethod
    def draw(cls, image: Matrix, text: Matrix, pairs: int, seed: int) -> "Sample":
        """Draw at most ``pairs`` pairs by seed."""
        n, _ = paired_shape(image, text)
        rows = np.arange(n)
        if n > pairs:
            rows = np.sort(np.random.default_rng((seed, 2)).choice(n, pairs, replace=False))
        sides = []
        for matrix, name in ((image, "image"), (text, "text")):
            block = read_rows(matrix[rows], 0, len(rows), name)
            dense = block.toarray() if hasattr(block, "toarray") else block
            sides.append(torch.from_numpy(dense.astype(np.float32)))
        return cls(*sides)


def evaluate(learner: Represents, sample: Sample) -> dict[str, Any]:
    """Fraction of variance unexplained, active features and retrieval of a learner on a sample.

    Returns
    -------
    dict
        ``fvu_image``, ``fvu_text`` (0 is perfect, 1 no better than the mean; only for what reconstructs),
        ``active_image``, ``active_text`` and ``dead`` (features), ``retrieval`` as
        :meth:`modalens.Retrieval.to_dict` gives it.
    """
    found: dict[str, Any] = {}
    outputs, active = {}, {}
    for modality, x in (("image", sample.image), ("text", sample.text)):
        output, fired, reconstructs = learner.represent(x, modality)
        outputs[modality], active[modality] = output, fired
        if reconstructs:
            spread = (x - x.mean(dim=0)).double().square().sum()
            found[f"fvu_{modality}"] = float((x - output).double().square().sum() / spread.clamp_min(1e-30))
        found[f"active_{modality}"] = int(fired.sum())
    found["dead"] = int((~(active["image"] | active["text"])).sum())
    found["retrieval"] = measure_retrieval(outputs["image"], outputs["text"]).to_dict()
    return found


def settled(counts: list[tuple[int, int]], patience: int, tolerance: float) -> bool:
    """Whether the active features of images and of texts have stopped changing (the papers' stop rule).

    Parameters
    ----------
    counts
        (active for images, active for texts) at each interval so far.
    patience
        Intervals over which neither may move.
    tolerance
        Share of the larger count that does not count as moving.
    """
    if len(counts) <= patience:
        return False
    recent = np.array(counts[-patience - 1 :], dtype=np.float64)
    return bool(
        ((recent.max(axis=0) - recent.min(axis=0)) <= tolerance * np.maximum(recent.max(axis=0), 1)).all()
    )
