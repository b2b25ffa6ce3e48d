"""Time and memory of encoding to sparse codes, beside PyTorch's topk and to_sparse_csr.

Run ``python benchmarks/encode.py``, with ``--n-features 65536`` for wide dictionaries.
"""

import argparse

import numpy as np
import scipy.sparse as sp
import torch

from measure import measured
from modalens.features import SAEConfig
from modalens.features.registry import kind_of

_BLOCK = 2048


def plain_codes(x: np.ndarray, weight: torch.Tensor, bias: torch.Tensor, k: int) -> sp.csr_array:
    """The codes as one would write them down."""
    parts = []
    with torch.inference_mode():
        for rows in torch.from_numpy(x).split(_BLOCK):
            best = torch.topk(torch.relu(rows @ weight.T + bias), k)
            sparse = (
                torch.zeros(len(rows), len(weight)).scatter_(1, best.indices, best.values).to_sparse_csr()
            )
            arrays = (sparse.values().numpy(), sparse.col_indices().numpy(), sparse.crow_indices().numpy())
            parts.append(sp.csr_array(arrays, shape=tuple(sparse.shape)))
    return sp.csr_array(sp.vstack(parts, format="csr"))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--samples", type=int, default=4_096)
    options.add_argument("--n-features", type=int, default=16_384)
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--d", type=int, default=512)
    given = options.parse_args()
    generator = torch.Generator().manual_seed(0)
    config = SAEConfig(d=given.d, n_features=given.n_features, k=given.k)
    weight = torch.randn(given.n_features, given.d, generator=generator) / given.d**0.5
    plain = {"b_enc": torch.zeros(given.n_features), "b_pre": torch.zeros(given.d)}
    standard = {"mean": torch.zeros(2, given.d), "scale": torch.ones(2, given.d)}
    sae = kind_of(config).model_class(config, {"W_enc": weight, "W_dec": weight, **plain, **standard})
    x = torch.randn(given.samples, given.d, generator=generator).numpy()
    sae.encode(x[:10])  # compiles
    codes, ours = measured(lambda: sae.encode(x))
    wanted, naive = measured(lambda: plain_codes(x, weight, plain["b_enc"], given.k))
    _, product = measured(lambda: [rows @ weight.T for rows in torch.from_numpy(x).split(_BLOCK)])
    assert abs(codes - wanted).max() < 1e-4
    print(f"{given.samples:,} samples, width {given.d}, {given.n_features:,} features, k {given.k}")
    print(f"  encode                  {ours}")
    print(f"  topk and to_sparse_csr  {naive}")
    print(f"  the dense product alone {product}")
    print(f"  {naive.wall / ours.wall:.1f} times as fast ({naive.cpu / ours.cpu:.1f} by CPU time)")


if __name__ == "__main__":
    main()
