"""How well learned features stand for the embeddings they were learned on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.arrays import Matrix, paired_shape
from modalens.dominance.retrieval import MAX_PAIRS, Retrieval, measure_retrieval, retrieval_rows
from modalens.features.base import MODALITIES, FeatureModel
from modalens.features.evaluation import LEAST_VARIANCE, Sample
from modalens.statistics.groups import group_keys
from modalens.store.documents import null_to_nan

Interval = tuple[float, float, float]

_RESAMPLES = 1000


@dataclass(frozen=True)
class Quality:
    """What features keep of the embeddings, on one set of pairs.

    Attributes
    ----------
    pairs
        Pairs it was measured on.
    fvu
        Fraction of variance unexplained by modality, each (value, low, high) with a 95 % bootstrap interval
        over groups of pairs: 0 is perfect, 1 no better than the mean, NaN where the embeddings are all one. Empty
        for a projector, which does not reconstruct. It depends on how much the embeddings vary, so encoders are not
        comparable by it.
    variance
        Mean squared distance of the embeddings from their mean, by modality: what ``fvu`` is a share of.
    active
        Features that fire at least once, by modality.
    per_sample
        Mean number of features that fire on a sample, by modality.
    before, after
        Retrieval of the embeddings, and of their reconstruction (of the projection for a projector).
    """

    pairs: int
    fvu: Mapping[str, Interval]
    variance: Mapping[str, float]
    active: Mapping[str, int]
    per_sample: Mapping[str, float]
    before: Retrieval
    after: Retrieval

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "pairs": self.pairs,
            "fvu": {name: list(value) for name, value in self.fvu.items()},
            "variance": dict(self.variance),
            "active": dict(self.active),
            "per_sample": dict(self.per_sample),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Quality":
        """Inverse of :meth:`to_dict`."""
        return cls(
            pairs=values["pairs"],
            fvu={
                name: (null_to_nan(value), null_to_nan(low), null_to_nan(high))
                for name, (value, low, high) in values["fvu"].items()
            },
            variance=values["variance"],
            active=values["active"],
            per_sample=values["per_sample"],
            before=Retrieval.from_dict(values["before"]),
            after=Retrieval.from_dict(values["after"]),
        )


def measure_quality(
    model: FeatureModel,
    image: Matrix,
    text: Matrix,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    image_ids: Sequence[Any] | np.ndarray | None = None,
    max_pairs: int = MAX_PAIRS,
    seed: int = 0,
) -> Quality:
    """Reconstruction, active features and retrieval before and after, on at most ``max_pairs`` pairs.

    Parameters
    ----------
    model
        A trained autoencoder or projector.
    image, text
        Paired embeddings (n, d).
    groups
        One label a pair; pairs of one group are drawn together in the bootstrap.
    image_ids
        One label a pair; pairs that share it show one image, which retrieval counts once.
    max_pairs, seed
        How many pairs are drawn at most, whole images of them, and the seed of the draws: the pairs on which
        :func:`modalens.measure_retrieval` measures, so that ``before`` is the recall that scores give.

    Raises
    ------
    ModalensError
        If widths do not fit or a value is NaN or infinite.
    """
    n, _ = paired_shape(image, text)
    rows = retrieval_rows(image, image_ids, max_pairs=max_pairs, seed=seed)
    sample = Sample.take(image, text, rows)
    labels = np.arange(n) if groups is None else group_keys(groups, n)
    ids = None if image_ids is None else np.asarray(image_ids)[rows]
    fvu, variance, active, per_sample, outputs = {}, {}, {}, {}, []
    for name in MODALITIES:
        x = getattr(sample, name).numpy()
        codes = model.encode(x, name)
        fires = np.bincount(codes.indices, minlength=codes.shape[1])
        active[name] = int((fires > 0).sum())
        per_sample[name] = float(fires.sum() / len(x))
        spread = np.square(x - x.mean(axis=0), dtype=np.float64).sum(axis=1)
        variance[name] = float(spread.mean())
        output: Matrix = codes
        if model.has_decoder:
            output = model.decode(codes, name)
            error = np.square(x - output, dtype=np.float64).sum(axis=1)
            least = LEAST_VARIANCE * np.square(x, dtype=np.float64).sum(axis=1)
            fvu[name] = _ratio(error, spread, least, labels[rows], seed)
        outputs.append(output)
    return Quality(
        pairs=len(rows),
        fvu=fvu,
        variance=variance,
        active=active,
        per_sample=per_sample,
        before=measure_retrieval(sample.image, sample.text, image_ids=ids),
        after=measure_retrieval(*outputs, image_ids=ids),
    )


def _ratio(
    error: Float[np.ndarray, " n"],
    spread: Float[np.ndarray, " n"],
    least: Float[np.ndarray, " n"],
    labels: Iterable[int],
    seed: int,
) -> Interval:
    """Ratio of sums, with a bootstrap over groups; undefined, NaN, where the lower sum is not above the least one."""
    places = np.unique(np.asarray(labels), return_inverse=True)[1]
    sums = np.stack([np.bincount(places, weights=each) for each in (error, spread, least)])
    share = 1 / sums.shape[1]
    draws = np.random.default_rng((seed, 3)).multinomial(
        sums.shape[1], np.full(sums.shape[1], share), size=_RESAMPLES
    )
    above, below, floor = sums @ draws.T
    defined = below > floor
    whole = sums.sum(axis=1)
    if not whole[1] > whole[2] or not defined.any():
        return np.nan, np.nan, np.nan
    low, high = np.quantile(above[defined] / below[defined], (0.025, 0.975))
    return float(whole[0] / whole[1]), float(low), float(high)
