"""Monosemanticity and bridges of sparse codes."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from modalens.benchmarks.case import Case, Place
from modalens.benchmarks.cases.data import embeddings, one_sided_codes, sparse_codes, unit_rows
from modalens.dominance import modality_dominance
from modalens.interpret import bridges, monosemanticity, top_samples

_DECODER = 512
_CHECKED = 50


def mono(
    at: Place, *, samples: int, features: int, k: int, width: int, m: int, draws: int, loop: int
) -> Case:
    """Monosemanticity, beside a plain loop over ``loop`` of the features."""
    codes = sparse_codes(samples, features, k)
    unit = unit_rows(embeddings(samples, width)[0] + 0.1)
    groups, top = np.arange(samples), top_samples(codes, m)
    columns = sp.csc_array(codes)
    picked = np.random.default_rng(1).choice(features, min(loop, features), replace=False)

    def difference(ours: Any, plain: np.ndarray) -> float:
        # Random samples differ; mean cosines of the strongest ones do not.
        chance = mean_cosine(unit)
        found = ours.embsim[picked] * abs(chance) + chance
        return float(np.nanmax(np.abs(found - plain)))

    return Case(
        ours=lambda: monosemanticity(codes, unit, m, draws=draws, top=top, groups=groups),
        theirs=lambda: plain_mono(columns, unit, picked, m, draws),
        difference=difference,
        tolerance=1e-4,
        theirs_times=features / len(picked),
        warm_up=lambda: monosemanticity(codes[:100], unit[:100], m, groups=groups[:100]),
    )


def plain_mono(codes: sp.csc_array, unit: np.ndarray, features: np.ndarray, m: int, draws: int) -> np.ndarray:
    """The metrics as one would write them down, feature by feature; gives the mean cosines of the strongest."""
    generator, found = np.random.default_rng(0), np.full(len(features), np.nan)
    for place, feature in enumerate(features):
        column = codes[:, [feature]].tocoo()
        rows = column.row[np.argsort(-column.data, kind="stable")[:m]]
        if len(rows) < 2:
            continue
        others = ~np.eye(len(rows), dtype=bool)
        strong = (unit[rows] @ unit[rows].T)[others]
        found[place] = strong.mean()
        for _ in range(draws):
            drawn = generator.choice(len(unit), len(rows), replace=False)
            random = (unit[drawn] @ unit[drawn].T)[others]
            (strong.mean() - random.mean()) / abs(random.mean())
            ((strong - random) / random).mean()
            (strong > random).mean()
    return found


def mean_cosine(unit: np.ndarray) -> float:
    """Mean cosine of two samples."""
    n = len(unit)
    return float((np.square(unit.sum(axis=0, dtype=np.float64)).sum() - n) / (n * (n - 1)))


def bridge(
    at: Place, *, pairs: int, features: int, k: int, shuffles: int, dense: int, dense_shuffles: int
) -> Case:
    """Bridges and verdicts, beside dense products for shuffled pairs alone.

    The dense products are of ``dense`` features of each side and ``dense_shuffles`` shuffles; all would take
    as many times as long as there are more of each.
    """
    image, text = one_sided_codes(pairs, features, k)
    decoder = embeddings(features, _DECODER)[0]
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    half = features // 2
    dense = min(dense, half)
    parts = image[:, :dense].toarray(), text[:, half : half + dense].toarray()
    unit = unit_rows(decoder)
    geometry = unit[:dense] @ unit[half : half + dense].T

    def ours() -> Any:
        return bridges(image, text, decoder, mds, shuffles=shuffles, groups=np.arange(pairs), max_pairs=pairs)

    return Case(
        ours=ours,
        theirs=lambda: dense_null(*parts, geometry, dense_shuffles),
        difference=lambda links, _: _best_apart(links, image, text, unit, mds),
        tolerance=1e-5,
        theirs_times=(half / dense) ** 2 * shuffles / dense_shuffles,
        warm_up=lambda: bridges(image[:50], text[:50], decoder, mds, shuffles=100, groups=np.arange(50)),
    )


def dense_null(image: np.ndarray, text: np.ndarray, geometry: np.ndarray, shuffles: int) -> np.ndarray:
    """The best bridge of every image feature over shuffled pairs, as one would write it down."""
    image, text, geometry = _standard(image), _standard(text), np.maximum(geometry, 0)
    generator = np.random.default_rng(0)
    best = [
        (image.T @ text[generator.permutation(len(text))] * geometry).max(axis=1) for _ in range(shuffles)
    ]
    return np.stack(best)


def _standard(codes: np.ndarray) -> np.ndarray:
    centred = codes - codes.mean(axis=0)
    standard: np.ndarray = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    return standard


def _best_apart(links: Any, image: sp.csr_array, text: sp.csr_array, unit: np.ndarray, mds: Any) -> float:
    """How far the best bridges of some image features are from those of dense products."""
    mine, others = mds.indices("image")[:_CHECKED], mds.indices("text")
    if not len(mine) or not len(others):
        return 0.0
    sides = (_standard(side.toarray().astype(np.float64)) for side in (image[:, mine], text[:, others]))
    first, second = sides
    found = first.T @ second * np.maximum(unit[mine] @ unit[others].T, 0)
    return float(np.abs(np.nan_to_num(links.bridges[mine, 0]) - np.maximum(found.max(axis=1), 0)).max())
