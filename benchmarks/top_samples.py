"""Time and memory of the strongest samples of all features, beside sorting each column.

Run ``python benchmarks/top_samples.py``; ``--samples 400000`` shows that memory does not grow with samples.
"""

import argparse

import numpy as np
import scipy.sparse as sp

from dominance import sparse_codes
from measure import measured
from modalens.arrays import Matrix
from modalens.interpret import top_samples


def by_sorting(codes: np.ndarray, m: int) -> np.ndarray:
    """Rows of the m largest magnitudes of every column, equal ones in the order of rows."""
    return np.stack([np.argsort(-np.abs(column), kind="stable")[:m] for column in codes.T])


def by_sorting_sparse(codes: sp.csr_array, m: int) -> np.ndarray:
    """The same of a sparse matrix, -1 where a column has fewer."""
    columns = sp.csc_array(codes)
    rows = np.full((codes.shape[1], m), -1)
    for feature in range(codes.shape[1]):
        here = slice(columns.indptr[feature], columns.indptr[feature + 1])
        order = np.argsort(-np.abs(columns.data[here]), kind="stable")[:m]
        rows[feature, : len(order)] = columns.indices[here][order]
    return rows


def compare(name: str, codes: Matrix, m: int) -> None:
    sorting = by_sorting_sparse if sp.issparse(codes) else by_sorting
    top_samples(codes[:100], m)
    top, ours = measured(lambda: top_samples(codes, m))
    rows, naive = measured(lambda: sorting(codes, m))
    assert (rows == top.rows).all()
    print(f"{name}: {codes.shape[0]:,} samples, {codes.shape[1]:,} features, m {m}")
    print(f"  top_samples           {ours}")
    print(f"  sorting each column   {naive}")
    print(
        f"  {naive.wall / ours.wall:.1f} times as fast ({naive.cpu / ours.cpu:.1f} by CPU time)", flush=True
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--samples", type=int, default=100_000)
    options.add_argument("--n-features", type=int, default=512, help="of the dense matrix")
    options.add_argument("--codes", type=int, default=65_536, help="features of the sparse matrix")
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--m", type=int, default=20)
    given = options.parse_args()
    generator = np.random.default_rng(0)
    dense = generator.standard_normal((given.samples, given.n_features), dtype=np.float32)
    compare("dense", dense, given.m)
    compare("CSR", sparse_codes(generator, given.samples, given.codes, given.k), given.m)


if __name__ == "__main__":
    main()
