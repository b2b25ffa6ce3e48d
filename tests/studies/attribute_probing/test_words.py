"""Words by share against counts by hand, and their chance level."""

from collections import Counter

import numpy as np
import pytest

from modalens.studies.attribute_probing.attributes import GENDER
from modalens.studies.attribute_probing.words import words_by_share

RNG = np.random.default_rng(0)


def test_words_are_counted_without_those_left_out() -> None:
    texts = ["The man’s dog runs", "A dog and his cat", "Dog, DOG; sea 42!", "sun over the sea"] * 2
    share = np.repeat([0.1, 0.9], 4)
    found = words_by_share(texts, share, np.arange(8), GENDER.words)
    assert found is not None
    assert list(found.table["share"]) == pytest.approx([0.1, 0.9])
    assert list(found.table["units"]) == [4, 4]
    for words in found.table["frequent"]:
        assert words == "dog, sea, cat, runs, sun"  # by how many texts have them, then the alphabet
    assert list(found.table["typical"]) == ["", ""]
    assert found.distance == 0
    assert found.p == 1


def test_words_that_go_with_the_share_beat_chance_and_others_do_not() -> None:
    sports, places = ["football", "coach", "gym"], ["party", "garden", "kitchen"]
    share = RNG.random(200)
    tied = [f"{RNG.choice(sports if each > 0.5 else places)} today" for each in share]
    loose = [f"{RNG.choice(sports + places)} today" for _ in share]
    found = words_by_share(tied, share, np.arange(200))
    assert found is not None
    assert found.p < 0.01
    assert found.distance > found.chance_high
    assert set(found.table["typical"].iloc[-1].split(", ")) == set(sports)
    assert set(found.table["typical"].iloc[0].split(", ")) == set(places)
    by_hand = Counter(
        word
        for text, each in zip(tied, share, strict=True)
        if each > found.table["share_low"].iloc[-1] - 1e-12
        for word in text.split()
    )
    assert found.table["frequent"].iloc[-1].split(", ")[0] == by_hand.most_common(1)[0][0]
    by_chance = words_by_share(loose, share, np.arange(200))
    assert by_chance is not None
    assert by_chance.p > 0.05
    assert by_chance.chance_low <= by_chance.distance <= by_chance.chance_high


def test_texts_of_one_group_count_once() -> None:
    """Fifty copies of one text are one unit: they can neither make a word frequent nor a share significant."""
    texts = ["boat"] * 50 + [f"word{chr(97 + i)}" for i in range(20)]
    share = np.concatenate([np.full(50, 0.95), RNG.random(20) * 0.9])
    keys = np.concatenate([np.zeros(50, dtype=int), np.arange(1, 21)])
    found = words_by_share(texts, share, keys)
    assert found is not None
    assert found.table["units"].sum() == 21
    assert found.table["texts"].sum() == 70
    assert found.p > 0.05
    alone = words_by_share(texts, share, np.arange(70))
    assert alone is not None
    assert alone.p < 0.01, "without groups the copies look like evidence"


def test_nothing_to_order_gives_nothing() -> None:
    assert words_by_share(["a dog"] * 4, np.full(4, 0.5), np.arange(4)) is None
    assert words_by_share(["the and of"] * 4, np.arange(4) / 4, np.arange(4)) is None
    assert words_by_share(["a dog"] * 4, np.full(4, np.nan), np.arange(4)) is None
    assert words_by_share([], np.empty(0), np.empty(0, dtype=int)) is None
    some = words_by_share(["dog", None, "cat"], np.array([0.1, np.nan, 0.3]), np.arange(3))
    assert some is not None
    assert some.table["units"].tolist() == [1, 1]
    assert some.distance == 1


def test_gendered_words_are_words() -> None:
    assert {"he", "she", "woman", "men", "boy", "girl", "queen", "mr"} <= GENDER.words
    assert all(word.isalpha() and word == word.lower() for word in GENDER.words)
    assert not {"person", "doctor", "football", "dress", "hair"} & GENDER.words
