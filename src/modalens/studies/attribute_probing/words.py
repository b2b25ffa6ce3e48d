"""Which words stand in the texts whose strongest features are mostly of one class, beside chance."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from modalens.statistics.intervals import percentile_interval

BINS, TOP, SHUFFLES = 4, 8, 500
_CHUNK = 50
_TOKEN = r"(?u)\b[^\W\d_]{2,}\b"


@dataclass(frozen=True)
class Words:
    """Words by share, and whether they go with it.

    Attributes
    ----------
    table
        One row for each part of the texts, lowest share first: ``share`` (mean), ``share_low`` and
        ``share_high`` (its ends), ``units``, ``texts``, ``frequent`` (the papers' words: those most units have)
        and ``typical`` (those that this part has more often than the others).
    distance
        Half the sum of differences between the word frequencies of the lowest and of the highest part: 0 if
        they use words alike, 1 if they share none.
    chance, chance_low, chance_high
        The same where units have each other's shares: its mean, and where 95 % lie.
    p
        How often chance is as far apart.
    """

    table: pd.DataFrame
    distance: float
    chance: float
    chance_low: float
    chance_high: float
    p: float


def words_by_share(
    texts: Sequence[str],
    share: Float[np.ndarray, " n"],
    keys: Int[np.ndarray, " n"],
    left_out: Collection[str] = (),
    *,
    seed: int = 0,
) -> Words | None:
    """Cut texts into four parts by their share of a class and list the words of each.

    Parameters
    ----------
    texts
        Texts, (n,).
    share
        Share of the class among each text's strongest features (:func:`class_share`); NaN leaves a text out.
    keys
        Texts that share a key are one unit: it has their mean share, and a word once that any of them has.
    left_out
        Words not to count, beside scikit-learn's English stop words.
    seed
        Of the shuffles.

    Returns
    -------
    Words or None
        None where all units have one share, or fewer than two are left, or no word is.
    """
    frame = pd.DataFrame({"text": list(texts), "share": share, "key": keys}).dropna()
    frame["text"] = frame["text"].astype(str).str.replace("’", "'").str.replace(r"'s\b", "", regex=True)
    units = frame.groupby("key").agg(
        text=("text", "\n".join), share=("share", "mean"), texts=("text", "size")
    )
    if units["share"].nunique() < 2:
        return None
    stop = sorted(ENGLISH_STOP_WORDS | {word.lower() for word in left_out})
    counter = CountVectorizer(binary=True, token_pattern=_TOKEN, stop_words=stop)
    try:
        has = sp.csr_array(counter.fit_transform(units["text"]), dtype=np.float64)
    except ValueError:  # nothing but stop words
        return None
    part = pd.qcut(units["share"], BINS, labels=False, duplicates="drop").to_numpy()
    part = np.unique(part, return_inverse=True)[1]
    if part.max() == 0:
        return None
    words = counter.get_feature_names_out()
    rows = [_row(units[part == each], has, part == each, words) for each in range(part.max() + 1)]
    distance = _distances(has, part[None])[0]
    generator = np.random.default_rng(seed)
    shuffled = np.concatenate(
        [
            _distances(has, generator.permuted(np.tile(part, (_CHUNK, 1)), axis=1))
            for _ in range(SHUFFLES // _CHUNK)
        ]
    )
    low, high = percentile_interval(shuffled)
    p = (1 + (shuffled >= distance - 1e-12).sum()) / (1 + SHUFFLES)
    return Words(
        pd.DataFrame(rows), float(distance), float(shuffled.mean()), float(low), float(high), float(p)
    )


def _row(units: pd.DataFrame, has: sp.csr_array, inside: np.ndarray, words: np.ndarray) -> dict[str, object]:
    within = np.asarray(has[inside].mean(axis=0)).ravel()
    beyond = np.asarray(has[~inside].mean(axis=0)).ravel()
    return {
        "share": float(units["share"].mean()),
        "share_low": float(units["share"].min()),
        "share_high": float(units["share"].max()),
        "units": len(units),
        "texts": int(units["texts"].sum()),
        "frequent": _first(words, within),
        "typical": _first(words, within - beyond),
    }


def _first(words: np.ndarray, score: Float[np.ndarray, " w"]) -> str:
    """The words with the highest scores over 0, of equals by the alphabet."""
    order = np.argsort(-score, kind="stable")[:TOP]
    return ", ".join(words[order[score[order] > 0]])


def _distances(has: sp.csr_array, parts: Int[np.ndarray, "r u"]) -> Float[np.ndarray, " r"]:
    """Total variation between the words of the lowest and of the highest part; 1 where one has no word."""
    frequencies = []
    for part in (0, parts.max()):
        counts = np.asarray((parts == part).astype(np.float64) @ has)
        frequencies.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    # A part without a word has no frequencies, and is as far from words as can be.
    low, high = frequencies
    apart: np.ndarray = np.abs(low - high).sum(axis=1) / 2
    empty = (low.sum(axis=1) == 0) | (high.sum(axis=1) == 0)
    return np.where(empty, 1.0, apart)
