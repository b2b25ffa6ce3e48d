"""Balanced accuracy: the mean of the shares of right answers on pairs with and without an attribute; .5 by chance."""

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from modalens.statistics.buckets import resampled_means
from modalens.statistics.intervals import Estimate, interval, share_interval

RESAMPLES = 500


def balanced_accuracy(
    right: Real[np.ndarray, "*s A n"], labels: Bool[np.ndarray, "*s A n"]
) -> Float[np.ndarray, "*s A"]:
    """Of every row."""
    labels = np.broadcast_to(labels, right.shape)
    having, lacking = labels.sum(axis=-1), (~labels).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = (
            (right * labels).sum(axis=-1) / having + (right * ~labels).sum(axis=-1) / lacking
        ) / 2
    return found


def accuracy_interval(
    right: Bool[np.ndarray, " n"], labels: Bool[np.ndarray, " n"], keys: Int[np.ndarray, " n"]
) -> Estimate:
    """With the interval of a mean of two shares (Donner and Zou 2012), each by Wilson's at the number of groups."""
    shares = [share_interval(right[kind], keys[kind]) for kind in (labels, ~labels)]
    value = sum(each.value for each in shares) / 2
    below = np.sqrt(sum((each.value - each.low) ** 2 for each in shares)) / 2
    over = np.sqrt(sum((each.high - each.value) ** 2 for each in shares)) / 2
    return Estimate(value, float(max(0.0, value - below)), float(min(1.0, value + over)))


def mean_accuracy(
    right: Bool[np.ndarray, "A n"], labels: Bool[np.ndarray, "A n"], keys: Int[np.ndarray, " n"], seed: int
) -> Estimate:
    """Mean over attributes, with the interval of a bootstrap over groups of pairs."""
    kinds = (labels, ~labels)
    value = float(balanced_accuracy(right, labels).mean())
    shares = [ratio_draws(right & each, each, keys, seed) for each in kinds]
    return Estimate(value, *interval((shares[0] + shares[1]).mean(axis=0) / 2))


def paired_gain(
    first: Bool[np.ndarray, " n"],
    second: Bool[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    keys: Int[np.ndarray, " n"],
    seed: int,
) -> Estimate:
    """How much better the first answers are than the second, with the interval of a bootstrap over groups."""
    gain = (first.astype(np.float64) - second)[None]
    shares = [ratio_draws(gain * each, each[None], keys, seed)[0] for each in (labels, ~labels)]
    value = float(balanced_accuracy(gain, labels[None])[0])
    return Estimate(value, *interval((shares[0] + shares[1]) / 2))


def mean_share(
    counted: Bool[np.ndarray, "A n"], among: Bool[np.ndarray, "A n"], keys: Int[np.ndarray, " n"], seed: int
) -> Estimate:
    """Mean over attributes of the share of some pairs among others; attributes without such pairs are left out."""
    there = among.any(axis=1)
    if not there.any():
        return Estimate(np.nan, np.nan, np.nan)
    value = float((counted.sum(axis=1)[there] / among.sum(axis=1)[there]).mean())
    draws = ratio_draws(counted[there], among[there], keys, seed)
    return Estimate(value, *interval(np.nanmean(draws, axis=0)))


def ratio_draws(
    part: Real[np.ndarray, "A n"], whole: Real[np.ndarray, "A n"], keys: Int[np.ndarray, " n"], seed: int
) -> Float[np.ndarray, "A r"]:
    """Sum over sum on bootstrap resamples of the groups; NaN where a resample has none of the whole."""
    sums, counts = np.split(
        resampled_means(np.concatenate([part, whole]).astype(np.float64), keys, RESAMPLES, seed), 2
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = sums / np.where(counts > 0, counts, np.nan)
    return found
