"""Names of features from words, and whether a name tells the samples that fire from those that do not."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.stats import rankdata

from modalens.arrays import Block, Matrix, iter_blocks, matrix_shape
from modalens.compiled import on_cores, one_blas_thread

INTRUDER_FIRING = 4
LEAST_FIRING = 5
_INTRUDER_DRAWS = 100


def without_means(
    rows: Float[np.ndarray, "n d"], means: Float[np.ndarray, "s d"], centre: Float[np.ndarray, " d"] | None
) -> Float[np.ndarray, "n d"]:
    """Rows of length one without a centre and without the span of the modality means: the gap is gone.

    Parameters
    ----------
    rows
        Decoder rows, or embeddings of words or samples.
    means
        Mean embedding of each modality.
    centre
        Subtracted first, such as the mean of the vocabulary; None for directions, which have none.
    """
    basis = np.linalg.svd(np.asarray(means, dtype=np.float64), full_matrices=False)[2]
    rows = np.asarray(rows, dtype=np.float64)
    rows = rows if centre is None else rows - centre
    return unit(rows - rows @ basis.T @ basis)


def unit(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows of length one; those of zeros stay."""
    rows = np.asarray(rows, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def nearest_words(
    directions: Float[np.ndarray, "f d"], vocabulary: Float[np.ndarray, "v d"], block: int = 1024
) -> Int[np.ndarray, " f"]:
    """The word of largest cosine for each direction; rows of either have length one, or are zeros."""
    parts = [
        (directions[start : start + block] @ vocabulary.T).argmax(axis=1)
        for start in range(0, len(directions), block)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def log_odds(inside: sp.csr_array, has: sp.csr_array, prior: float = 0.1) -> sp.csr_array:
    """How much more often each word stands in a feature's samples than in all others, in standard deviations.

    The log-odds ratio with a Dirichlet prior (Monroe et al. 2008, equations 16 and 22), the prior of a word being
    ``prior`` times its share of samples.

    Parameters
    ----------
    inside
        Samples of each feature, ones at (f, n).
    has
        Samples that have each word, ones at (n, t).

    Returns
    -------
    csr_array
        z of words that occur in a feature's samples, (f, t).
    """
    counts = sp.csr_array(inside @ has, dtype=np.float64)
    totals = np.asarray(has.sum(axis=0), dtype=np.float64).ravel()
    sizes = np.asarray(inside.sum(axis=1), dtype=np.float64).ravel()
    n = has.shape[0]
    feature = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    there, every, size = counts.data, totals[counts.indices], sizes[feature]
    a, all_ = prior * every / n + 1e-6, prior
    rest = every - there
    odds = np.log((there + a) / (size + all_ - there + 1e-9))
    others = np.log((rest + a) / (n - size + all_ - rest + 1e-9))
    z = (odds - others) / np.sqrt(1 / (there + a) + 1 / (rest + a))
    return sp.csr_array((z, counts.indices, counts.indptr), shape=counts.shape)


@dataclass(frozen=True)
class HeldOut:
    """Samples of one modality that played no part in naming.

    Attributes
    ----------
    embeddings
        As names are compared with: without means, of length one, (n, d).
    fires
        Samples that fire are its stored values, (n, f); rows of a column in ascending order.
    """

    embeddings: Float[np.ndarray, "n d"]
    fires: sp.csc_array


def score_names(
    names: Int[np.ndarray, " f"],
    words: Float[np.ndarray, "v d"],
    sides: Mapping[str, HeldOut],
    *,
    most: int = 200,
    shuffles: int = 199,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Score every name on held-out samples, beside names of other features.

    Parameters
    ----------
    names
        Word of each feature; -1 for none.
    words
        Embeddings of the words, without means, of length one.
    sides
        Held-out samples by modality.
    most
        Firing and other samples drawn of each feature at most.
    shuffles
        Names of other features that stand beside each.
    seed
        Of the draws.

    Returns
    -------
    dict
        (f,) each, NaN where a feature fires for under five held-out samples. By side ``detection`` (probability that a
        firing sample is nearer to the name than another, AUC; chance 0.5), ``intruder`` (how often the sample that
        does not fire is found among four that do; chance 0.2), and ``shuffled`` of both, the mean over names of other
        features: ``image_detection``, ``image_detection_shuffled`` and so on. ``p``: share of shuffled names whose
        mean detection over sides is as good.
    """
    f = len(names)
    found = {
        f"{side}_{what}{end}": np.full(f, np.nan)
        for side in sides
        for what in ("detection", "intruder")
        for end in ("", "_shuffled")
    }
    found["p"] = np.full(f, np.nan)
    named = np.flatnonzero(names >= 0)
    pool = names[named]

    def score(feature: int) -> None:
        rng = np.random.default_rng((seed, feature))
        others = pool[pool != names[feature]]
        if not len(others):
            return
        asked = words[np.concatenate([[names[feature]], rng.choice(others, shuffles)])]
        detections = []
        for side, held in sides.items():
            drawn = _drawn(held, feature, most, rng)
            if drawn is None:
                continue
            firing, rest = (asked @ held.embeddings[rows].T for rows in drawn)
            areas = _areas(firing, rest)
            intruders = _intruders(firing[:21], rest[:21], rng)
            for what, values in (("detection", areas), ("intruder", intruders)):
                found[f"{side}_{what}"][feature] = values[0]
                found[f"{side}_{what}_shuffled"][feature] = values[1:].mean()
            detections.append(areas)
        if detections:
            mean = np.mean(detections, axis=0)
            found["p"][feature] = (1 + (mean[1:] >= mean[0] - 1e-12).sum()) / (1 + shuffles)

    with one_blas_thread():  # of products this small the threads would mostly wait for one another
        on_cores(score, ((feature,) for feature in named.tolist()))
    return found


def firing(codes: Matrix, most: int = 2**24) -> sp.csr_array:
    """Values of the samples a feature fires for: those over 0, or the tenth of largest value where most are.

    A signed feature is taken by its positive end.

    Parameters
    ----------
    codes
        Features of samples, (n, f), read in blocks of rows.
    most
        Values held at a time beyond those that fire.

    Returns
    -------
    csr_array
        (n, f), without stored zeros.
    """
    n, f = matrix_shape(codes)
    rows = max(1, most // f)
    counts = np.zeros(f, dtype=np.int64)
    for _, block in iter_blocks(codes, rows):
        counts += np.bincount(_positive(block).indices, minlength=f)
    least = np.zeros(f)
    dense = np.flatnonzero(counts > n / 4)
    for start in range(0, len(dense), max(1, most // n)):
        some = dense[start : start + max(1, most // n)]
        parts = [block[:, some] for _, block in iter_blocks(codes, rows)]
        least[some] = np.quantile(np.concatenate([_filled(part) for part in parts]), 0.9, axis=0)
    found = []
    for _, block in iter_blocks(codes, rows):
        part = _positive(block)
        part.data[part.data < least[part.indices]] = 0
        part.eliminate_zeros()
        found.append(part)
    return sp.csr_array(sp.vstack(found, format="csr"))


def _positive(block: Block) -> sp.csr_array:
    """The values over 0."""
    if isinstance(block, np.ndarray):
        return sp.csr_array(np.maximum(block, 0))
    kept = sp.csr_array(block, copy=True)
    kept.data[kept.data < 0] = 0
    kept.eliminate_zeros()
    return kept


def _filled(block: Block) -> np.ndarray:
    filled: np.ndarray = block if isinstance(block, np.ndarray) else block.toarray()
    return filled


def _drawn(
    held: HeldOut, feature: int, most: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    fires = held.fires
    rows = fires.indices[fires.indptr[feature] : fires.indptr[feature + 1]]
    n = fires.shape[0]
    if len(rows) < LEAST_FIRING or n - len(rows) < LEAST_FIRING:
        return None
    others = np.ones(n, dtype=bool)
    others[rows] = False
    rest = np.flatnonzero(others)
    return tuple(  # type: ignore[return-value]
        each if len(each) <= most else rng.choice(each, most, replace=False) for each in (rows, rest)
    )


def _areas(firing: Float[np.ndarray, "k a"], rest: Float[np.ndarray, "k b"]) -> Float[np.ndarray, " k"]:
    """Area under the ROC curve of each row; ties count half."""
    a, b = firing.shape[1], rest.shape[1]
    ranks = rankdata(np.concatenate([firing, rest], axis=1), axis=1)[:, :a].sum(axis=1)
    areas: np.ndarray = (ranks - a * (a + 1) / 2) / (a * b)
    return areas


def _intruders(
    firing: Float[np.ndarray, "k a"], rest: Float[np.ndarray, "k b"], rng: np.random.Generator
) -> Float[np.ndarray, " k"]:
    """How often each row gives one sample of the rest less than all of four firing ones."""
    draws = rng.random((_INTRUDER_DRAWS, firing.shape[1])).argsort(axis=1)[:, :INTRUDER_FIRING]
    other = rng.integers(rest.shape[1], size=_INTRUDER_DRAWS)
    shares: np.ndarray = (rest[:, other] < firing[:, draws].min(axis=2)).mean(axis=1)
    return shares
