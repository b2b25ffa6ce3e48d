"""Modality dominance: which modality drives a feature."""

from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np

from modalens.arrays import Matrix, paired_shape
from modalens.compiled import on_cores
from modalens.dominance.classes import check_modalities, class_names, moments
from modalens.dominance.parts import Plan, Sums, sum_all
from modalens.dominance.result import Dominance, LabelSwapNull
from modalens.dominance.rules import RULES, check_rule, class_tally
from modalens.dominance.several import simplex_dominance
from modalens.dominance.simplex import SimplexDominance
from modalens.dominance.sums import DominanceSums
from modalens.options import DEFAULT_ESTIMATOR, DEFAULT_RULE
from modalens.statistics.buckets import Buckets, feature_blocks
from modalens.statistics.groups import group_keys, warn_of_copies
from modalens.statistics.intervals import hull_interval, percentile_interval
from modalens.store.base import PairStore
from modalens.store.joined import JoinedStore
from modalens.store.paired import Groups, aligned, paired, several
from modalens.version import __version__

# Draws that are sorted at a time.
_SORTED = 2**18


@overload
def modality_dominance(
    image: Matrix,
    text: Matrix,
    estimator: str = ...,
    rule: str = ...,
    normalize: bool = ...,
    *,
    resamples: int = ...,
    seed: int = ...,
    groups: Groups = ...,
    modalities: Sequence[str] | None = ...,
    block_rows: int | None = ...,
    source: Mapping[str, Any] | None = ...,
) -> Dominance: ...


@overload
def modality_dominance(
    image: PairStore | tuple[Matrix, Matrix],
    text: None = None,
    estimator: str = ...,
    rule: str = ...,
    normalize: bool = ...,
    *,
    resamples: int = ...,
    seed: int = ...,
    groups: Groups = ...,
    modalities: Sequence[str] | None = ...,
    block_rows: int | None = ...,
    source: Mapping[str, Any] | None = ...,
) -> Dominance: ...


@overload
def modality_dominance(
    image: JoinedStore | tuple[Matrix, Matrix, Matrix, *tuple[Matrix, ...]],
    text: None = None,
    estimator: str = ...,
    rule: str = ...,
    normalize: bool = ...,
    *,
    resamples: int = ...,
    seed: int = ...,
    groups: Groups = ...,
    modalities: Sequence[str] | None = ...,
    block_rows: int | None = ...,
    source: Mapping[str, Any] | None = ...,
) -> SimplexDominance: ...


def modality_dominance(
    image: PairStore | JoinedStore | Matrix | Sequence[Matrix],
    text: Matrix | None = None,
    estimator: str = DEFAULT_ESTIMATOR,
    rule: str = DEFAULT_RULE,
    normalize: bool = False,
    *,
    resamples: int = 200,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
    modalities: Sequence[str] | None = None,
    block_rows: int | None = None,
    source: Mapping[str, Any] | None = None,
) -> Dominance | SimplexDominance:
    """Score every feature of paired embeddings or codes by the modality that drives it.

    One pass, in float64; memory depends on the features and resamples and not on the number of pairs. A pair
    in which both sides of a feature are exactly 0 is left out of that feature.

    Parameters
    ----------
    image, text
        A store, whose matrices, groups and modalities are taken; or paired matrices (n, d): NumPy arrays, torch
        tensors, SciPy sparse matrices or lazy columns. For more than two modalities a
        :class:`modalens.store.JoinedStore`, or a tuple of aligned matrices with their ``modalities``, and nothing as
        ``text``.
    estimator
        One of :data:`modalens.dominance.estimators.ESTIMATORS`: ``mean_ratio`` (published), ``energy_ratio``,
        ``signed_ratio``.
    rule
        One of :data:`modalens.dominance.rules.RULES`: ``twofold`` or ``mu_sigma`` (published). All are kept in the
        result, which :meth:`Dominance.with_rule` shows under another one.
    normalize
        L2-normalise every embedding first.
    resamples
        Bootstrap resamples over pairs, and as many label-swap draws; 0 leaves both out.
    seed
        Seed of all draws. They do not depend on ``block_rows``.
    groups
        One label per pair; pairs of one group (say, captions of one image) are drawn together, since they
        are not independent. Those of the store by default.
    modalities
        Names of the sides, which become class labels; by default those of the store, or image and text.
    block_rows
        Pairs of two modalities read at a time; by default as many as keep a block small.
    source
        What the scores are measured on, kept with the result.

    Returns
    -------
    Dominance
        ``score`` in [0, 1], 1 where the image side drives the feature, with classes and uncertainty.
    SimplexDominance
        For more than two modalities: the share of each, and as class the modalities that carry a feature.

    Raises
    ------
    ModalensError
        If the matrices are empty, do not match, or hold NaN or infinite values; if ``signed_ratio`` meets a
        negative value; or if an option is not one that exists.
    """
    check_rule(rule)
    if text is None and several(image):
        sides, groups, modalities = aligned(image, groups, modalities)
        if len(sides) > 2 or isinstance(image, JoinedStore):
            return simplex_dominance(
                sides,
                estimator,
                rule,
                normalize,
                resamples=resamples,
                seed=seed,
                groups=groups,
                modalities=modalities,
                source=source,
            )
        image, text = sides
    named = None if modalities is None else check_modalities(modalities)
    image, text, groups, names = paired(image, text, groups, named)
    n_pairs, n_features = paired_shape(image, text, check_modalities(names))
    if groups is None and resamples:
        warn_of_copies(image, names[0])
    keys = None if groups is None else group_keys(groups, n_pairs)
    buckets = Buckets.of(n_pairs, keys, n_features)
    plan = Plan(
        n_pairs, n_features, buckets, (estimator,), False, normalize, resamples, seed, names, block_rows
    )
    return dominance_of(sum_all(image, text, plan, keys), estimator, plan, rule, source)


def dominance_of(
    sums: Sums,
    estimator: str,
    plan: Plan,
    rule: str = DEFAULT_RULE,
    source: Mapping[str, Any] | None = None,
) -> Dominance:
    """The scores that sums over all pairs come to; see :func:`modality_dominance`.

    Raises
    ------
    ModalensError
        If the estimator is not defined on these pairs.
    """
    own = sums.of(estimator)
    score = own.scores()
    low, high, uncertainty = _uncertainty(own, plan, score)
    return Dominance(
        score=score,
        low=low,
        high=high,
        pairs=own.pairs,
        estimator=estimator,
        rule=check_rule(rule),
        normalize=plan.normalize,
        modalities=plan.modalities,
        n_pairs=own.n_pairs,
        groups=plan.buckets.n_groups,
        effective_groups=plan.buckets.effective,
        resamples=plan.resamples,
        seed=plan.seed,
        class_shares={each: shares for each, (shares, _) in uncertainty.items()},
        count_ranges={each: ranges for each, (_, ranges) in uncertainty.items()},
        null=_label_swap_null(own, plan) if plan.resamples else None,
        source=dict(source or {}),
        version=__version__,
    )


def _uncertainty(
    own: DominanceSums, plan: Plan, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Both ends of the interval of R, (d,), and for each rule what :func:`_class_uncertainty` gives."""
    resampled = (
        own.resampled_scores(plan.resamples, plan.seed) if plan.resamples else np.empty((len(score), 0))
    )
    low, high = np.empty((2, len(score)))
    blocks = list(feature_blocks(len(score), plan.resamples, _SORTED))
    found = on_cores(percentile_interval, [(resampled[here],) for here in blocks])
    for here, ends in zip(blocks, found, strict=True):
        low[here], high[here] = ends
    return low, high, {each: _class_uncertainty(score, resampled, each) for each in RULES}


def _class_uncertainty(score: np.ndarray, resampled: np.ndarray, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Share of resamples per class (d, 3), and intervals of the class counts (3, 2)."""
    votes, drawn = class_tally(resampled, rule)
    with np.errstate(invalid="ignore"):
        shares = votes / votes.sum(axis=1, keepdims=True)
    _, own = class_tally(score[:, None], rule)
    low, high = hull_interval(own[:, 0].astype(np.float64), drawn.astype(np.float64))
    live = (~np.isnan(score)).sum()
    return shares, np.clip(np.stack([low, high], axis=1), 0, live)


def _label_swap_null(own: DominanceSums, plan: Plan) -> LabelSwapNull:
    swapped = own.swapped_scores(plan.resamples, plan.seed)
    class_counts = {}
    for rule in RULES:
        by_draw = class_tally(swapped, rule)[1].mean(axis=1)
        dead = float(np.isnan(swapped).sum(axis=0).mean())
        class_counts[rule] = dict(zip(class_names(plan.modalities), [*by_draw.tolist(), dead], strict=True))
    return LabelSwapNull(
        scores=swapped[:, 0].astype(np.float64), stds=moments(swapped)[1], class_counts=class_counts
    )
