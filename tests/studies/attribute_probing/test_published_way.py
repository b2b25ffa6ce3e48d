"""The papers' way of telling an attribute, against naive loops, and beside ours."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from modalens.dominance import modality_dominance
from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.studies import StudyResult
from modalens.studies.attribute_probing.nearest import design
from modalens.studies.attribute_probing.published_way import (
    REFERENCES,
    equal_counts_removed,
    measure_published_way,
)
from modalens.studies.attribute_probing.study import Encoded, gender
from tests.studies.attribute_probing.planted import FEATURES, planted


def scored(image: np.ndarray, text: np.ndarray) -> Dominance:
    return modality_dominance(image, text, rule="twofold", resamples=0)


@pytest.mark.parametrize("sparse", [False, True])
def test_as_many_of_either_class_are_removed_as_the_sample_has_of_the_rarer(sparse: bool) -> None:
    image, text, _, _ = planted(n=40)
    mds = scored(image, text)
    x = np.where(np.random.default_rng(3).random(image.shape) < 0.3, image, 0)
    whole, edited, counts = equal_counts_removed(
        sp.csr_array(x) if sparse else x, mds, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(whole.toarray(), x)
    members = [np.isin(np.arange(FEATURES), mds.indices(name)) for name in ("image", "text")]
    for row in range(40):
        fewer = min(int((x[row, each] > 0).sum()) for each in members)
        assert counts[row] == fewer
        for left, member in zip(edited, [*members, np.ones(FEATURES, dtype=bool)], strict=True):
            gone = (left.toarray()[row] != x[row]).nonzero()[0]
            assert len(gone) == fewer
            assert member[gone].all()
            assert (left.toarray()[row, gone] == 0).all()
    assert 0 < counts.mean() < 12


def test_the_nearer_reference_in_the_other_space_is_found_as_a_loop_does() -> None:
    """Samples of a value are one point to the encoder, so that every reference is the same."""
    image, text, labels, groups = planted(n=120)
    mds = scored(image, text)
    female = (labels == "woman").astype(float)
    encoded = np.stack([female, 1 - female, np.zeros(120)], axis=1)
    plan = design(labels, None, groups, seeds=2, folds=3, seed=0)
    found = measure_published_way(image, image, encoded, plan, mds, seed=1)
    assert found.edits == ("image", "text", "random")
    assert found.right.shape == (4, 2 * REFERENCES, 2)
    assert found.removed == 12, "every feature fires, so all of either class go"
    right = np.zeros((3, 2, 2))
    for turn, splits in enumerate(plan.rounds):
        for refer, test in splits:
            x = image[refer]
            towards = Ridge(alpha=0.1 * (x**2).sum(axis=1).mean()).fit(x, encoded[refer])
            for place, without in enumerate(([], mds.indices("image"), mds.indices("text"))):
                edited = image[test].copy()
                edited[:, without] = 0
                for row, mapped in zip(test, towards.predict(edited), strict=True):
                    distances = [np.linalg.norm(mapped - golden) for golden in np.eye(3)[:2]]
                    right[place, turn, plan.tested.labels[row]] += np.argmin(distances) == (
                        labels[row] != "woman"
                    )
    right /= np.bincount(plan.tested.labels)
    np.testing.assert_allclose(found.right[:3, ::REFERENCES], right)
    assert (found.right.std(axis=1)[:3] >= 0).all()
    assert right[1].mean() < right[0].mean() - 0.1, "gender lies in the image side's features"


def test_both_ways_stand_beside_each_other(tmp_path: Path) -> None:
    image, text, labels, groups = planted(n=160)
    mds, rng = scored(image, text), np.random.default_rng(0)
    latent = np.where(labels == "woman", 1.0, -1.0)[:, None] + rng.normal(size=(160, 5))
    encoded = {"image": Encoded("eyes", latent), "text": Encoded("ears", latent[:, :3])}
    result = gender(image, text, labels, mds, groups=groups, seeds=2, encoded=encoded)
    table = result.tables["published_way"].set_index(["input", "value", "without"])
    assert len(table) == 2 * 3 * 3
    accuracy = result.tables["accuracy"].set_index(["input", "without"])
    own = table.loc[("image", "all", "image")]
    assert own["ours"] == accuracy.loc[("image", "image"), "relative"]
    assert own["told_ours"] == accuracy.loc[("image", "nothing"), "accuracy"]
    np.testing.assert_allclose(table["difference"], table["their_way"] - table["ours"])
    assert (table["their_way_low"] <= table["their_way_high"]).all()
    assert own["their_way_high"] > own["their_way_low"], "one random reference is a matter of luck"
    assert (own["published"], table.loc[("text", "male", "text"), "published"]) == (-5.87, -28.67)
    assert own["their_way"] < table.loc[("image", "all", "text"), "their_way"]
    said = [each for each in result.statements if "their way" in each]
    assert len(said) == 4
    assert any("in the space of eyes and ears" in each for each in result.statements)
    result.save(tmp_path)
    assert list(StudyResult.load(tmp_path).statements) == list(result.statements)
    plain = gender(image, text, labels, mds, groups=groups, seeds=2)
    assert "published_way" not in plain.tables
    assert not any("their way" in each for each in plain.statements)
    bad = {**encoded, "text": Encoded("ears", latent[:9])}
    with pytest.raises(ModalensError, match="9 text for 160 pairs"):
        gender(image, text, labels, mds, encoded=bad)


def test_without_members_of_a_class_there_is_no_such_way() -> None:
    image, text, labels, groups = planted(n=80)
    mds = scored(image, np.maximum(text, 0.9 * image))
    assert not len(mds.indices("image"))
    encoded = {name: Encoded(name, image) for name in ("image", "text")}
    result = gender(image, text, labels, mds, groups=groups, seeds=1, encoded=encoded)
    assert "published_way" not in result.tables
    assert any("and none is of class image" in each for each in result.statements)
