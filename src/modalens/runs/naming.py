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
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from modalens.arrays import read_rows
from modalens.errors import InputError
from modalens.files import read_bytes
from modalens.interpret.names import (
    HeldOut,
    firing,
    log_odds,
    nearest_words,
    score_names,
    unit,
    without_means,
)
from modalens.options import Options, option
from modalens.pairs.text import clean_caption
from modalens.runs.origin import open_vlm
from modalens.runs.representations import Representation
from modalens.statistics.controls import corrected
from modalens.store.atomic import whole_file, write_text
from modalens.store.kept import Kept, kept_or_made, read_inputs

FOLDER = "names"
SOURCES = ("vocabulary", "captions")
LEVEL = 0.05
_TABLE, _SUMMARY = "names.parquet", "summary.json"
_TOKEN = r"[^\W\d_][\w'-]+"
_LONGEST, _MOST_WORDS, _BATCH = 60, 100_000, 256
_MOST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class NameConfig(Options):
    """How features are named.

    Attributes
    ----------
    source
        ``captions``: the word or two that stand more often in the captions of pairs that fire than in others.
        ``vocabulary``: the nearest of a list of words, in the model's own space without the gap.
    most_pairs
        Pairs to name and to score by, drawn at random; half for either.
    """

    source: str = option("captions", "Where names come from.", choices=SOURCES)
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
        "layout": 1,
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


def read_vocabulary(path: Path) -> list[str]:
    """The words of a text file, one a line, each once.

    Raises
    ------
    ModalensError
        If it cannot be read, is larger than 16 MB or no UTF-8 text.
    """
    data = read_bytes(path, f"The vocabulary {path}", limit=_MOST_BYTES)
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"The vocabulary {path} is no UTF-8 text; save it as one word a line.") from error
    return [line.strip() for line in lines if line.strip()]


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
    if config.source != "vocabulary":
        return []
    words = [clean_caption(word)[:_LONGEST] for word in vocabulary]
    if len(words) < 2 or len(words) > _MOST_WORDS:
        raise InputError(f"The vocabulary has {len(words)} words; give 2 to {_MOST_WORDS:,}.")
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
    a, b = (_some(np.flatnonzero(part), config.most_pairs // 2, rng) for part in (naming, ~naming))
    raw = {
        "image": [unit(_dense(store.image.pick(each.rows[part]))) for part in (a, b)],
        "text": [unit(_dense(store.text.pick(each.rows[part]))) for part in (a, b)],
    }
    codes = {"image": each.image, "text": each.text}
    fires = {side: [firing(_dense(codes[side].pick(part))) for part in (a, b)] for side in codes}
    means = np.stack([raw[side][0].mean(axis=0) for side in raw])
    held = {
        side: HeldOut(without_means(raw[side][1], means, mean), sp.csc_array(fires[side][1]))
        for side, mean in zip(raw, means, strict=True)
    }
    if config.source == "vocabulary":
        space = _embedded(store, words, embeddings, config.device)
        if each.directions is None or each.learned is None:
            raise InputError(f"{each.name} has no decoder to look up; name it by --source captions.")
        if space.shape[1] != means.shape[1]:
            raise InputError(
                f"The vocabulary's embeddings have {space.shape[1]} numbers, the run's {means.shape[1]}."
            )
        rows = np.asarray(each.directions, dtype=np.float64)
        model: Any = each.learned.model
        if hasattr(model, "standardiser"):
            rows = rows * model.standardiser("image")[1].cpu().numpy()
        inside = without_means(space, means, space.mean(axis=0))
        chosen = {
            "plain": nearest_words(unit(rows), unit(space)),
            "without the gap": nearest_words(without_means(rows, means, None), inside),
        }
    else:
        captions = [text if isinstance(text, str) else "" for text in each.column("caption")[a]]
        words, places, has = _distinctive(captions, fires["image"][0] | fires["text"][0])
        of_words = sp.diags_array(1 / np.asarray(has.sum(axis=0)).ravel()) @ (has.T @ raw["text"][0])
        inside = without_means(of_words, means, means[1])
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


def _distinctive(captions: Sequence[str], fires: np.ndarray) -> tuple[list[str], np.ndarray, sp.csr_array]:
    """Words and phrases, the most distinctive of each feature (-1 for none), and which captions have them."""
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
    z = log_odds(sp.csr_array(fires.T.astype(np.float64)), has)
    places = np.full(fires.shape[1], -1)
    for feature in range(len(places)):
        start, end = z.indptr[feature], z.indptr[feature + 1]
        if end > start:
            places[feature] = z.indices[start + int(z.data[start:end].argmax())]
    return [word[:_LONGEST] for word in counter.get_feature_names_out()], places, has


def _embedded(store: Any, words: list[str], embeddings: np.ndarray | None, device: str | None) -> np.ndarray:
    if embeddings is not None:
        return unit(embeddings)
    vlm = open_vlm(store, device)
    parts = [vlm.embed_texts(words[start : start + _BATCH]) for start in range(0, len(words), _BATCH)]
    return unit(np.concatenate(parts))


def _some(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many rows, drawn at random, in ascending order."""
    if len(rows) <= most:
        return rows
    drawn: np.ndarray = np.sort(rng.choice(rows, most, replace=False))
    return drawn


def _dense(matrix: Any) -> np.ndarray:
    block = read_rows(matrix, 0, matrix.shape[0])
    return np.asarray(block.toarray() if hasattr(block, "toarray") else block, dtype=np.float64)
