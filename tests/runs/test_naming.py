"""Names from captions, a vocabulary or a model behind a server, on features that answer to words."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from PIL import Image

from modalens.errors import InputError, ModalensError
from modalens.runs import name_sources, naming
from modalens.runs.asking import question, short_name
from modalens.runs.name_sources import some_rows, strongest_rows
from modalens.runs.naming import NameConfig, name_features
from tests.studies.adversarial_images.chat_server import chat_server, says

WORDS = ("dog", "grass", "snow", "boy", "water", "ball", "street", "horse")
N, D = 480, 24
QUICK = NameConfig(shuffles=19)


class Matrix:
    """A matrix whose rows can be picked, as those of a store can."""

    def __init__(self, values: Any) -> None:
        self.values, self.shape = values, values.shape

    def __getitem__(self, rows: slice) -> Any:
        return self.values[rows]

    def pick(self, rows: np.ndarray) -> "Matrix":
        return Matrix(self.values[rows])


class Tower:
    """Embeds a text as the sum of its words' directions."""

    def __init__(self, directions: np.ndarray) -> None:
        self.directions = directions
        self.asked: list[str] = []

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return np.stack(
            [
                sum((self.directions[WORDS.index(w)] for w in t.split() if w in WORDS), np.full(D, 1e-3))
                for t in texts
            ]
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Pairs of two words each; features fire for one word each, in both modalities; two fire for none."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(D, D)))[0][: len(WORDS)]
    has = np.stack([rng.permutation(len(WORDS))[:2] for _ in range(N)])
    holds = np.zeros((N, len(WORDS)))
    holds[np.arange(N)[:, None], has] = 1
    sides = {
        name: Matrix(holds @ directions + shift + 0.1 * rng.normal(size=(N, D)))
        for name, shift in (("image", 1.0), ("text", -1.0))
    }
    codes = sp.csr_array(np.concatenate([holds * rng.uniform(1, 2, holds.shape), np.zeros((N, 2))], axis=1))
    captions = np.array([" and a ".join(WORDS[each] for each in row) for row in has], dtype=object)
    store = SimpleNamespace(**sides, ids=[f"pair {row}" for row in range(N)])
    tower = Tower(directions)
    monkeypatch.setattr(naming, "open_vlm", lambda *_: tower)
    monkeypatch.setattr(
        name_sources, "pictures_of", lambda _, names: [Image.new("RGB", (8, 8)) for _ in names]
    )
    each = SimpleNamespace(
        name="sae",
        store=store,
        embeddings=None,
        rows=np.arange(N),
        folder=tmp_path,
        groups=lambda: None,
        image=Matrix(codes),
        text=Matrix(codes),
        column=lambda _: captions,
        directions=np.concatenate([directions, np.eye(D)[:2]]),
        learned=SimpleNamespace(
            model=SimpleNamespace(standardiser=lambda _: (torch.zeros(D), torch.ones(D)))
        ),
        about=lambda: {"of": "a test"},
    )
    return SimpleNamespace(each=each, tower=tower, directions=directions, captions=captions)


def test_captions_name_the_word_each_feature_fires_for(world: SimpleNamespace) -> None:
    found = name_features(world.each, QUICK)
    assert list(found.table["name"][:8]) == list(WORDS)
    assert list(found.standing()[8:]) == ["", ""]
    assert found.table["image_detection"][:8].min() > 0.8
    assert found.table["text_intruder"][:8].min() > found.table["text_intruder_shuffled"][:8].max()


def test_a_vocabulary_names_them_with_and_without_the_gap(world: SimpleNamespace) -> None:
    config = dataclasses.replace(QUICK, source="vocabulary")
    found = name_features(
        world.each,
        config,
        vocabulary=[*WORDS, "cat"],
        embeddings=np.concatenate([world.directions, -np.ones((1, D))]),
    )
    assert list(found.table["name"][:8]) == list(WORDS)
    assert [row["way"] for row in found.summary] == ["plain", "without the gap"]


def test_a_model_names_them_and_its_names_are_tested_alike(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")

    def answer(call: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        content = call["messages"][0]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        like = text.partition("These texts lack it:")[0]
        return says(f' "{max(WORDS, key=like.count)}".\nBecause it is.')

    with chat_server(answer) as log:
        found = name_features(world.each, dataclasses.replace(QUICK, model=f"{log.url}#m"))
        assert list(found.table["name"][:8]) == list(WORDS)
        assert found.table["stands"][:8].all()
        assert [row["way"] for row in found.summary] == ["model"]
        assert len(log.calls) == 8, "features without a score are not asked about"
        assert set(world.tower.asked) == set(WORDS)
        name_features(world.each, dataclasses.replace(QUICK, model=f"{log.url}#m"))
        assert len(log.calls) == 8, "kept"
        name_features(world.each, dataclasses.replace(QUICK, model=f"{log.url}#m", pictures=2))
        kinds = [part["type"] for part in log.calls[-1]["messages"][0]["content"]]
        assert kinds == ["text", "image_url", "image_url"]
    assert "secret-key" not in "".join(
        path.read_text(errors="ignore") for path in world.each.folder.rglob("*") if path.is_file()
    )


def test_a_model_that_says_nonsense_has_no_name_that_stands(world: SimpleNamespace) -> None:
    calls = iter(range(100))
    with chat_server(lambda _: says(WORDS[(next(calls) + 3) % 8])) as log:
        found = name_features(world.each, dataclasses.replace(QUICK, model=f"{log.url}#m"))
    assert not found.table["stands"].any()
    with chat_server([says("")]) as log, pytest.raises(ModalensError, match="named no feature"):
        name_features(world.each, dataclasses.replace(QUICK, model=f"{log.url}#m", seed=1))


def test_a_model_and_a_vocabulary_exclude_each_other(world: SimpleNamespace) -> None:
    with pytest.raises(InputError, match="one of them"):
        name_features(world.each, NameConfig(model="http://x/v1#m", source="vocabulary"), vocabulary=WORDS)
    with pytest.raises(InputError, match="Pictures are for a model"):
        name_features(world.each, NameConfig(pictures=1))


def test_what_a_model_reads_and_what_is_kept_of_its_answer() -> None:
    (message,) = question(["a dog\n- runs"], ["a cat"])
    assert "- a dog - runs\n" in message["content"]
    assert short_name("  “A dog.” \n and more") == "A dog"
    assert short_name("\n \n") == ""
    assert len(short_name("long " * 100)) <= 60


def test_some_rows_are_drawn_at_random_in_order_and_few_are_all() -> None:
    rows = np.arange(10, 110)
    drawn = some_rows(rows, 20, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 20
    assert (np.diff(drawn) > 0).all()
    assert set(drawn) <= set(rows)
    assert not np.array_equal(drawn, rows[:20])
    np.testing.assert_array_equal(drawn, some_rows(rows, 20, np.random.default_rng(0)))
    np.testing.assert_array_equal(some_rows(rows[:5], 20, np.random.default_rng(0)), rows[:5])
    codes = sp.csc_array(np.array([[0.0, 1], [3, 0], [2, 0]]))
    assert strongest_rows(codes, 0, 5) == [1, 2]
