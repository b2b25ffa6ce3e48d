"""Estimators and class rules of one's own: a line each."""

from pathlib import Path

import numpy as np
import pytest

import modalens as ml
from modalens.dominance.estimators import ESTIMATORS, Estimator, alternatives
from modalens.dominance.rules import RULES, ClassRule
from modalens.errors import ModalensError


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image, text = rng.standard_normal((2, 40, 6))
    return image, text


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    def strong(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return a**3, a**3 + b**3

    monkeypatch.setitem(ESTIMATORS, "cubic_ratio", Estimator("cubes", strong, degree=3))
    tight = ClassRule("one-sided off 0.5", lambda scores: (np.asarray(0.5), np.asarray(0.5)), ("1/2", "1/2"))
    monkeypatch.setitem(RULES, "tight", tight)


@pytest.mark.usefixtures("own")
def test_a_rule_and_an_estimator_of_ones_own(pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    image, text = pairs
    found = ml.modality_dominance(image * 1e80, text * 1e80, "cubic_ratio", "tight", resamples=10)
    cubes = (np.abs(image) ** 3).sum(axis=0), (np.abs(text) ** 3).sum(axis=0)
    np.testing.assert_allclose(found.score, cubes[0] / (cubes[0] + cubes[1]), rtol=1e-9)
    assert found.counts()["cross"] == 0
    assert found.with_rule("twofold").counts()["cross"] > 0
    found.save(tmp_path / "own.parquet")
    again = ml.Dominance.load(tmp_path / "own.parquet")
    assert np.array_equal(again.class_probability("tight"), found.class_probability("tight"))


def test_scores_from_before_a_rule_still_open(
    pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ml.modality_dominance(*pairs, resamples=10).save(tmp_path / "old.json")
    monkeypatch.setitem(RULES, "newer", RULES["twofold"])
    again = ml.Dominance.load(tmp_path / "old.json")
    assert again.counts("newer") == again.counts("twofold")
    with pytest.raises(ModalensError, match="before there was the rule 'newer'"):
        again.class_probability("newer")


def test_alternatives_differ() -> None:
    assert alternatives("mean_ratio") == alternatives("signed_ratio") == ("energy_ratio",)
    assert alternatives("energy_ratio") == ("mean_ratio",)


def test_twofold_is_the_rule_unless_told(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    found = ml.modality_dominance(*pairs, resamples=0)
    assert found.rule == "twofold"
    assert repr(found).startswith("Dominance(6 features: text=")
    assert len(repr(found)) < 150
