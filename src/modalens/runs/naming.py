"""Names of a representation's features, scored on pairs that played no part in naming."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from modalens.arrays import iter_blocks
from modalens.errors import InputError
from modalens.files import read_bytes
from modalens.interpret.names import (
    HeldOut,
    firing,
    score_names,
    unit,
    without_means,
)
from modalens.options import Options, option
from modalens.pairs.text import plain_text
from modalens.runs.choice import one_of
from modalens.runs.layout import RunFolder
from modalens.runs.name_sources import (
    LONGEST,
    ROWS,
    asked,
    captions_of,
    distinctive,
    nearest_to_rows,
    some_rows,
)
from modalens.runs.origin import open_vlm
from modalens.runs.representations import RAW, Representation, find_representations
from modalens.statistics.controls import corrected
from modalens.store.atomic import whole_file, write_text
from modalens.store.kept import Kept, kept_or_made, read_inputs
from modalens.store.npy import open_npy
from modalens.studies.adversarial_images.servers import server_named

FOLDER = "names"
VOCABULARY, CAPTIONS = "vocabulary", "captions"
SOURCES = (VOCABULARY, CAPTIONS)
LEVEL = 0.05
_TABLE, _SUMMARY = "names.parquet", "summary.json"
_MOST_WORDS, _BATCH = 100_000, 256
_MOST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class NameConfig(Options):
    """How features are named.

    Attributes
    ----------
    source
        ``captions``: the word or two that stand more often in the captions of pairs that fire than in others.
        ``vocabulary``: the nearest of a list of words, in the model's own space without the gap.
    model
        A chat model behind an OpenAI-compatible server, as ``URL#MODEL``, that names features from their strongest
        captions instead; the key is that of ``OPENAI_API_KEY``.
    pictures
        Strongest pictures of a feature that the model sees too; for models that take pictures.
    most_pairs
        Pairs to name and to score by, drawn at random; half for either.
    """

    source: str = option(CAPTIONS, "Where names come from.", choices=SOURCES)
    model: str | None = option(
        None,
        "Chat model that names features from their strongest captions, as URL#MODEL (OpenAI-compatible).",
    )
    pictures: int = option(0, "Strongest pictures that the model sees too.", unit="pictures", least=0)
    most_pairs: int = option(
        40_000, "Most pairs, half to name by and half to score by.", unit="pairs", least=20
    )
    shuffles: int = option(199, "Names of other features beside each.", least=19)
    seed: int = option(0, "Seed of every draw.", least=0)
    device: str | None = option(None, "Device to embed words on (default: the best there is).")


@dataclass(frozen=True)
class Names:
    """Names of features with their scores.

    Attributes
    ----------
    table
        One row a feature: ``name``, the scores of :func:`modalens.interpret.names.score_names`, ``q`` (p corrected
        over features) and ``stands``: q is at most .05.
    summary
        One row a way of naming, ``plain`` (decoder rows looked up as they are) beside the one used: features scored,
        names that beat shuffled ones, and mean scores.
    """

    table: pd.DataFrame
    summary: Sequence[Mapping[str, Any]]

    def standing(self) -> np.ndarray:
        """The name of each feature, empty where it is no better than other features' names, (f,)."""
        found: np.ndarray = np.where(self.table["stands"], self.table["name"], "")
        return found


def name_features(
    each: Representation,
    config: NameConfig | None = None,
    *,
    vocabulary: Sequence[str] = (),
    embeddings: np.ndarray | None = None,
) -> Names:
    """Name the features of a representation and score the names; what an earlier call made of the same is kept.

    Parameters
    ----------
    each
        Learned features with a decoder where the source is ``vocabulary``.
    config
        How to name.
    vocabulary, embeddings
        Words, and their embeddings by the text tower, (v, d); without these the run's model embeds the words.

    Raises
    ------
    ModalensError
        If the words or the decoder are missing, the embeddings do not fit, or the model cannot be loaded.
    """
    config = config or NameConfig()
    words = _checked(vocabulary, embeddings, config)
    inputs = {
        "layout": 2,
        "of": dict(each.about()),
        "config": asdict(config),
        "words": words,
        "embeddings": None if embeddings is None else sha256(embeddings.tobytes()).hexdigest(),
    }
    folder = each.folder / FOLDER
    kept = Kept(folder, "the names", inputs, "modalens name")

    def make() -> Names:
        found = _make(each, config, words, embeddings)
        with whole_file(folder / _TABLE) as partial:
            found.table.to_parquet(partial, index=False)
        write_text(folder / _SUMMARY, json.dumps(list(found.summary)))
        return found

    return kept_or_made(kept, lambda: _load(folder), make)


@dataclass(frozen=True)
class NameFrom(Options):
    """The vocabulary that names come from, if they do.

    Attributes
    ----------
    vocabulary
        A text file of words, one a line.
    vocabulary_embeddings
        Their embeddings, (v, d).
    """

    vocabulary: Path | None = option(None, "Text file of words, one a line.")
    vocabulary_embeddings: Path | None = option(
        None, ".npy file of their embeddings (default: the run's model embeds them)."
    )


def name_run(
    run: RunFolder, config: NameConfig, words: NameFrom | None = None, features: str | None = None
) -> Names:
    """Name one set of features of a run; see :func:`name_features`.

    Parameters
    ----------
    run, features
        The run, and the set's name; the only learned set by default.
    config, words
        How to name, and by which words.

    Raises
    ------
    ModalensError
        As :func:`name_features`; also if a file of words or embeddings cannot be read.
    """
    listed, vectors = read_words(config, words or NameFrom())
    found = {each.name: each for each in find_representations(run).representations}
    each = found[one_of(features, [name for name in found if name != RAW])]
    return name_features(each, config, vocabulary=listed, embeddings=vectors)


def read_words(config: NameConfig, words: NameFrom) -> tuple[list[str], np.ndarray | None]:
    """The words of a vocabulary and their embeddings, (v, d), as far as there are any.

    Raises
    ------
    ModalensError
        If the options do not fit each other, a file cannot be read, or a server is none.
    """
    if (config.source == VOCABULARY) != (words.vocabulary is not None):
        raise InputError("A vocabulary is a file of words for the source vocabulary: give both or neither.")
    if words.vocabulary is None and words.vocabulary_embeddings is not None:
        raise InputError(
            "Embeddings are those of a vocabulary; give the file of its words with --vocabulary."
        )
    listed = [] if words.vocabulary is None else read_vocabulary(words.vocabulary)
    path = words.vocabulary_embeddings
    stored = None if path is None else open_npy(path, 2, "f", "make it again")
    _checked(listed, stored, config)
    if config.model:
        server_named(config.model)
    if stored is None:
        return listed, None
    vectors = np.asarray(stored, dtype=np.float64)
    if not np.isfinite(vectors).all():
        raise InputError(f"{path} holds numbers that are not finite; make it again.")
    return listed, vectors


def read_vocabulary(path: Path) -> list[str]:
    """The words of a text file, one a line; lines without a readable letter are left out.

    Raises
    ------
    ModalensError
        If it cannot be read, is larger than 16 MB or no UTF-8 text.
    """
    data = read_bytes(path, f"The vocabulary {path}", limit=_MOST_BYTES)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"The vocabulary {path} is no UTF-8 text; save it as one word a line.") from error
    return [word for word in map(_word, lines) if word]


def _word(text: str) -> str:
    """A word as files and pages can hold it; empty where nothing of it can be read."""
    word = plain_text(text).strip()[:LONGEST]
    return word if word.strip("\ufffd ") else ""


def load_names(each: Representation) -> Names | None:
    """What :func:`name_features` made of a representation as it is now; None if there is nothing."""
    folder = each.folder / FOLDER
    inputs = read_inputs(folder)
    if inputs is None:
        return None
    kept = Kept(folder, "the names", {**inputs, "of": dict(each.about())}, "modalens name")
    return None if kept.problem() is not None else _load(folder)


def _load(folder: Path) -> Names:
    return Names(pd.read_parquet(folder / _TABLE), json.loads((folder / _SUMMARY).read_text("utf-8")))


def _checked(vocabulary: Sequence[str], embeddings: np.ndarray | None, config: NameConfig) -> list[str]:
    if config.model and config.source == VOCABULARY:
        raise InputError("Names come from a vocabulary or from a model; give one of them.")
    if config.pictures and not config.model:
        raise InputError("Pictures are for a model; name one as URL#MODEL, or leave them out.")
    if config.source != VOCABULARY:
        return []
    words = [_word(word) for word in vocabulary]
    if "" in words:
        raise InputError(f"Word {words.index('') + 1} of the vocabulary has no letter; give words.")
    if len(words) < 2 or len(words) > _MOST_WORDS:
        raise InputError(f"The vocabulary has {len(words)} words; give 2 to {_MOST_WORDS:,}.")
    if len(set(words)) < 2:
        raise InputError(
            f"The vocabulary has one word, {words[0]!r}, {len(words)} times; give different ones."
        )
    if embeddings is not None and (embeddings.ndim != 2 or len(embeddings) != len(words)):
        raise InputError(
            f"The vocabulary has {len(words)} words and embeddings of shape {embeddings.shape}; give one row a word."
        )
    return words


def _make(each: Representation, config: NameConfig, words: list[str], embeddings: np.ndarray | None) -> Names:
    store = each.store if each.embeddings is None else each.embeddings
    groups = each.groups()
    keys = np.arange(len(each.rows)) if groups is None else groups
    rng = np.random.default_rng(config.seed)
    order = rng.permutation(np.unique(keys))
    naming = np.isin(keys, order[: len(order) // 2])
    a, b = (some_rows(np.flatnonzero(part), config.most_pairs // 2, rng) for part in (naming, ~naming))
    sides = {"image": store.image, "text": store.text}
    codes = {"image": each.image, "text": each.text}
    means = np.stack([_mean(side.pick(each.rows[a])) for side in sides.values()])
    held = {
        name: HeldOut(
            without_means(unit(_dense(side.pick(each.rows[b]))), means, mean),
            sp.csc_array(firing(codes[name].pick(b))),
        )
        for (name, side), mean in zip(sides.items(), means, strict=True)
    }
    if config.model:
        words, places = asked(each, a, held, config.model, pictures=config.pictures, seed=config.seed)
        chosen = {"model": places}
        space = _embedded(store, words, None, config.device)
        inside = without_means(space, means, means[1])
    elif config.source == VOCABULARY:
        space = _embedded(store, words, embeddings, config.device)
        if space.shape[1] != means.shape[1]:
            raise InputError(
                f"The vocabulary's embeddings have {space.shape[1]} numbers, the run's {means.shape[1]}."
            )
        inside = without_means(space, means, space.mean(axis=0))
        chosen = {
            "plain": nearest_to_rows(each, unit, space),
            "without the gap": nearest_to_rows(each, lambda rows: without_means(rows, means, None), inside),
        }
    else:
        fires = {name: firing(side.pick(a)) for name, side in codes.items()}
        words, places, vectors = distinctive(
            captions_of(each, a), fires["image"] + fires["text"], sides["text"].pick(each.rows[a])
        )
        inside = without_means(vectors, means, means[1])
        chosen = {"captions": places}
    table, summary = pd.DataFrame(), []
    for way, names in chosen.items():
        table = _scored(words, names, inside, held, config)
        means_of = table.drop(columns=["name", "stands", "p", "q"]).mean()
        scores = {str(column): float(value) for column, value in means_of.items()}
        count = int(table["q"].notna().sum())
        summary.append({"way": way, "scored": count, "stand": int(table["stands"].sum()), **scores})
    return Names(table, summary)


def _scored(
    words: Sequence[str],
    names: np.ndarray,
    inside: np.ndarray,
    held: Mapping[str, HeldOut],
    config: NameConfig,
) -> pd.DataFrame:
    scores = score_names(names, inside, held, shuffles=config.shuffles, seed=config.seed)
    q = corrected(scores["p"])
    text = [words[place] if place >= 0 else "" for place in names.tolist()]
    return pd.DataFrame({"name": text, **scores, "q": q, "stands": q <= LEVEL})


def _embedded(store: Any, words: list[str], embeddings: np.ndarray | None, device: str | None) -> np.ndarray:
    if embeddings is not None:
        return unit(embeddings)
    vlm = open_vlm(store, device)
    parts = [vlm.embed_texts(words[start : start + _BATCH]) for start in range(0, len(words), _BATCH)]
    return unit(np.concatenate(parts))


def _mean(matrix: Any) -> np.ndarray:
    """Mean of the rows at length one."""
    total = np.zeros(matrix.shape[1])
    for _, block in iter_blocks(matrix, ROWS):
        total += unit(block).sum(axis=0)
    mean: np.ndarray = total / matrix.shape[0]
    return mean


def _dense(matrix: Any) -> np.ndarray:
    return np.concatenate([np.asarray(block) for _, block in iter_blocks(matrix, ROWS)])
