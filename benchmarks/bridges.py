"""Time and memory of bridges, and how they compare with dense correlations.

Run ``python benchmarks/bridges.py``, with ``--pairs 20000 --n-features 65536 --shuffles 200`` for the full size; the
ratio compares two runs of one process on the same data.
"""

import argparse

import numpy as np
import scipy.sparse as sp

from measure import measured
from modalens.dominance import modality_dominance
from modalens.interpret.bridges import bridges

_D = 512
_DENSE_SHUFFLES = 10


def one_sided_codes(
    generator: np.random.Generator, n: int, n_features: int, k: int
) -> tuple[sp.csr_array, sp.csr_array]:
    """Codes as autoencoders give them: an image fires mostly one half of the features, a text the other."""
    sides = []
    for side in (0, 1):
        own = generator.random((n, k)) < 0.9
        half = (n_features // 2 * generator.random((n, k)) ** 2).astype(np.int64)
        features = half + np.where(own, side, 1 - side) * (n_features // 2)
        values = generator.exponential(size=features.size).astype(np.float32)
        codes = sp.csr_array(
            (values, features.ravel(), np.arange(0, features.size + 1, k)), shape=(n, n_features)
        )
        codes.sum_duplicates()
        sides.append(codes)
    return sides[0], sides[1]


def dense_null(image: np.ndarray, text: np.ndarray, decoder: np.ndarray, shuffles: int) -> np.ndarray:
    """The best bridge of every image feature over shuffled pairs, as one would write it down."""
    geometry = np.maximum(decoder[: image.shape[1]] @ decoder[image.shape[1] :].T, 0)

    def standard(codes: np.ndarray) -> np.ndarray:
        centred = codes - codes.mean(axis=0)
        return centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-12)

    image, text = standard(image), standard(text)
    generator = np.random.default_rng(0)
    best = [
        (image.T @ text[generator.permutation(len(text))] * geometry).max(axis=1) for _ in range(shuffles)
    ]
    return np.stack(best)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=5_000)
    options.add_argument("--n-features", type=int, default=8_192)
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--shuffles", type=int, default=100)
    options.add_argument("--dense-features", type=int, default=2048, help="features of the comparison")
    given = options.parse_args()
    generator = np.random.default_rng(0)
    for n_features in (given.dense_features, given.n_features):
        print(f"{given.pairs:,} pairs, {n_features:,} features, {given.k} active, {given.shuffles} shuffles")
        image, text = one_sided_codes(generator, given.pairs, n_features, given.k)
        decoder = generator.standard_normal((n_features, _D), dtype=np.float32)
        mds = modality_dominance(image, text, rule="twofold", resamples=0)
        bridges(image[:50], text[:50], decoder, mds, shuffles=100)  # compiles
        links, ours = measured(
            lambda i=image, t=text, w=decoder, m=mds: bridges(i, t, w, m, shuffles=given.shuffles)
        )
        print(f"  bridges                    {ours}")
        print(f"  {links.counts()}")
        if n_features == given.dense_features:
            half = n_features // 2
            parts = [image[:, :half].toarray(), text[:, half:].toarray()]
            unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
            _, dense = measured(lambda p=parts, w=unit: dense_null(*p, w, _DENSE_SHUFFLES))
            times = given.shuffles / _DENSE_SHUFFLES
            print(f"  dense, {_DENSE_SHUFFLES} shuffles         {dense}")
            print(
                f"  all its shuffles would take {dense.wall * times / ours.wall:.1f} times as long "
                f"({dense.cpu * times / ours.cpu:.1f} by CPU time)",
                flush=True,
            )


if __name__ == "__main__":
    main()
