"""Time and memory of monosemanticity over many sparse features, beside a plain loop over features.

Run ``python benchmarks/monosemanticity.py``. Codes and sample embeddings are random; the loop scores some of the
features and is held against the same share of the batched time.
"""

import argparse
import time

import numpy as np
import scipy.sparse as sp

from dominance import sparse_codes
from measure import PeakMemory
from modalens.interpret import monosemanticity, top_samples


def plain_scores(codes: sp.csc_array, unit: np.ndarray, features: np.ndarray, m: int, draws: int) -> None:
    """The metrics as one would write them down, feature by feature."""
    generator = np.random.default_rng(0)
    for feature in features:
        column = codes[:, [feature]].tocoo()
        rows = column.row[np.argsort(-column.data, kind="stable")[:m]]
        if len(rows) < 2:
            continue
        others = ~np.eye(len(rows), dtype=bool)
        strong = (unit[rows] @ unit[rows].T)[others]
        for _ in range(draws):
            drawn = generator.choice(len(unit), len(rows), replace=False)
            random = (unit[drawn] @ unit[drawn].T)[others]
            (strong.mean() - random.mean()) / abs(random.mean())
            ((strong - random) / random).mean()
            (strong > random).mean()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--samples", type=int, default=100_000)
    options.add_argument("--n-features", type=int, default=65_536)
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--d", type=int, default=384)
    options.add_argument("--m", type=int, default=20)
    options.add_argument("--draws", type=int, default=5)
    options.add_argument("--loop-features", type=int, default=2_000)
    given = options.parse_args()
    generator = np.random.default_rng(0)
    codes = sparse_codes(generator, given.samples, given.n_features, given.k)
    embeddings = generator.normal(0.1, 1, size=(given.samples, given.d)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    print(
        f"{given.samples:,} samples, {given.n_features:,} features, {given.k} active, m {given.m}, d {given.d}"
    )

    started = time.perf_counter()
    with PeakMemory() as memory:
        top = top_samples(codes, given.m)
    print(f"  top_samples      {time.perf_counter() - started:7.1f} s   memory +{memory.growth:.2f} GiB")
    started = time.perf_counter()
    with PeakMemory() as memory:
        scores = monosemanticity(codes, embeddings, given.m, draws=given.draws, top=top)
    batched = time.perf_counter() - started
    print(f"  monosemanticity  {batched:7.1f} s   memory +{memory.growth:.2f} GiB, {given.draws} draws")
    print(
        f"  {scores.scored.sum():,} features scored, mean winrate {np.nanmean(scores.winrate):.3f} (chance 0.5)"
    )

    picked = generator.choice(given.n_features, min(given.loop_features, given.n_features), replace=False)
    by_feature = sp.csc_array(codes)
    started = time.perf_counter()
    plain_scores(by_feature, embeddings, picked, given.m, given.draws)
    loop = (time.perf_counter() - started) * given.n_features / len(picked)
    print(f"  a plain loop would take {loop:.0f} s: {loop / batched:.1f} times as long")


if __name__ == "__main__":
    main()
