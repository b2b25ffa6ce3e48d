"""Dominance of more than two modalities: aligned matrices, row i of each the same sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modalens.arrays import Matrix, paired_shape
from modalens.dominance.estimators import check_estimator
from modalens.dominance.rules import check_rule, class_masks, rules_of_several
from modalens.dominance.shares import ShareSums
from modalens.dominance.simplex import LabelTurnNull, SimplexDominance, simplex_classes, spread_of
from modalens.errors import InputError
from modalens.statistics.buckets import Buckets
from modalens.statistics.checks import check_resampling
from modalens.statistics.groups import group_keys, warn_of_copies
from modalens.statistics.intervals import hull_interval, percentile_interval
from modalens.store.paired import Groups
from modalens.version import __version__


def simplex_dominance(
    sides: Sequence[Matrix],
    estimator: str,
    rule: str,
    normalize: bool,
    *,
    resamples: int,
    seed: int,
    groups: Groups,
    modalities: Sequence[str],
    source: Mapping[str, Any] | None = None,
) -> SimplexDominance:
    """Share of each modality in every feature of aligned matrices; see :func:`modality_dominance`.

    Raises
    ------
    ModalensError
        As :func:`modality_dominance`.
    """
    check_rule(rule)
    check_estimator(estimator)
    resamples, seed = check_resampling(resamples, seed)
    names = tuple(simplex_classes(modalities)[1 << each] for each in range(len(modalities)))
    n, d = aligned_shape(sides, names)
    if groups is None and resamples:
        warn_of_copies(sides[0], names[0])
    keys = None if groups is None else group_keys(groups, n)
    # Sums are kept for each modality, and so of as many numbers as if there were more features.
    buckets = Buckets.of(n, keys, d * len(sides))
    sums = ShareSums(names, d, estimator, buckets)
    sums.add_all(sides, keys, normalize=normalize)
    shares = sums.shares()
    resampled = sums.resampled(resamples, seed) if resamples else np.full((*shares.shape, 0), np.nan)
    low, high = percentile_interval(resampled)
    certainties, count_ranges = {}, {}
    for each in rules_of_several():
        certainties[each], count_ranges[each] = _class_uncertainty(shares, resampled, each, names)
    return SimplexDominance(
        shares=shares.T,
        low=low.T,
        high=high.T,
        samples=sums.samples,
        estimator=estimator,
        rule=rule,
        normalize=normalize,
        modalities=names,
        n_samples=n,
        groups=buckets.n_groups,
        effective_groups=buckets.effective,
        resamples=resamples,
        seed=seed,
        certainties=certainties,
        count_ranges=count_ranges,
        null=_label_turn_null(sums, resamples, seed) if resamples else None,
        source=dict(source or {}),
        version=__version__,
    )


def aligned_shape(sides: Sequence[Matrix], names: Sequence[str]) -> tuple[int, int]:
    """Shape (n, d) that aligned matrices share.

    Raises
    ------
    ModalensError
        If there is not a name for each matrix, one is empty or two shapes differ.
    """
    if len(sides) != len(names):
        raise InputError(f"There are {len(sides)} matrices and {len(names)} modalities; name each matrix.")
    for side, name in zip(sides[1:], names[1:], strict=True):
        shape = paired_shape(sides[0], side, (names[0], name))
    return shape


def _class_uncertainty(
    shares: np.ndarray, resampled: np.ndarray, rule: str, names: Sequence[str]
) -> tuple[np.ndarray, dict[str, tuple[float, float]]]:
    """Share of resamples that give a feature its class, (d,), and the interval of each class's count."""
    labels = simplex_classes(names)
    own = class_masks(shares, rule)
    drawn = class_masks(resampled, rule)
    with np.errstate(invalid="ignore", divide="ignore"):
        certainty = np.where(
            own > 0, (drawn == own[:, None]).sum(axis=1) / np.float64(drawn.shape[1]), np.nan
        )
    live = int((own > 0).sum())
    ranges = {}
    for mask, label in labels.items():
        low, high = hull_interval(
            np.asarray((own == mask).sum(), dtype=np.float64), (drawn == mask).sum(axis=0).astype(np.float64)
        )
        most = live if mask else len(own)
        ranges[label] = (float(np.clip(low, 0, most)), float(np.clip(high, 0, most)))
    return certainty, ranges


def _label_turn_null(sums: ShareSums, draws: int, seed: int) -> LabelTurnNull:
    turned = sums.turned(draws, seed)
    class_counts = {}
    for rule in rules_of_several():
        masks = class_masks(turned, rule)
        class_counts[rule] = {
            label: float((masks == mask).sum(axis=0).mean())
            for mask, label in simplex_classes(sums.modalities).items()
        }
    return LabelTurnNull(turned[:, :, 0].T.copy(), spread_of(turned), class_counts)
