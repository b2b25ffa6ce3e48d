"""Time and memory of monosemanticity over many sparse features, beside a plain loop over features.

Run ``python benchmarks/monosemanticity.py``, with ``--n-features 65536`` for the full size. Codes and sample
embeddings are random; the loop scores some of the features and is held against the same share of the batched time.
"""

import argparse

import numpy as np
import scipy.sparse as sp

from dominance import sparse_codes
from measure import measured
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
    options.add_argument("--samples", type=int, default=50_000)
    options.add_argument("--n-features", type=int, default=8_192)
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

    monosemanticity(codes[:100], embeddings[:100], given.m)  # compiles
    top, cost = measured(lambda: top_samples(codes, given.m))
    print(f"  top_samples      {cost}")
    scores, ours = measured(
        lambda: monosemanticity(
            codes, embeddings, given.m, draws=given.draws, top=top, groups=range(len(embeddings))
        )
    )
    print(f"  monosemanticity  {ours}")
    print(
        f"  {scores.scored.sum():,} features scored, mean winrate {np.nanmean(scores.winrate):.3f} (chance 0.5)"
    )

    picked = generator.choice(given.n_features, min(given.loop_features, given.n_features), replace=False)
    by_feature = sp.csc_array(codes)
    _, loop = measured(lambda: plain_scores(by_feature, embeddings, picked, given.m, given.draws))
    times = given.n_features / len(picked)
    print(f"  a plain loop would take {loop.wall * times:.1f} s, {loop.cpu * times:.1f} s of CPU")
    print(
        f"  {loop.wall * times / ours.wall:.1f} times as long ({loop.cpu * times / ours.cpu:.1f} by CPU time)"
    )


if __name__ == "__main__":
    main()
