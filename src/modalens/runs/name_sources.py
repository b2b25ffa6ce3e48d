"""Where names come from: decoder rows held against words, distinctive words of captions, and a chat model."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import scipy.sparse as sp

from modalens.arrays import iter_blocks
from modalens.errors import InputError, ModalensError
from modalens.interpret.names import LEAST_FIRING, HeldOut, firing, log_odds, nearest_words, unit
from modalens.progress import progress_bar
from modalens.runs.asking import question, short_name
from modalens.runs.galleries import pictures_of
from modalens.runs.representations import Representation
from modalens.studies.adversarial_images.servers import server_named

LONGEST = 60  # letters of a name
ROWS, _FEATURES = 4096, 1024  # read, and counted, at a time
_SHOWN, _CAPTION = 8, 300  # texts of either kind that a model reads, and letters of each
_ASKED = 256  # features whose pictures are read in one walk over the source
_TOKEN = r"[^\W\d_][\w'-]+"


def nearest_to_rows(
    each: Representation, ready: Callable[[np.ndarray], np.ndarray], words: np.ndarray
) -> np.ndarray:
    """The nearest word of each decoder row, made ready for the comparison a block at a time."""
    if each.directions is None or each.learned is None:
        raise InputError(f"{each.name} has no decoder to look up; name it by --source captions.")
    scale = each.learned.model.standardiser("image")[1].cpu().numpy()
    parts = [
        nearest_words(
            ready(np.asarray(each.directions[start : start + ROWS], dtype=np.float64) * scale), words
        )
        for start in range(0, each.directions.shape[0], ROWS)
    ]
    return np.concatenate(parts)


def captions_of(each: Representation, rows: np.ndarray) -> list[str]:
    """Captions of some scored pairs; empty for those without."""
    return [text if isinstance(text, str) else "" for text in each.column("caption")[rows]]


def distinctive(
    captions: Sequence[str], fires: sp.csr_array, embeddings: Any
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The most distinctive word or phrase of each feature: words, places (-1 for none), mean embeddings of words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

    counter = CountVectorizer(
        binary=True,
        ngram_range=(1, 2),
        min_df=3,
        token_pattern=_TOKEN,
        stop_words=sorted(ENGLISH_STOP_WORDS),
    )
    try:
        has = sp.csr_array(counter.fit_transform(captions), dtype=np.float64)
    except ValueError as error:
        raise InputError("The captions share no words to name features by.") from error
    inside = sp.csr_array(fires.T)
    inside.data[:] = 1
    places = np.full(fires.shape[1], -1)
    for start in range(0, len(places), _FEATURES):
        z = log_odds(inside[start : start + _FEATURES].astype(np.float64), has)
        for feature in range(z.shape[0]):
            first, end = z.indptr[feature], z.indptr[feature + 1]
            if end > first:
                places[start + feature] = z.indices[first + int(z.data[first:end].argmax())]
    used, found = np.unique(places[places >= 0], return_inverse=True)
    places[places >= 0] = found
    names = counter.get_feature_names_out()[used]
    of_used = sp.csr_array(has[:, used])
    sums = np.zeros((len(used), embeddings.shape[1]))
    for start, block in iter_blocks(embeddings, ROWS):
        sums += of_used[start : start + len(block)].T @ unit(block)
    counts = np.asarray(of_used.sum(axis=0)).reshape(-1, 1)
    return [word[:LONGEST] for word in names], places, sums / counts


def asked(
    each: Representation,
    rows: np.ndarray,
    held: Mapping[str, HeldOut],
    model: str,
    *,
    pictures: int,
    seed: int,
) -> tuple[list[str], np.ndarray]:
    """What a model behind a server calls each feature with a score: names, and each feature's place (-1 for none)."""
    server = server_named(model)
    store = each.store if each.embeddings is None else each.embeddings
    captions = captions_of(each, rows)
    ids: Any = store.ids if pictures else []
    strong = [sp.csc_array(firing(side.pick(rows))) for side in (each.image, each.text)]
    fired = [np.diff(side.fires.indptr) >= LEAST_FIRING for side in held.values()]
    names: dict[str, int] = {}
    places = np.full(strong[0].shape[1], -1)
    features = np.flatnonzero(fired[0] | fired[1])
    if len(features) == 0:
        raise InputError(
            f"No feature fires on {LEAST_FIRING} held-out samples of a side, so that there is none to ask a name of."
        )
    with progress_bar("Asking for names", len(features)) as advance:
        for start in range(0, len(features), _ASKED):
            tops = {
                feature: [strongest_rows(side, feature, _SHOWN) for side in strong]
                for feature in features[start : start + _ASKED].tolist()
            }
            # One walk over the source for many features.
            wanted = {
                feature: [ids[each.rows[rows[row]]] for row in top[0][:pictures]] if pictures else []
                for feature, top in tops.items()
            }
            listed = list(dict.fromkeys(name for part in wanted.values() for name in part))
            found = dict(zip(listed, pictures_of(store, listed) if listed else [], strict=True))
            for feature, top in tops.items():
                texts = _contrasted(captions, top, np.random.default_rng((seed, feature)))
                images = [image for name in wanted[feature] if (image := found[name]) is not None]
                answer = server.ask(question(*texts, images), seed=seed, temperature=0.0, max_tokens=24)
                if name := short_name(answer):
                    places[feature] = names.setdefault(name, len(names))
                advance(1)
    if not names:
        raise ModalensError(
            f"The model behind {server.url} named no feature; see that it answers with a few words."
        )
    return list(names), places


def _contrasted(
    captions: Sequence[str], tops: Sequence[Sequence[int]], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Captions of the strongest pairs, of either side in turn, and of others."""
    like = list(dict.fromkeys(row for pair in zip_longest(*tops) for row in pair if row is not None))
    drawn = rng.choice(len(captions), min(len(captions), 3 * _SHOWN), replace=False).tolist()
    unlike = [row for row in drawn if row not in set(like)]
    first, second = ([captions[row][:_CAPTION] for row in part[:_SHOWN]] for part in (like, unlike))
    return first, second


def some_rows(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many rows, drawn at random, in ascending order."""
    if len(rows) <= most:
        return rows
    drawn: np.ndarray = np.sort(rng.choice(rows, most, replace=False))
    return drawn


def strongest_rows(codes: sp.csc_array, feature: int, most: int) -> list[int]:
    """The rows of a feature's largest values, largest first."""
    span = slice(codes.indptr[feature], codes.indptr[feature + 1])
    order = np.argsort(-codes.data[span], kind="stable")[:most]
    rows: list[int] = codes.indices[span][order].tolist()
    return rows
