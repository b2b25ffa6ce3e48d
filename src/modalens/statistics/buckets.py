"""Bootstrap over groups whose cost does not grow with the number of pairs: sums are kept by bucket of groups."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Int, Real

from modalens.statistics.kernels import count_taken

MOST_BUCKETS = 1024
# Sums by bucket are bounded to so many numbers, so that wide codes get fewer buckets.
_MOST_SUMS = 2**23
_FEWEST_BUCKETS = 128
# So many runs of consecutive groups fall into each bucket where groups are many.
_RUNS = 32

# Constants of SplitMix64, a generator whose mixing step is a good hash of consecutive numbers.
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_CHUNK = 2**13


@dataclass(frozen=True)
class Buckets:
    """Which bucket each group falls into, and the random draws over buckets.

    Up to ``most`` groups have a bucket each: this is the ordinary bootstrap over groups. More fall into ``most``
    buckets by a hash of their key. Sums over a bucket vary by chance as those over its groups do, so a resample of
    buckets has the variance of one of groups up to a factor near 1. Where there are more than 64 groups a bucket,
    groups that follow each other go to one bucket, a run of them at a time: a pass over the data then writes to one
    place for a while, and neighbours that are alike are not taken for independent evidence.

    A label swap draws a sign for each group. Where groups share a bucket, each has a fixed sign of its own by a second
    hash, and a draw turns the whole bucket: sums are therefore kept by cell, which is a bucket and a fixed sign.

    Attributes
    ----------
    n_groups
        Number of groups, whose keys are 0 to n_groups - 1.
    effective
        Effective number of groups, (sum m)^2 / sum m^2 over the groups' sizes m (Kish 1965).
    most
        Number of buckets at most.
    """

    n_groups: int
    effective: float
    most: int

    @classmethod
    def of(cls, n_pairs: int, keys: Int[np.ndarray, " n"] | None = None, n_features: int = 1) -> "Buckets":
        """Buckets for sums over so many features; every pair is its own group without ``keys``."""
        most = int(np.clip(_MOST_SUMS // max(n_features, 1), _FEWEST_BUCKETS, MOST_BUCKETS))
        if keys is None:
            return cls(n_pairs, float(n_pairs), most)
        sizes = np.bincount(keys)
        return cls(len(sizes), effective_number(sizes), most)

    @property
    def hashed(self) -> bool:
        """Whether groups share buckets."""
        return self.n_groups > self.most

    @property
    def n(self) -> int:
        """Number of buckets."""
        return min(self.n_groups, self.most)

    @property
    def n_cells(self) -> int:
        """Number of cells that sums are kept by."""
        return 2 * self.n if self.hashed else self.n

    @property
    def shift(self) -> int:
        """Cells whose numbers differ only in so many low bits are of one bucket."""
        return int(self.hashed)

    @property
    def run(self) -> int:
        """How many groups that follow each other go to one bucket."""
        return max(1, self.n_groups // (self.n * _RUNS))

    def cells(self, keys: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Cell of each key."""
        if not self.hashed:
            return keys
        sign = _hash(keys) & np.uint64(1)
        bucket = (_hash(keys // self.run) >> np.uint64(1)) % np.uint64(self.n)
        return (2 * bucket + sign).astype(np.int64)

    def numbers(self, keys: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Bucket of each key."""
        return self.cells(keys) // 2 if self.hashed else keys

    def turns(self, keys: Int[np.ndarray, " n"], modalities: int) -> Int[np.ndarray, " n"]:
        """By how many modalities the labels of each key are turned once and for all, as its fixed sign is for two."""
        if not self.hashed:
            return np.zeros(len(keys), dtype=np.int64)
        return ((_hash(keys) >> np.uint64(33)) % np.uint64(modalities)).astype(np.int64)

    def drawn_turns(self, modalities: int, draws: int, seed: int) -> Int[np.ndarray, "b r"]:
        """By how many modalities each draw turns the labels of a bucket's samples."""
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        return generator.integers(0, modalities, (self.n, draws), dtype=np.int64)

    def sizes(self) -> Int[np.ndarray, " b"]:
        """Number of groups in each bucket."""
        if not self.hashed:
            return np.ones(self.n, dtype=np.int64)
        sizes = np.zeros(self.n, dtype=np.int64)
        for start in range(0, self.n_groups, _CHUNK):
            keys = np.arange(start, min(start + _CHUNK, self.n_groups))
            sizes += np.bincount(self.numbers(keys), minlength=self.n)
        return sizes

    def totals(self, sums: Float[np.ndarray, "c ..."]) -> Float[np.ndarray, "b ..."]:
        """Sums over buckets, from those over cells."""
        return sums[0::2] + sums[1::2] if self.hashed else sums

    def tilts(self, sums: Float[np.ndarray, "c ..."]) -> Float[np.ndarray, "b ..."]:
        """Sums over buckets in which every group has its fixed sign, from those over cells."""
        return sums[0::2] - sums[1::2] if self.hashed else sums

    def weights(self, resamples: int, seed: int) -> Float32[np.ndarray, "b r"]:
        """How often each resample takes each bucket; a resample takes as many as there are."""
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        weights = np.zeros((resamples, self.n), dtype=np.float32)
        count_taken(generator.integers(0, self.n, (resamples, self.n)), weights)
        return weights.T

    def signs(self, resamples: int, seed: int) -> Float32[np.ndarray, "b r"]:
        """+1 where a swap draw leaves the labels of a bucket's pairs alone, -1 where it swaps them."""
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        swapped = generator.integers(0, 2, (self.n, resamples), dtype=np.uint8)
        return np.float32(1) - np.float32(2) * swapped


def effective_number(sizes: np.ndarray) -> float:
    """Effective number of groups of these sizes, (sum m)^2 / sum m^2 (Kish 1965); their number if all are equal."""
    sizes = np.asarray(sizes, dtype=np.float64)
    squares = float((sizes**2).sum())
    return float(sizes.sum() ** 2 / squares) if squares else 0.0


def resampled_means(
    values: Real[np.ndarray, "s n"], keys: Int[np.ndarray, " n"], resamples: int, seed: int
) -> Float[np.ndarray, "s r"]:
    """Mean of each row on bootstrap resamples of the samples, the same for all rows; samples of one key together.

    NaN where there is no sample.
    """
    if len(keys) == 0:
        return np.full((len(values), resamples), np.nan)
    group = np.unique(keys, return_inverse=True)[1]
    buckets = Buckets.of(len(keys), group)
    samples = np.arange(len(keys))
    membership = sp.csr_array((np.ones(len(keys)), (samples, buckets.numbers(group))))
    weights = buckets.weights(resamples, seed)[: membership.shape[1]]
    with np.errstate(invalid="ignore"):
        means: np.ndarray = (values.astype(np.float64) @ membership @ weights) / (
            membership.sum(axis=0) @ weights
        )
    return means


def add_by_cell(
    sums: Float[np.ndarray, "c d"],
    cells: Int[np.ndarray, " n"],
    rows: Float[np.ndarray, "n d"] | sp.csr_array,
) -> None:
    """Add each row to the sums of its cell, in place; rows are dense or sparse, and stay so."""
    present, place = np.unique(cells, return_inverse=True)
    membership = sp.csr_array(
        (np.ones(len(cells)), (place, np.arange(len(cells)))), shape=(len(present), len(cells))
    )
    added = membership @ rows
    if sp.issparse(added):
        entries = added.tocoo()
        sums[present[entries.row], entries.col] += entries.data.astype(sums.dtype)
    else:
        sums[present] += added.astype(sums.dtype)


def feature_blocks(n_features: int, resamples: int, entries: int = 2**22) -> Iterator[slice]:
    """Slices of features such that their draws have about so many entries."""
    step = max(1, entries // max(resamples, 1))
    for start in range(0, n_features, step):
        yield slice(start, min(start + step, n_features))


def sum_blocks(blocks: Iterable[Float[np.ndarray, "b ..."]]) -> Float[np.ndarray, "..."]:
    """Sum over the rows of all blocks, the same bits as if they were one array of several columns."""
    total: np.ndarray | None = None
    for block in blocks:
        # With the sum so far as one more row, so that rows are added in the same order.
        rows = block if total is None else np.concatenate([total[None], block])
        total = rows.sum(axis=0)
    return np.zeros(()) if total is None else total


def _hash(keys: Int[np.ndarray, " n"]) -> np.ndarray:
    with np.errstate(over="ignore"):  # it is meant to wrap around
        mixed = (keys.astype(np.uint64) + np.uint64(1)) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[1]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[2]
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))
