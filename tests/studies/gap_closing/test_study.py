"""Closing the gap on planted data: one-sided features that carry it all, and a decoder that is left alone."""

import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.studies.gap_closing.study import close_gap

N, SHARED, OWN = 80, 24, 4
F = SHARED + 2 * OWN


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Paired features alike but for a few strong ones that only one side has, always on."""
    rng = np.random.default_rng(seed)
    concept = rng.exponential(size=(N, SHARED)) * (rng.random((N, SHARED)) < 0.4) + 0.01
    image, text = (np.hstack([concept, np.zeros((N, 2 * OWN))]) for _ in range(2))
    image[:, SHARED : SHARED + OWN] = 3
    text[:, SHARED + OWN :] = 3
    return image, text


def study(image, text, **settings):
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    return close_gap(image, text, mds, draws=5, seed=1, **settings)


def test_one_sided_features_carry_the_whole_gap():
    found = study(*planted())
    table = found.tables["sets"].set_index(["set", "kind"])
    own = table.loc[("one-sided", "class")]
    nothing = table.loc[("nothing", "nothing")]
    random = table.loc[("one-sided", "random, equal count")]
    assert own["removed"] == 2 * OWN
    assert nothing["l2m"] > 0.5
    assert own["l2m"] == pytest.approx(0, abs=1e-9)
    assert own["rmg"] == pytest.approx(0, abs=1e-9)
    assert random["rmg"] > 0.1
    assert own["recall_1_image_to_text"] == 1


def test_nothing_removed_is_the_plain_reconstruction():
    image, text = planted()
    decoder = np.random.default_rng(2).normal(size=(F, 16))
    decoded = (image @ decoder, text @ decoder)
    found = study(image, text, decode=lambda codes, side: codes @ decoder, embeddings=decoded)
    table = found.tables["sets"].set_index("set")
    measures = table.columns.drop("kind")
    assert table.loc["nothing", measures].equals(table.loc["embeddings", measures])


def test_a_class_without_members_is_left_out_with_a_sentence():
    image, _ = planted()
    found = study(image, image)
    assert "one-sided" not in set(found.tables["sets"]["set"])
    assert any("No feature is one-sided" in each for each in found.statements)


def test_scores_of_other_features_are_refused():
    image, text = planted()
    mds = modality_dominance(image, text, resamples=0)
    with pytest.raises(ModalensError, match="give the matrices that were scored"):
        close_gap(image[:, 1:], text[:, 1:], mds)
