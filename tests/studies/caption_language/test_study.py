"""The study of language on captions of which it is known what goes with which features."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from modalens.dominance import Dominance, modality_dominance
from modalens.errors import InputError, ModalensError
from modalens.report.charts import PageCanvas
from modalens.report.rendering import drawing
from modalens.statistics.controls import LEVEL
from modalens.studies.caption_language.figures import FIGURES
from modalens.studies.caption_language.study import language
from modalens.studies.caption_language.words import read_captions
from modalens.studies.result import StudyResult

pytest.importorskip("textblob")
N, F = 240, 30
_NOUNS = ("dog", "boat", "house", "girl", "tree")
QUICK = {"draws": 500}


def captions(rng: np.random.Generator) -> list[str]:
    """Half have a colour, a third a number, some a place; all have as many words as the others of their length."""
    found = []
    for _ in range(N):
        first = rng.choice(["red", "blue", "wet", "small"])
        second = rng.choice(["two", "the", "the"])
        where = rng.choice(["beside", "with"])
        nouns = rng.choice(_NOUNS, 2)
        found.append(f"{second} {first} {nouns[0]} {where} a {nouns[1]}" + " today" * int(rng.integers(3)))
    return found


def features(
    rng: np.random.Generator, texts: list[str], words: tuple[str, ...], groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, Dominance]:
    """10 features of each class; captions with one of the words have five times the energy in text features."""
    image, text = np.abs(rng.normal(size=(2, N, F)))
    if groups is not None:
        image, text = image[groups], text[groups]
    image[:, 20:] *= 4
    text[:, :10] *= 4
    text[:, 10:] *= 2
    image[:, :20] *= 2
    has = np.array([any(word in each.split() for word in words) for each in texts])
    text[has, :10] *= 5**0.5
    image[:, :10] /= 8
    text[:, 20:] /= 8
    return image, text, modality_dominance(image, text, resamples=0)


@pytest.fixture(scope="module")
def planted() -> StudyResult:
    rng = np.random.default_rng(0)
    texts = captions(rng)
    return language(*features(rng, texts, ("red", "blue")), texts, **QUICK)


def found(table: pd.DataFrame) -> set[tuple[Any, ...]]:
    rows = table[table["q"] < LEVEL]
    return set(zip(rows.iloc[:, 0], rows["side"], rows["class"], np.sign(rows["difference"]), strict=True))


def test_a_planted_kind_of_word_is_found_and_no_other(planted: StudyResult) -> None:
    kinds = planted.tables["kinds"]
    assert {"colour", "number", "spatial word", "adjective", "noun"} <= set(kinds["kind"])
    assert ("colour", "text", "text", 1.0) in found(kinds)
    assert ("colour", "text", "cross", -1.0) in found(kinds)
    # Where there is no colour there is another adjective, at equal length.
    assert {kind for kind, *_ in found(kinds)} <= {"colour", "adjective"}
    assert {side for _, side, *_ in found(kinds)} == {"text"}
    words = planted.tables["words"]
    gain = {word for word, side, label, sign in found(words) if (side, label, sign) == ("text", "text", 1)}
    assert gain == {"red", "blue"}
    control = planted.tables["control"].set_index("table")
    assert control.loc["words", "found"] > 10 * control.loc["words", "exchanged"]
    assert any("a colour" in each and "text features hold" in each for each in planted.statements)


def test_what_is_found_of_nothing_is_rare() -> None:
    """Features know nothing of the captions, with five captions an image: p is uniform, intervals hold 0."""
    p, holds = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(N // 5), 5)
        texts = captions(rng)
        result = language(*features(rng, texts, (), groups), texts, groups=groups, **QUICK)
        kinds = result.tables["kinds"]
        some = kinds[(kinds["side"] == "text") & (kinds["class"] == "text")].dropna()
        p += some["p"].tolist()
        holds += ((some["difference_low"] <= 0) & (some["difference_high"] >= 0)).tolist()
    assert np.mean(np.array(p) < LEVEL) < 0.15
    assert 0.25 < np.median(p) < 0.75
    assert np.mean(holds) > 0.85


def test_copies_of_a_caption_are_no_evidence() -> None:
    """One image of 48 has a word in all its captions: 5 rows, and a single group."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(N // 5), 5)
    texts = ["a dog runs on grass"] * N
    texts[:5] = ["a red dog runs on grass"[2:]] * 5
    image, text, mds = features(rng, texts, ("red",))
    alone = language(image, text, mds, texts, **QUICK).tables["kinds"]
    together = language(image, text, mds, texts, groups=groups, **QUICK).tables["kinds"]
    p = [
        t.query("kind == 'colour' and side == 'text' and `class` == 'text'")["p"].iloc[0]
        for t in (alone, together)
    ]
    assert p[0] < LEVEL < 2 / 49 + p[1]
    assert p[1] >= 2 / 49 * 0.5


def test_sparse_features_and_few_pairs(planted: StudyResult) -> None:
    rng = np.random.default_rng(0)
    texts = captions(rng)
    image, text, mds = features(rng, texts, ("red", "blue"))
    sparse = language(sp.csr_array(image), sp.csr_array(text), mds, texts, **QUICK)
    for name in ("kinds", "words"):
        pd.testing.assert_frame_equal(sparse.tables[name], planted.tables[name], rtol=1e-4, atol=1e-7)
    few = language(image, text, mds, texts, max_pairs=100, **QUICK)
    assert few.config["pairs"] == 100
    assert few.statements[-1] == "Of 240 pairs 100 were drawn at random."


def test_halves_of_split_concepts_stand_beside_the_classes() -> None:
    rng = np.random.default_rng(0)
    texts = captions(rng)
    image, text, mds = features(rng, texts, ("red", "blue"))
    verdicts = np.array(["split"] * 8 + [""] * (F - 8))
    kinds = language(image, text, mds, texts, verdicts=verdicts, **QUICK).tables["kinds"]
    assert set(kinds["class"]) == {"text", "cross", "image", "split"}
    assert ("colour", "text", "split", 1.0) in found(kinds)


def test_kinds_of_words() -> None:
    read = read_captions(
        [
            "A happy man in a dark-green shirt doesn't play near two dogs in Paris.",
            "The Boy’s Ball Under The Chair",
            None,
            "",
        ]
    )
    assert read.lengths.tolist() == [15, 6, 0, 0]
    kinds = {
        "happy": "adjective",
        "man": "noun",
        "doesn't": "negation",
        "green": "colour",
        "play": "verb",
        "near": "spatial word",
        "two": "number",
        "dogs": "noun",
        "paris": "proper name",
        "boy": "noun",
        "under": "spatial word",
        "in": "",
    }
    assert {word: read.kind_of[word] for word in kinds} == kinds
    assert read.words["the"].tolist() == [1]
    assert read.kinds[0].tolist() == [3, 1, 2, 1, 1, 1, 1, 1, 1, 0]


def test_what_is_wrong_is_said() -> None:
    rng = np.random.default_rng(0)
    texts = captions(rng)
    image, text, mds = features(rng, texts, ())
    with pytest.raises(InputError, match="takes English captions"):
        language(image, text, mds, ["qwxv zzkt ptrw"] * N, **QUICK)
    with pytest.raises(InputError, match="takes English captions"):
        language(image, text, mds, [None] * N, **QUICK)
    with pytest.raises(ModalensError, match="one caption a pair"):
        language(image, text, mds, texts[1:], **QUICK)


def test_figures(planted: StudyResult) -> None:
    for figure in FIGURES:
        assert figure.fits(planted)
        for narrow in (False, True):
            canvas = PageCanvas(narrow)
            with drawing():
                assert figure.draw({"sae": planted}, (), ("image", "text"), canvas).axes


def test_words_of_images_alone_are_not_drawn(planted: StudyResult) -> None:
    words = planted.tables["words"].assign(q=lambda table: np.where(table["side"] == "image", 0.01, 1.0))
    found = replace(planted, tables={**planted.tables, "words": words})
    assert [figure.name for figure in FIGURES if figure.fits(found)] == ["language_kinds"]
    every = planted.tables["words"].assign(q=0.01)
    assert all(figure.fits(replace(planted, tables={**planted.tables, "words": every})) for figure in FIGURES)
