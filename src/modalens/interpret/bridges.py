"""Bridges between one-sided features: is a feature private to its modality, or half of a split concept?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import false_discovery_control

from modalens.arrays import Matrix, matrix_shape, paired_shape
from modalens.dominance import Dominance
from modalens.errors import ModalensError
from modalens.interpret.bounds import bound_partners
from modalens.interpret.bridge_null import ChanceOfBest, shuffled_orders
from modalens.interpret.bridge_result import Bridges
from modalens.interpret.partners import OneSided, Partners, link_sides
from modalens.statistics.checks import check_whole
from modalens.statistics.groups import group_keys, warn_of_copies
from modalens.store.base import PairStore
from modalens.store.paired import paired
from modalens.version import __version__

LEAST_SHUFFLES = 100
# Where a feature fires for fewer groups, no correlation of .3 can be ruled out: .7 ** 12 is about .01.
LEAST_GROUPS = 12
_NUMBERS = ("correlations", "geometries", "bridges", "highest_correlation")


def bridges(
    image_codes: PairStore | Matrix,
    text_codes: Matrix | None,
    W_dec: Matrix | None,  # noqa: N803 (the field's name)
    mds: Dominance,
    seed: int = 0,
    *,
    min_correlation: float = 0.3,
    fdr: float = 0.05,
    partners: int = 5,
    shuffles: int = 200,
    groups: Sequence[Any] | np.ndarray | None = None,
    max_pairs: int = 20_000,
) -> Bridges:
    """Find each one-sided feature's partners on the other side, and tell private features from split concepts.

    The bridge between feature i, seen through the image codes, and feature j, seen through the text codes, is
    correlation over pairs x max(0, cosine of their decoder rows) (method: Papadimitriou et al. 2025, with
    correlation for co-activation). The partners of an image-dominant feature are text-dominant features, and the
    reverse: a feature that fires on both sides is cross-modal, not the missing half of another one. Verdicts:

    - ``split``: the best bridge beats those of shuffled pairs, at a false discovery rate over one-sided features,
      and its correlation is over ``min_correlation``. It is half of a concept whose other half is the partner.
    - ``private``: no feature of the other side correlates by ``min_correlation`` or more. The 95 % upper bound of the
      largest correlation, ``correlation_bound``, lies under it, at a false discovery rate over one-sided features; see
      :func:`modalens.interpret.bounds.bound_partners`. A feature that fires for under 12 groups is never private.
    - ``unclear``: anything else. Not to beat shuffled pairs is the absence of a finding.

    p-values are those of the best of all partners, from shuffles of the pairs; see
    :class:`modalens.interpret.bridge_null.ChanceOfBest`.

    Parameters
    ----------
    image_codes, text_codes
        Paired codes, (n, f), dense or sparse; the cost of sparse ones goes by what fires together. Only the
        one-sided features of at most ``max_pairs`` pairs are held in memory. Or a store of codes and None.
    W_dec
        Decoder rows, (f, d). None for a representation that has none, such as a projector's output or raw
        dimensions: the bridge is then the correlation alone, ``has_decoder`` is False and geometries are NaN.
    mds
        Dominance scores of the same features; its labels say which are one-sided.
    seed
        Seed of the shuffles and of the pairs taken.
    min_correlation
        Correlation in [0, 1) that a partner must exceed.
    fdr
        Share in (0, 1) of the features found to beat chance, and of those called private, that may be wrong.
    partners
        Partners kept for each feature.
    shuffles
        Shuffles of the pairs, at least 100.
    groups
        One label a pair, by default those of the store that the codes are of. Pairs of one group (captions of one
        image, drawings of one concept) are alike, and are shuffled together: without it they pass for independent
        evidence, and chance looks smaller than it is. A warning says so where many rows of arrays are equal.
    max_pairs
        At most so many pairs are used, drawn at random.

    Returns
    -------
    Bridges
        Partners, p-values and verdicts, with the verdicts on one draw of shuffled pairs beside.

    Raises
    ------
    ModalensError
        If shapes do not fit, a setting is out of range, or a value is NaN or infinite.
    """
    first, second = mds.modalities
    image_codes, text_codes, groups, _ = paired(image_codes, text_codes, groups)
    n, f = paired_shape(image_codes, text_codes, mds.modalities)
    _check_features(f, W_dec, mds)
    partners = check_whole("partners", partners, 1)
    shuffles = check_whole("shuffles", shuffles, LEAST_SHUFFLES)
    seed = check_whole("seed", seed, 0)
    if not 0 <= min_correlation < 1:
        raise ModalensError(f"min_correlation must be at least 0 and under 1, not {min_correlation!r}.")
    if not 0 < fdr < 1:
        raise ModalensError(f"fdr must lie between 0 and 1, not {fdr!r}.")
    chosen = _choose(n, check_whole("max_pairs", max_pairs, 2), seed)
    if groups is None and not warn_of_copies(image_codes, first):
        warn_of_copies(text_codes, second)
    keys = np.arange(n) if groups is None else group_keys(groups, n)
    keys = np.unique(keys[chosen], return_inverse=True)[1]

    image = OneSided.read(image_codes, W_dec, mds.indices(first), chosen, first)
    text = OneSided.read(text_codes, W_dec, mds.indices(second), chosen, second)
    orders = list(shuffled_orders(keys, shuffles + 1, seed))
    judged = [np.arange(len(keys)), orders[0]]
    links = link_sides(image, text, judged, orders[1:], partners)
    chance = ChanceOfBest(links.by_chance)
    varies = np.concatenate([image.side.varies, text.side.varies])

    def judge(
        order: np.ndarray, of_image: Partners, of_text: Partners
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        found = {name: np.concatenate([getattr(of_image, name), getattr(of_text, name)]) for name in _NUMBERS}
        found["partners"] = np.concatenate([_named(of_image, text), _named(of_text, image)])
        found["p_value"] = p = chance.p_values(np.nan_to_num(found["bridges"][:, 0]))
        found["q_value"] = q = false_discovery_control(p) if p.size else p
        bounds = bound_partners(image.side, text.side.paired(order), keys, min_correlation, seed)
        found["correlation_bound"] = np.concatenate([each.upper for each in bounds])
        may_be = np.concatenate([each.groups for each in bounds]) >= LEAST_GROUPS
        found["private_q_value"] = apart = _corrected(
            np.concatenate([each.p_value for each in bounds]), may_be & varies
        )
        split = (q <= fdr) & (found["correlations"][:, 0] > min_correlation)
        return found, np.where(split, "split", np.where(apart <= fdr, "private", "unclear"))

    (found, verdict), (_, shuffled_verdict) = (
        judge(order, *each) for order, each in zip(judged, links.partners, strict=True)
    )
    features = np.concatenate([image.features, text.features])

    def spread(values: np.ndarray, missing: Any) -> np.ndarray:
        rows = np.full((f, *values.shape[1:]), missing, dtype=values.dtype)
        rows[features] = values
        return rows

    return Bridges(
        partners=spread(found.pop("partners"), -1),
        **{name: spread(values, np.nan) for name, values in found.items()},
        verdict=spread(verdict, ""),
        shuffled_verdict=spread(shuffled_verdict, ""),
        labels=mds.labels,
        modalities=mds.modalities,
        n_pairs=len(keys),
        has_decoder=W_dec is not None,
        min_correlation=float(min_correlation),
        fdr=float(fdr),
        shuffles=shuffles,
        seed=seed,
        version=__version__,
    )


def _corrected(p: Float[np.ndarray, " f"], tested: Bool[np.ndarray, " f"]) -> Float[np.ndarray, " f"]:
    """q-values of the features that are tested, after Benjamini and Hochberg; 1 for the others."""
    q = np.ones(len(p))
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return q


def _named(found: Partners, other: OneSided) -> Int[np.ndarray, "f k"]:
    """Partners by their number among all features."""
    return np.append(other.features, -1)[found.features]


def _choose(n: int, max_pairs: int, seed: int) -> Bool[np.ndarray, " n"]:
    chosen = np.ones(n, dtype=bool)
    if n > max_pairs:
        chosen[:] = False
        chosen[np.random.default_rng(seed).choice(n, max_pairs, replace=False)] = True
    return chosen


def _check_features(f: int, decoder: Matrix | None, mds: Dominance) -> None:
    if len(mds.score) != f:
        raise ModalensError(
            f"The dominance scores are of {len(mds.score)} features and the codes have {f}; score these codes."
        )
    if decoder is not None and matrix_shape(decoder, "The decoder")[0] != f:
        raise ModalensError(
            f"The decoder has {decoder.shape[0]} rows and the codes have {f} features; give one row per feature."
        )
