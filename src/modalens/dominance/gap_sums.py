"""The sums that the model-level gap is made of: one pass over paired blocks, mergeable over parts."""

from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from modalens.arrays import Block, normalize_rows
from modalens.errors import ModalensError

# Distances between unit vectors below this are what rounding leaves of 0.
_ROUNDING = 1e-12


class GapSums:
    """Sums over unit pairs from which the distances follow; column 0 of each is the plain sum.

    Parameters
    ----------
    d
        Width of the embeddings.
    resamples, modalities
        As for :func:`modalens.dominance.modality_gap`.
    """

    def __init__(self, d: int, resamples: int, modalities: tuple[str, str] = ("image", "text")) -> None:
        self.modalities = modalities
        columns = 1 + resamples
        self._image, self._text = np.zeros((d, columns)), np.zeros((d, columns))
        self._swapped_difference = np.zeros((d, resamples))
        self._weight, self._weight_squared = np.zeros(columns), np.zeros(columns)
        self._distance, self._distance_squared = np.zeros(columns), np.zeros(columns)

    def update(
        self, start: int, image: Block, text: Block, draws: tuple[np.ndarray, np.ndarray]
    ) -> tuple[Block, Block]:
        """Add a block of pairs.

        Parameters
        ----------
        start
            Row of the first pair, counted over all blocks.
        image, text
            Float64 blocks (n, d), dense or CSR in canonical form.
        draws
            Weights and signs (n, r) of the pairs, see :func:`modalens.statistics.bootstrap.draw`.

        Returns
        -------
        image, text
            The pairs' directions, both dense or both CSR.

        Raises
        ------
        ModalensError
            If a row is all zeros.
        """
        image, text = _unit(image, start, self.modalities[0]), _unit(text, start, self.modalities[1])
        if sp.issparse(image) != sp.issparse(text):
            image, text = sp.csr_array(image), sp.csr_array(text)
        weights, signs = np.hstack([np.ones((image.shape[0], 1)), draws[0]]), draws[1]
        difference = image - text
        squares = (difference.multiply(difference) if sp.issparse(difference) else difference**2).sum(axis=1)
        self._image += image.T @ weights
        self._text += text.T @ weights
        self._swapped_difference += difference.T @ signs
        self._weight += weights.sum(axis=0)
        self._weight_squared += (weights**2).sum(axis=0)
        self._distance += np.sqrt(squares) @ weights
        self._distance_squared += squares @ weights
        return image, text

    def merge(self, other: Self) -> None:
        """Add the sums of another part of the pairs."""
        for mine, theirs in zip(self._sums(), other._sums(), strict=True):
            mine += theirs

    def _sums(self) -> tuple[np.ndarray, ...]:
        distances = (self._distance, self._distance_squared)
        return (
            self._image,
            self._text,
            self._swapped_difference,
            self._weight,
            self._weight_squared,
            *distances,
        )

    def measures(self) -> dict[str, float]:
        """L2M, L2I and RMG."""
        return {name: float(values[0]) for name, values in self._weighted().items()}

    def resampled(self) -> dict[str, Float[np.ndarray, " r"]]:
        """The measures in each bootstrap resample."""
        return {name: values[1:] for name, values in self._weighted().items()}

    def swapped(self) -> dict[str, Float[np.ndarray, " r"]]:
        """The measures under label swaps; what concerns pairs alone does not change."""
        n = self._weight[0]
        middle = (self._image[:, :1] + self._text[:, :1]) / 2
        image, text = middle + self._swapped_difference / 2, middle - self._swapped_difference / 2
        pairs = (values[0] for values in (self._weight_squared, self._distance, self._distance_squared))
        return _measures(image, text, n, *pairs)

    def _weighted(self) -> dict[str, np.ndarray]:
        return _measures(
            self._image,
            self._text,
            self._weight,
            self._weight_squared,
            self._distance,
            self._distance_squared,
        )


def _measures(
    image: Float[np.ndarray, "d r"],
    text: Float[np.ndarray, "d r"],
    weight: np.ndarray,
    weight_squared: np.ndarray,
    distance: np.ndarray,
    distance_squared: np.ndarray,
) -> dict[str, Float[np.ndarray, " r"]]:
    """L2M, L2I and RMG from weighted sums over unit pairs."""
    draws = image.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        # Sum over i != j of cos(x_i, x_j) is |sum x|^2 less the terms i = j. In a resample, copies of one
        # pair are such terms too: a pair drawn w times has w^2 of them.
        others = weight**2 - weight_squared
        cosines = [((side**2).sum(axis=0) - weight_squared) / others for side in (image, text)]
        within = np.maximum(2 - cosines[0] - cosines[1], 0.0) / 4
        paired = distance_squared / weight / 4  # (1 - cos) / 2 of unit vectors |a - b| apart
        return {
            "l2m": np.linalg.norm(image - text, axis=0) / weight,
            "l2i": np.broadcast_to(distance / weight, draws),
            "rmg": np.where(paired + within > _ROUNDING, paired / (paired + within), np.nan),
        }


def _unit(block: Block, start: int, modality: str) -> Block:
    unit, peaks = normalize_rows(block)
    if not peaks.all():
        raise ModalensError(
            f"Row {start + int(np.argmin(peaks))} of the {modality} matrix is all zeros and has no direction; "
            "remove that pair."
        )
    return unit
