"""The page on more than two modalities."""

import numpy as np
import pytest

import modalens as ml
from modalens.report.rendering import drawing, to_svg
from modalens.report.several import SharedFeatures, statements, write_several_report
from modalens.report.simplex import describe_triangle, triangle
from tests.dominance.planted_several import NAMES, plant_several


@pytest.fixture(scope="module")
def measured():
    planted = plant_several(n=400)
    found = ml.modality_dominance(tuple(planted.codes), modalities=NAMES, resamples=20)
    return found, ml.gap_matrix(tuple(planted.sides), modalities=NAMES, resamples=20)


@pytest.mark.parametrize("rule", ["twofold", "mu_sigma"])
def test_dots_stand_at_their_shares(measured, rule):
    found = measured[0].with_rule(rule)
    with drawing():
        axes = triangle(found).axes[0]
    dots = np.concatenate([np.asarray(each.get_offsets()) for each in axes.collections])
    assert len(dots) == len(found.shares)
    corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
    expected = found.shares @ corners
    order = np.lexsort(np.round(expected, 9).T)
    np.testing.assert_allclose(dots[np.lexsort(np.round(dots, 9).T)], expected[order], atol=1e-9)
    assert f"{found.counts()['image']} image" in describe_triangle(found)


def test_the_bounds_are_those_of_the_rule(measured):
    """A little to either side of a bound the class differs."""
    from modalens.dominance.rules import class_masks
    from modalens.report import simplex

    for start, stop in simplex._bounds(measured[0]):
        place, along = (start + stop) / 2, stop - start
        across = 1e-3 * np.array([-along[1], along[0]]) / np.linalg.norm(along)
        sides = []
        for point in (place + across, place - across):
            shares = np.linalg.solve(np.vstack([simplex._CORNERS.T, np.ones(3)]), np.append(point, 1))
            sides.append(int(class_masks(shares[:, None], "twofold")[0]))
        assert sides[0] != sides[1]


def test_the_page_is_whole_and_its_words_are_text(measured, tmp_path):
    found, gaps = measured
    page = write_several_report([SharedFeatures("raw", found)], gaps, tmp_path, "<b>three</b>").read_text()
    assert "<b>three</b>" not in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    for name in (*found.classes, "image and sound"):
        assert f">{name}</th>" in page
    again = write_several_report(
        [SharedFeatures("raw", found)], gaps, tmp_path / "again", "<b>three</b>"
    ).read_text()
    assert page == again


def test_four_modalities_have_tables_and_no_triangle(tmp_path, rng):
    sides, names = tuple(rng.standard_normal((4, 30, 6))), ("image", "text", "sound", "touch")
    found = ml.modality_dominance(sides, modalities=names, resamples=0)
    gaps = ml.gap_matrix(sides, modalities=names, resamples=0)
    page = write_several_report([SharedFeatures("raw", found)], gaps, tmp_path, "four")
    assert "image+text+touch" in page.read_text()
    assert "<svg" not in page.read_text()


def test_sentences_name_the_baseline(measured):
    found, gaps = measured
    said = " ".join(statements([SharedFeatures("raw", found)], gaps))
    alone = sum(found.counts()[name] for name in NAMES)
    live = len(found.shares) - found.counts()["dead"]
    assert f"{alone} of {live} live features are carried by one modality alone (with labels turned" in said
    assert "The widest gap is that of" in said


def test_the_triangle_is_the_same_twice(measured):
    with drawing():
        assert to_svg(triangle(measured[0], narrow=True)) == to_svg(triangle(measured[0], narrow=True))


def test_every_set_of_features_has_its_triangle_and_its_words(measured, tmp_path):
    found, gaps = measured
    sets = [SharedFeatures("own <i>", found), SharedFeatures("sae", found, "A note <b>.")]
    page = write_several_report(sets, gaps, tmp_path, "three").read_text()
    assert page.count("<svg") == 4
    assert {each.name for each in (tmp_path / "figures").glob("*.png")} == {"simplex.png", "simplex-1.png"}
    assert page.count('id="shares') == 2 * len(sets)
    assert "A note &lt;b&gt;." in page
    assert "<i>" not in page
    assert [each.partition(":")[0] for each in statements(sets, gaps)[1:3]] == ["own <i>", "sae"]
