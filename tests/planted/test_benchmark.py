"""The planted benchmark as a whole: every learner of the registry, tables and files."""

import numpy as np
import pytest

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import registry
from modalens.planted import benchmark
from modalens.planted.benchmark import DIMENSIONS, UNTRAINED
from modalens.planted.leaderboard import DEFAULT_ATTRIBUTION, Leaderboard, Row, mean_over_seeds

SMALL = {"pairs": 1500, "held_out": 600, "steps": 150, "batch_size": 256}


@pytest.fixture(scope="module")
def board():
    return ml.benchmark_planted(worlds=("easy",), learners=("topk", "ncl"), seeds=2, **SMALL)


def test_learning_shows(board):
    assert board.learners == ("topk", "ncl", UNTRAINED, DIMENSIONS)
    trained, untrained = (board.estimate("recovery", "easy", each).value for each in ("topk", UNTRAINED))
    assert trained > untrained + 0.2
    assert board.estimate("recovery", "easy", DIMENSIONS).value < 0.1
    assert board.estimate("unexplained", "easy", "topk").value < 0.6
    assert board.estimate(DEFAULT_ATTRIBUTION, "easy", "topk").value > 0.8
    assert np.isnan(board.estimate("cosine", "easy", "ncl").value)


def test_every_registered_learner_is_asked(monkeypatch):
    asked = []

    def learn(name, *_):
        asked.append(name)
        return benchmark._Features(name, None, None, None, None)

    monkeypatch.setattr(benchmark, "_trained", learn)
    monkeypatch.setattr(benchmark, "_measured", lambda *_: {})
    ml.benchmark_planted(worlds=("easy",), **SMALL)
    assert asked == [*registry.kinds(), UNTRAINED]


def test_tables_say_what_was_measured(board, tmp_path):
    text = board.to_markdown()
    for word in (
        "### Easy",
        "| topk |",
        "| own dimensions |",
        "### Scores and class rules",
        "`energy_ratio`",
    ):
        assert word in text
    found = board.estimate("recovery", "easy", "topk")
    assert f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" in text
    board.save(tmp_path / "planted.json")
    loaded = Leaderboard.load(tmp_path / "planted.json")
    assert loaded.to_markdown() == text
    (tmp_path / "planted.json").write_text("{}")
    with pytest.raises(ModalensError):
        Leaderboard.load(tmp_path / "planted.json")


def test_what_was_measured_in_the_same_setting_is_kept(tmp_path, monkeypatch, caplog):
    options = {"worlds": ("easy",), "seeds": 1, **SMALL}
    asked = []

    def learn(name, *_):
        asked.append(name)
        return benchmark._Features(name, None, None, None, None)

    monkeypatch.setattr(benchmark, "_trained", learn)
    monkeypatch.setattr(benchmark, "_measured", lambda *_: {"recovery": 0.1 * len(asked)})
    first = ml.benchmark_planted(learners=("topk",), out=tmp_path, **options)
    again = ml.benchmark_planted(learners=("ncl", "topk"), out=tmp_path, **options)
    assert asked == ["topk", UNTRAINED, "ncl"]
    assert again.learners == ("ncl", "topk", UNTRAINED, DIMENSIONS)
    assert again.values("recovery", "easy", "topk") == first.values("recovery", "easy", "topk")
    assert Leaderboard.load(tmp_path / "planted.json").to_markdown() == again.to_markdown()
    assert (tmp_path / "planted.md").read_text() == again.to_markdown()
    ml.benchmark_planted(learners=("topk",), out=tmp_path, **{**options, "steps": 151})
    assert asked[3:] == ["topk", UNTRAINED]
    assert "another setting" in caplog.text


def test_a_stopped_benchmark_keeps_what_it_measured(tmp_path, monkeypatch):
    def learn(name, *_):
        if name == "ncl":
            raise KeyboardInterrupt
        return benchmark._Features(name, None, None, None, None)

    monkeypatch.setattr(benchmark, "_trained", learn)
    monkeypatch.setattr(benchmark, "_measured", lambda *_: {})
    with pytest.raises(KeyboardInterrupt):
        ml.benchmark_planted(worlds=("easy",), learners=("topk", "ncl"), out=tmp_path, **SMALL)
    assert [row.learner for row in Leaderboard.load(tmp_path / "planted.json").rows] == ["topk"]


def test_only_what_stands_apart_leads():
    def board(second):
        rows = [
            Row("easy", name, seed, {"recovery": value + 0.01 * seed})
            for name, value in (("a", 0.8), ("b", second), ("x", 0.9), ("y", 0.9))
            for seed in range(3)
        ]
        return Leaderboard({}, ("easy",), ("a", "b", "x", "y"), tuple(rows))

    assert "easy: a." in board(0.5).advice()
    assert "easy: a, b." in board(0.79).advice()


def test_intervals_over_seeds_are_students(rng):
    values = rng.uniform(0.4, 0.6, 5)
    found = mean_over_seeds(values)
    reach = 2.7764451 * values.std(ddof=1) / np.sqrt(5)
    assert found == pytest.approx((values.mean(), values.mean() - reach, values.mean() + reach))
    beyond = mean_over_seeds(values + 1, np.inf)
    assert beyond.low > 1.2
    assert mean_over_seeds(values + 0.45).high == 1
    assert np.isnan(mean_over_seeds(values[:1]).low)
    assert np.isnan(mean_over_seeds(values[:0]).value)


@pytest.mark.parametrize(
    "wrong", [{"worlds": ("moon",)}, {"learners": ("none",)}, {"seeds": 0}, {"pears": 3}]
)
def test_bad_options_are_a_sentence(wrong):
    with pytest.raises(ModalensError):
        ml.benchmark_planted(**wrong)
