"""Labels of any type that a metadata column may hold."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from modalens.errors import InputError
from modalens.studies.stats.heldout import labelled_pairs
from modalens.studies.stats.labels import LONGEST, read_labels


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["a", " a ", "a\n", "big  cat", "", "  ", None], ["a", "a", "a", "big cat", None, None, None]),
        ([1, 1.0, np.int8(1), np.float32(1), float("nan"), np.nan, "1"], ["1"] * 4 + [None] * 2 + ["1"]),
        ([True, np.bool_(False), "True"], ["True", "False", "True"]),
        ([0.5, float("inf"), Decimal("2.0"), Decimal("NaN")], ["0.5", "inf", "2", None]),
        ([2**63 + 1, 2**63 + 2], [str(2**63 + 1), str(2**63 + 2)]),
        ([pd.NA, pd.NaT, np.datetime64("NaT"), date(2020, 1, 2)], [None, None, None, "2020-01-02"]),
        (np.array(["x", "y"]), ["x", "y"]),
    ],
)
def test_values_of_any_type_become_text(values, texts) -> None:
    found = read_labels(values)
    assert found.texts.tolist() == texts
    assert found.notes == ()


@pytest.mark.parametrize(
    ("value", "called"),
    [
        (["a", "b"], "a list"),
        (np.array([1.0, 2.0]), "a list"),
        ({"a": 1}, "an object"),
        (b"cat", "bytes"),
        ("x" * (LONGEST + 1), "a text of over 200 characters"),
        (object(), "a object"),
    ],
)
def test_what_is_no_label_is_left_out_and_counted(value: object, called: str) -> None:
    found = read_labels(["cat", value, None])
    assert found.texts.tolist() == ["cat", None, None]
    assert found.notes == (f"Left out: of 3 pairs 1 holds {called} in the place of a label.",)
    with pytest.raises(
        InputError, match=rf"^No pair has a label: of 3 pairs 2 hold {called}; name a metadata col"
    ):
        read_labels([value, None, value])


def test_labels_that_differ_in_capitals_are_told() -> None:
    assert read_labels(["Cat", "cat", "dog"]).notes == (
        "Labels that differ only in capitals count as different ones: 'Cat' and 'cat'.",
    )


def test_pairs_say_what_they_left_out() -> None:
    labels = ["cat", "dog", " cat", "dog ", ["cat"], None, float("nan"), "bird"]
    pairs = labelled_pairs(labels, len(labels))
    assert pairs.names == ("cat", "dog")
    assert pairs.rows.tolist() == [0, 1, 2, 3]
    assert "1 holds a list in the place of a label" in pairs.notes[0]
    assert pairs.notes[1].startswith("3 of 8 pairs have no label and are left out")
    assert pairs.notes[2].startswith("'bird' is left out")


def test_many_missing_numbers_take_no_memory_of_their_own() -> None:
    values = np.array([float("nan")] * 1000 + [1.0, 2.0], dtype=object)
    assert [text for text in read_labels(values).texts if text] == ["1", "2"]
