"""Likeness by shared labels, and what a judge has in common with the model under study."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modalens.errors import InputError
from modalens.runs.judging import OWN_CARD, shared
from modalens.runs.label_judge import label_columns, label_vectors

FRAME = pd.DataFrame(
    {
        "kind": ["animal", "animal", "food", None, ""],
        "tags": ["cat, pet", "dog,pet,pet", "cake", "cat", "cake"],
    }
)
STORE: Any = SimpleNamespace(columns=["kind", "tags"], read_metadata=lambda names: FRAME[names])


def test_cosines_are_the_mean_share_of_common_labels() -> None:
    rows = np.array([0, 1, 2, 3, 4])
    vectors, card = label_vectors("labels:kind,tags", STORE, rows)
    likeness = (vectors @ vectors.T).toarray() / 2
    np.testing.assert_allclose(np.diag(likeness), 1)
    assert likeness[0, 1] == pytest.approx((1 + 1 / 2) / 2)  # one kind, one of two tags each
    assert likeness[0, 3] == pytest.approx((0 + 1 / np.sqrt(2)) / 2)
    assert likeness[2, 4] == pytest.approx(1 / 2)  # no kind is nobody's kind
    assert likeness[3, 4] == 0
    again, _ = label_vectors("labels:tags", STORE, rows[[0, 2]])
    assert again.shape[0] == 2
    assert card["sha256"] != label_vectors("labels:kind,tags", STORE, rows[:4])[1]["sha256"]


@pytest.mark.parametrize("name", ["labels:", "labels:kind,colour"])
def test_columns_that_are_not_there(name: str) -> None:
    with pytest.raises(InputError, match="which have kind, tags; name some of them"):
        label_vectors(name, STORE, np.arange(2))


def test_columns_of_a_name() -> None:
    assert label_columns("labels:kind, tags") == ["kind", "tags"]
    assert label_columns("minilm") == []


def test_what_a_judge_shares_follows_from_the_cards() -> None:
    demo = {"model": "demo", "weights_sha256": {"tower": "a", "text": "b", "heads": "c"}}
    clip = {"model": "x/clip", "revision": "123"}
    assert shared({"model": "labels:kind"}, demo) == "nothing"
    assert shared({"model": "efficientnet", "weights_sha256": "a"}, demo) == "tower"
    assert shared({"model": "other", "weights_sha256": "z"}, demo) == "nothing"
    assert shared({**clip, "model": "vlm:x/clip", "tower": "image"}, clip) == "model"
    assert shared({"model": OWN_CARD}, clip) == "model"
    assert shared({"model": "other"}, clip) == "unknown"
