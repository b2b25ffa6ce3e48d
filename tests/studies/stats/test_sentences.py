"""Phrases in which studies report their tests."""

import pytest

from modalens.studies.stats.sentences import beside_controls, capitalised


@pytest.mark.parametrize(
    ("detectable", "said"),
    [(0.4, "finds a difference of 40.0% with power"), (2.669, "finds no difference that there can be")],
)
def test_no_test_finds_more_than_there_can_be(detectable: float, said: str) -> None:
    row = {"difference": 0.1, "q": 0.9, "detectable": detectable, "q_energy": float("nan")}
    found = beside_controls(row, "carries less than", "carries more than", "{:.1%}")
    assert said in found["is not told from"]


@pytest.mark.parametrize(
    ("name", "begun"), [("eEG", "EEG"), ("image", "Image"), ("myCLIP", "MyCLIP"), ("", "")]
)
def test_a_sentence_begins_and_leaves_a_name_its_case(name: str, begun: str) -> None:
    assert capitalised(name) == begun
