"""Closing the gap on planted data: one-sided features that carry it all, and a decoder that is left alone."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from modalens.dominance import modality_dominance, modality_gap
from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import RANDOM, VARIANCE
from modalens.errors import ModalensError
from modalens.studies.gap_closing.evaluation import KINDS
from modalens.studies.gap_closing.measures import GapMeasures
from modalens.studies.gap_closing.statements import _published
from modalens.studies.gap_closing.study import _images, close_gap

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


def test_every_set_is_tested_against_both_kinds_of_random_sets():
    found = study(*planted(), labels=np.arange(N) % 4)
    tests = found.tables["tests"].set_index(["set", "measure", "control"])
    measures = ["l2m_unbiased", "rmg", "recall_10_image_to_text", "recall_10_text_to_image", "accuracy"]
    assert tests.index.get_level_values("measure").unique().tolist() == measures
    sets = found.tables["sets"].set_index(["set", "kind"])
    for kind in ("random, equal count", "random, equal energy"):
        row = tests.loc[("one-sided", "rmg", kind)]
        assert row["value"] == sets.loc[("one-sided", "class"), "rmg"]
        assert row["random"] == pytest.approx(sets.loc[("one-sided", kind), "rmg"])
        assert row["difference"] == pytest.approx(row["value"] - row["random"])
    assert tests.loc[("one-sided", "rmg", "random, equal count"), "q"] < 0.05
    told = tests["p"].notna()
    np.testing.assert_allclose(tests.loc[told, "q"], false_discovery_control(tests.loc[told, "p"]))
    assert (tests.loc[told, "detectable"] >= 0).all()
    said = " ".join(found.statements)
    assert f"q is p corrected for the {told.sum()} tests of the table" in said
    assert "not told from random features" not in said or "with power 0.8" in said


def test_unbiased_l2m_comes_first_with_its_interval():
    image, text = planted()
    table = study(image, text).tables["sets"].set_index("set")
    assert table.columns[3] == "l2m_unbiased"
    gap = modality_gap(image, text, groups=np.arange(N))
    row = table.loc["nothing"]
    assert row["l2m_unbiased"] == pytest.approx(gap.l2m_unbiased)
    assert (row["l2m_unbiased_low"], row["l2m_unbiased_high"]) == pytest.approx(gap.intervals["l2m_unbiased"])


def test_pairs_that_an_edit_makes_alike_are_still_other_images():
    """Without the feature that tells them apart there are two points, of which retrieval cannot tell the images."""
    image = np.zeros((40, 3))
    image[:, 0] = np.linspace(1, 2, 40)
    image[:20, 1] = image[20:, 2] = 1.0
    text = image.copy()
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    measures, _ = GapMeasures.of(
        40,
        labels=None,
        groups=None,
        image_ids=_images(None, image),
        modalities=("image", "text"),
        folds=2,
        seed=0,
    )
    assert measures.measure(image, text)["recall_1_image_to_text"][0] > 0.9
    assert measures.measure(image[:, 1:], text[:, 1:])["recall_1_image_to_text"][0] == 0
    assert len(close_gap(image, text, mds, draws=5).tables["tests"])


@pytest.mark.parametrize(
    ("q", "recall", "said"),
    [
        (
            (0.5, 0.5),
            0.9,
            "RMG falls, but is not told to fall further than random features take it, and R@10 does not",
        ),
        (
            (0.01, 0.5),
            0.9,
            "RMG falls further than random features of equal count take it, but is not told to do so beside those",
        ),
        (
            (0.5, 0.5),
            0.1,
            "R@10 falls under an interval with nothing removed (0.400 to 0.600): the finding is not seen",
        ),
    ],
)
def test_what_is_not_told_from_random_features_is_not_called_as_much(
    q: tuple[float, float], recall: float, said: str
):
    nothing = {"rmg_low": 0.6, "rmg_high": 0.7, "r_low": 0.4, "r_high": 0.6}
    rows = {"class": {"rmg": 0.4, "r": recall}, KINDS[VARIANCE]: {"rmg_low": 0.3}}
    both = dict(zip((KINDS[RANDOM], KINDS[EQUAL_ENERGY]), q, strict=True))
    tests = {
        "rmg": {kind: {"difference": -0.1, "q": each} for kind, each in both.items()},
        "r": {kind: {"difference": 0.0, "q": 1.0} for kind in both},
    }
    assert said in _published(rows, tests, nothing, {"rmg": "RMG", "r": "R@10"})
