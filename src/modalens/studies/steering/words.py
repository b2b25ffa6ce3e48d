"""Labels from captions, for pairs without a column of labels."""

from collections.abc import Sequence

import numpy as np

# Words in a smaller share of captions have too few samples, in a larger one they are no attribute.
_RARE, _COMMON = 0.01, 0.25
_TOKEN = r"(?u)\b[^\W\d_]{3,}\b"


def caption_labels(captions: Sequence[str], most: int) -> np.ndarray:
    """The one of the commonest words that stands in each caption, (n,) objects; None for none or several.

    Parameters
    ----------
    captions
        One a pair.
    most
        How many words, of those in 1 to 25 % of captions, without English stop words.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    n = len(captions)
    found = np.empty(n, dtype=object)
    words = CountVectorizer(binary=True, stop_words="english", token_pattern=_TOKEN, dtype=np.int32)
    try:
        has = words.fit_transform(captions).tocsc()
    except ValueError:  # no caption has a word
        return found
    shares = np.asarray(has.sum(axis=0)).ravel() / n
    known = np.flatnonzero((shares >= _RARE) & (shares <= _COMMON))
    chosen = known[np.argsort(-shares[known], kind="stable")[:most]]
    if not len(chosen):
        return found
    has = has[:, chosen].tocsr()
    names = words.get_feature_names_out()[chosen]
    alone = np.flatnonzero(np.diff(has.indptr) == 1)
    found[alone] = names[has.indices[has.indptr[alone]]]
    return found
