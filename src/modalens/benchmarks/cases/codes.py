"""Encoding to sparse codes, and the strongest samples of features."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from modalens.arrays import Matrix
from modalens.benchmarks.case import Case, Place
from modalens.benchmarks.cases.data import embeddings, sparse_codes
from modalens.features import SAEConfig, TopKSAE
from modalens.interpret import top_samples

_BLOCK = 2048


def random_sae(width: int, features: int, k: int) -> TopKSAE:
    """An autoencoder of random weights without biases, whose decoder is its encoder."""
    weight = torch.randn(features, width, generator=torch.Generator().manual_seed(0)) / width**0.5
    tensors = {"W_enc": weight, "W_dec": weight, "b_enc": torch.zeros(features), "b_pre": torch.zeros(width)}
    tensors |= {"mean": torch.zeros(2, width), "scale": torch.ones(2, width)}
    return TopKSAE(SAEConfig(d=width, n_features=features, k=k), tensors)


def encode(at: Place, *, samples: int, width: int, features: int, k: int) -> Case:
    """Encoding, beside PyTorch's ``topk`` and ``to_sparse_csr``; the floor is the encoder's product."""
    sae = random_sae(width, features, k).to(at.device)
    x = embeddings(samples, width)[0]
    weight = sae.W_enc

    def products() -> None:
        for rows in torch.split(torch.from_numpy(x), _BLOCK):
            rows.to(at.device) @ weight.T

    return Case(
        ours=lambda: sae.encode(x),
        theirs=lambda: plain_codes(x, weight, k),
        floor=products,
        difference=codes_apart,
        tolerance=1e-4,
        repeats=2,
        warm_up=lambda: sae.encode(x[:10]),
    )


def codes_apart(mine: sp.csr_array, plain: sp.csr_array) -> float:
    """The largest difference of codes, less where a sample's last place is a tie that rounding decides."""
    last = np.minimum.reduceat(plain.data, plain.indptr[:-1])
    found = (mine - plain).tocoo()
    size = abs(found.data)
    return float(np.minimum(size, abs(size - last[found.row])).max(initial=0))


def plain_codes(x: np.ndarray, weight: torch.Tensor, k: int) -> sp.csr_array:
    """The codes as one would write them down."""
    parts = []
    with torch.inference_mode():
        for rows in torch.split(torch.from_numpy(x), _BLOCK):
            best = torch.topk(torch.relu(rows.to(weight.device) @ weight.T), k)
            dense = torch.zeros(len(rows), len(weight), device=weight.device)
            sparse = dense.scatter_(1, best.indices, best.values).to_sparse_csr().cpu()
            arrays = (sparse.values().numpy(), sparse.col_indices().numpy(), sparse.crow_indices().numpy())
            parts.append(sp.csr_array(arrays, shape=tuple(sparse.shape)))
    return sp.csr_array(sp.vstack(parts, format="csr"))


def top_of_dense(at: Place, *, samples: int, features: int, m: int) -> Case:
    """The strongest samples of dense features, beside sorting each column."""
    return _top(embeddings(samples, features)[0], m, _by_sorting)


def top_of_sparse(at: Place, *, samples: int, features: int, k: int, m: int) -> Case:
    """The strongest samples of sparse features, beside sorting the entries of each column."""
    return _top(sparse_codes(samples, features, k), m, _by_sorting_sparse)


def _top(codes: Matrix, m: int, sorting: Any) -> Case:
    return Case(
        ours=lambda: top_samples(codes, m),
        theirs=lambda: sorting(codes, m),
        difference=lambda top, rows: float((top.rows != rows).sum()),
        repeats=2,
        warm_up=lambda: top_samples(codes[:50], m),
    )


def _by_sorting(codes: np.ndarray, m: int) -> np.ndarray:
    """Rows of the m largest magnitudes of every column, equal ones in the order of rows."""
    return np.stack([np.argsort(-np.abs(column), kind="stable")[:m] for column in codes.T])


def _by_sorting_sparse(codes: sp.csr_array, m: int) -> np.ndarray:
    """The same of a sparse matrix, -1 where a column has fewer."""
    columns = sp.csc_array(codes)
    rows = np.full((codes.shape[1], m), -1)
    for feature in range(codes.shape[1]):
        here = slice(columns.indptr[feature], columns.indptr[feature + 1])
        order = np.argsort(-np.abs(columns.data[here]), kind="stable")[:m]
        rows[feature, : len(order)] = columns.indices[here][order]
    return rows
