"""How fast dominance scores are: beside plain NumPy, with and without the bootstrap, dense and sparse.

Run ``python benchmarks/dominance.py``; every ratio compares two runs of one process on the same data.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from modalens.dominance import modality_dominance, modality_gap

RESAMPLES = 200


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Best time of a few runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def plain_score(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """The score as one would write it down, everything in memory at once."""
    image, text = np.abs(image.astype(np.float64)), np.abs(text.astype(np.float64))
    with np.errstate(invalid="ignore"):
        return np.nanmean(image / (image + text), axis=0)


def plain_bootstrap(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """The usual bootstrap: pick rows, score again."""
    generator = np.random.default_rng(0)
    rows = len(image)
    draws = []
    for _ in range(RESAMPLES):
        picked = generator.integers(0, rows, rows)
        draws.append(plain_score(image[picked], text[picked]))
    return np.percentile(draws, [2.5, 97.5], axis=0)


def sparse_codes(generator: np.random.Generator, n: int, features: int, active: int) -> sp.csr_array:
    """Random codes with ``active`` non-zeros a row; features differ in how often they fire."""
    columns = (features * generator.random((n, active)) ** 2).astype(np.int64)
    columns = np.sort(columns, axis=1)
    values = generator.exponential(size=n * active).astype(np.float32)
    codes = sp.csr_array((values, columns.ravel(), np.arange(0, n * active + 1, active)), shape=(n, features))
    codes.sum_duplicates()
    return codes


def line(name: str, time_taken: float, reference: float | None = None) -> None:
    ratio = "" if reference is None else f"   {reference / time_taken:7.2f} x as fast as the plain version"
    print(f"  {name:<46} {time_taken:9.3f} s{ratio}")


def dense(n: int, d: int, repeats: int) -> None:
    print(f"dense, {n:,} pairs, {d:,} features, float32")
    image, text = np.random.default_rng(0).normal(size=(2, n, d)).astype(np.float32)
    plain = seconds(lambda: plain_score(image, text), repeats)
    line("plain NumPy, score only", plain)
    ours = seconds(lambda: modality_dominance(image, text, resamples=0), repeats)
    line("modalens, score only", ours, plain)
    resampled = seconds(lambda: plain_bootstrap(image, text), 1)
    line(f"plain NumPy, {RESAMPLES} resamples", resampled)
    with_bootstrap = seconds(lambda: modality_dominance(image, text, resamples=RESAMPLES), repeats)
    line(f"modalens, {RESAMPLES} resamples and {RESAMPLES} swaps", with_bootstrap, resampled)
    print(f"  the bootstrap costs {with_bootstrap / ours:.1f} times the score alone")
    line(f"modalens, gap with {RESAMPLES} resamples", seconds(lambda: modality_gap(image, text), 1))


def sparse(n: int, features: int, active: int, repeats: int) -> None:
    print(f"CSR, {n:,} pairs, {features:,} features, {active} active")
    generator = np.random.default_rng(0)
    image, text = (sparse_codes(generator, n, features, active) for _ in range(2))
    ours = seconds(lambda: modality_dominance(image, text, resamples=0), repeats)
    if n * features <= 2**26:
        wide = [side.toarray() for side in (image, text)]
        plain = seconds(lambda: plain_score(*wide), repeats)
        line("plain NumPy on the dense matrices, score only", plain)
        line("modalens on CSR, score only", ours, plain)
        same = seconds(lambda: modality_dominance(*wide, resamples=RESAMPLES), 1)
        with_bootstrap = seconds(lambda: modality_dominance(image, text, resamples=RESAMPLES), repeats)
        line(f"modalens on CSR, {RESAMPLES} resamples and swaps", with_bootstrap)
        print(f"  CSR is {same / with_bootstrap:.1f} times as fast as the same matrices dense")
    else:
        line("modalens on CSR, score only", ours)
        with_bootstrap = seconds(lambda: modality_dominance(image, text, resamples=RESAMPLES), 1)
        line(f"modalens on CSR, {RESAMPLES} resamples and swaps", with_bootstrap)
    print(f"  the bootstrap costs {with_bootstrap / ours:.1f} times the score alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--wide-pairs", type=int, default=0, help="also score this many pairs of 65,536 features"
    )
    options = parser.parse_args()
    dense(5_000, 1_024, options.repeats)
    sparse(10_000, 4_096, 32, options.repeats)
    if options.wide_pairs:
        sparse(options.wide_pairs, 65_536, 32, 1)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
