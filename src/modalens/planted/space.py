"""The few numbers by which a synthetic joint space is made like a real one."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from modalens.arrays import Matrix, iter_paired_blocks, normalize_rows, paired_shape
from modalens.errors import InputError
from modalens.store.base import PairStore
from modalens.store.paired import paired


@dataclass(frozen=True)
class SpaceStatistics:
    """How paired embeddings of length one lie, by numbers that do not depend on a rotation.

    Attributes
    ----------
    image_mean, text_mean
        Norm of each modality's mean, in [0, 1]: how narrow its cone is.
    mean_cosine
        Cosine of the two means; the gap L2M follows from these three.
    common
        Share of the variance about the means that the two sides of a pair have in common, tr Cov(image, text) divided
        by the geometric mean of tr Cov(image) and tr Cov(text).
    rank
        Participation ratio (tr C)^2 / tr C^2 of the covariance about the means, from 1 to the width, which it is where
        variance is spread evenly over all directions; the mean of both modalities.
    """

    image_mean: float
    text_mean: float
    mean_cosine: float
    common: float
    rank: float

    @property
    def l2m(self) -> float:
        """Distance of the two means."""
        squared = (
            self.image_mean**2 + self.text_mean**2 - 2 * self.image_mean * self.text_mean * self.mean_cosine
        )
        return float(np.sqrt(max(squared, 0.0)))


def measure_space(image: PairStore | Matrix, text: Matrix | None = None) -> SpaceStatistics:
    """Measure :class:`SpaceStatistics` of a store or of two paired matrices (n, d), rows first brought to length one.

    Participation ratios are those of the population: what a sample of n rows adds to tr C^2 is taken out.

    Raises
    ------
    ModalensError
        If the matrices do not pair up, hold fewer than 4 pairs, NaN or infinite values, or do not vary.
    """
    image, text, _, names = paired(image, text)
    n, d = paired_shape(image, text, names)
    if n < 4:
        raise InputError(f"The statistics of a space need at least 4 pairs, and there are {n}.")
    sums, products, cross = np.zeros((2, d)), np.zeros((2, d, d)), 0.0
    for _, *blocks in iter_paired_blocks(image, text, names=names):
        sides = [
            normalize_rows(block.toarray() if hasattr(block, "toarray") else block)[0] for block in blocks
        ]
        for number, side in enumerate(sides):
            sums[number] += side.sum(axis=0)
            products[number] += side.T @ side
        cross += float((sides[0] * sides[1]).sum())
    means = sums / n
    covariances = (products - n * np.einsum("si,sj->sij", means, means)) / (n - 1)
    variances = np.trace(covariances, axis1=1, axis2=2)
    if not (variances > 1e-12).all():
        raise InputError("The embeddings of a modality are all one; there is no spread to measure.")
    common = (cross - n * float(means[0] @ means[1])) / (n - 1) / np.sqrt(variances.prod())
    norms = np.linalg.norm(means, axis=1)
    ratios = [_participation(each, n) for each in covariances]
    return SpaceStatistics(
        image_mean=float(norms[0]),
        text_mean=float(norms[1]),
        mean_cosine=float(means[0] @ means[1] / max(norms.prod(), 1e-12)),
        common=float(common),
        rank=float(np.mean(ratios)),
    )


def _participation(covariance: Float[np.ndarray, "d d"], n: int) -> float:
    """(tr C)^2 / tr C^2, less what noise of n samples of a Gaussian adds to the sample's tr S^2."""
    trace, square = float(np.trace(covariance)), float((covariance**2).sum())
    # E tr S^2 = (1 + 1 / (n - 1)) tr C^2 + (tr C)^2 / (n - 1), to first order.
    return trace**2 / max((square - trace**2 / (n - 1)) / (1 + 1 / (n - 1)), trace**2 / len(covariance))
