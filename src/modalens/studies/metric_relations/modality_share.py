"""Shapley values of the two modalities in the similarity of a pair, which is a sum over features."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Matrix, iter_paired_blocks, normalize_rows

_ROWS = 1024


@dataclass(frozen=True, eq=False)
class ModalityShare:
    """How much of what moves the similarity of pairs comes from the image side; 0.5 is half.

    Attributes
    ----------
    of_feature
        By feature, over all pairs, (f,); NaN for a feature that moves nothing.
    of_pair
        By pair, over all features, (n,): the pair's V-SHAP.
    weight
        Share of each feature in the sum of absolute Shapley values over pairs and modalities, (f,).
    """

    of_feature: Float[np.ndarray, " f"]
    of_pair: Float[np.ndarray, " n"]
    weight: Float[np.ndarray, " f"]


def modality_share(image: Matrix, text: Matrix, rows: Int[np.ndarray, " n"] | None = None) -> ModalityShare:
    """Exact Shapley values of every feature's image side and text side in the cosine of a pair, summed up by side.

    Parameters
    ----------
    image, text
        Paired features (n, f); rows are scaled to length one.
    rows
        The pairs to take; all by default.

    Notes
    -----
    The similarity is s = sum_d a_d b_d with a, b the rows of length one (their lengths are taken as constants). The
    players are the 2f entries; one that is absent has its mean over pairs, a0_d or b0_d, as a sample of the data has on
    average. The game is a sum of f games of two players, which share none, so Shapley's value is exact, not sampled:

        phi(a_d) = [(a_d b0_d - a0_d b0_d) + (a_d b_d - a0_d b_d)] / 2 = (a_d - a0_d) (b_d + b0_d) / 2
        phi(b_d) = (b_d - b0_d) (a_d + a0_d) / 2

    and phi summed over players is s - sum_d a0_d b0_d, in units of the cosine. The share of the image side is the sum
    of |phi(a_d)| over that of |phi(a_d)| + |phi(b_d)|, in [0, 1], over the features of a pair as MM-SHAP takes it
    (Parcalabescu and Frank 2023), or over the pairs of a feature.

    With 0 for absent entries both players of a feature get a_d b_d / 2, so that every share is 1/2 whatever the model:
    the mean is the least that says anything. At given lengths of rows the share does not change when one side of a
    feature is multiplied by a constant, since both phi are; dominance does. The share tells which side varies more for
    its size, and dominance which side is larger: an image side that is large and always the same has R near 1 and share
    near 0.
    """
    chosen = [_picked(each, rows) for each in (image, text)]
    n, f = int(chosen[0].shape[0]), int(chosen[0].shape[1])
    means = np.zeros((2, f))
    for a, b in _blocks(*chosen):
        means += np.stack([a.sum(axis=0), b.sum(axis=0)])
    means /= n
    by_feature, by_pair = np.zeros((2, f)), []
    for a, b in _blocks(*chosen):
        values = np.abs(np.stack([(a - means[0]) * (b + means[1]), (b - means[1]) * (a + means[0])])) / 2
        by_feature += values.sum(axis=1)
        by_pair.append(values.sum(axis=2))
    pairs = np.concatenate(by_pair, axis=1)
    total = by_feature.sum(axis=0)
    # What rounding leaves of nothing is nothing.
    total[total <= 1e-12 * total.sum()] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        of_feature = np.where(total > 0, by_feature[0] / total, np.nan)
        return ModalityShare(of_feature, pairs[0] / pairs.sum(axis=0), total / total.sum())


def _picked(matrix: Matrix, rows: Int[np.ndarray, " n"] | None) -> Any:
    if rows is None:
        return matrix
    return matrix.pick(rows) if hasattr(matrix, "pick") else matrix[rows]


def _blocks(
    image: Matrix, text: Matrix
) -> Iterator[tuple[Float[np.ndarray, "b f"], Float[np.ndarray, "b f"]]]:
    for _, a, b in iter_paired_blocks(image, text, _ROWS):
        first, second = (
            block.toarray() if sp.issparse(block) else block
            for block in (normalize_rows(a)[0], normalize_rows(b)[0])
        )
        yield first, second
