"""Synthetic spaces are what their settings say."""

from dataclasses import replace

import numpy as np
import pytest

from modalens.errors import ModalensError
from modalens.planted.space import SpaceStatistics, measure_space
from modalens.planted.worlds import CLIP_B32, WORLDS, World, plant


@pytest.mark.parametrize("name", WORLDS)
def test_pairs_are_what_was_planted(name):
    world = WORLDS[name]
    planted = plant(world, 4000, seed=1)
    again = plant(world, 4000, seed=1)
    assert np.array_equal(planted.image, again.image)
    assert not np.array_equal(planted.image, plant(world, 4000, seed=2).image)
    np.testing.assert_allclose(np.linalg.norm(planted.atoms, axis=2), 1)
    shared = planted.kind == "shared"
    np.testing.assert_allclose((planted.atoms[0] * planted.atoms[1]).sum(axis=1)[shared], world.shared_cosine)
    np.testing.assert_array_equal(*planted.atoms[:, ~shared])
    strengths = [
        np.asarray(each[:, shared].sum(axis=0)).ravel() for each in (planted.image_codes, planted.text_codes)
    ]
    assert (strengths[0] / strengths[1]).max() < 1.25 * world.tilt
    active = (planted.image_codes > 0).sum() / 4000
    assert active == pytest.approx(world.active * world.kept, rel=0.1)
    # Private atoms of a modality are never written by the other one, halves of split ones neither.
    codes = {"image": planted.image_codes, "text": planted.text_codes}
    for side, other in (("image", "text"), ("text", "image")):
        assert codes[other][:, planted.owner == side].nnz == 0
    halves = np.flatnonzero((planted.kind == "split") & (planted.owner == "image"))
    cosines = (planted.atoms[0, halves] * planted.atoms[1, planted.partner[halves]]).sum(axis=1)
    np.testing.assert_allclose(cosines, world.split_cosine, atol=1e-6)
    means = [side.mean(axis=0) for side in (planted.image, planted.text)]
    norms = [float(np.linalg.norm(each)) for each in means]
    np.testing.assert_allclose(norms, [world.image_mean, world.text_mean], atol=0.05)
    assert np.square(planted.image).sum(axis=1).mean() == pytest.approx(1, abs=0.05)


def test_children_fire_only_with_their_parents():
    world = World(children=0.5, shared=20, kept=1.0)
    codes = plant(world, 3000, seed=0).image_codes.toarray()[:, :20] > 0
    for child in range(10, 20):
        assert codes[:, child].any()
        assert not (codes[:, child] & ~codes[:, child - 10]).any()


def test_a_world_like_a_space_has_its_statistics():
    wanted = SpaceStatistics(image_mean=0.6, text_mean=0.75, mean_cosine=0.3, common=0.35, rank=40)
    world = World(kept=0.9).like(wanted)
    planted = plant(world, 6000, seed=0)
    found = measure_space(planted.image, planted.text)
    assert found.image_mean == pytest.approx(wanted.image_mean, abs=0.03)
    assert found.text_mean == pytest.approx(wanted.text_mean, abs=0.03)
    assert found.mean_cosine == pytest.approx(wanted.mean_cosine, abs=0.03)
    assert found.common == pytest.approx(wanted.common, abs=0.05)
    assert found.rank == pytest.approx(wanted.rank, rel=0.25)
    assert found.l2m == pytest.approx(wanted.l2m, abs=0.05)


def test_the_numbers_of_clip_are_those_of_the_reference(flickr_features):
    found = measure_space(*flickr_features)
    for name in ("image_mean", "text_mean", "mean_cosine", "common"):
        assert getattr(CLIP_B32, name) == pytest.approx(getattr(found, name), abs=1e-4)
    assert CLIP_B32.rank == pytest.approx(found.rank, abs=0.1)
    assert found.l2m == pytest.approx(0.8223, abs=5e-4)


def test_participation_ratios_do_not_depend_on_the_number_of_pairs(rng):
    """Of a sample of few more rows than columns the plain ratio would be a third of the true one."""
    image, text = rng.standard_normal((2, 200, 100))
    found = measure_space(image, text)
    assert found.rank == pytest.approx(100, abs=5)
    assert found.common == pytest.approx(0, abs=0.02)
    assert measure_space(image, image).common == pytest.approx(1)


def test_what_has_no_statistics_is_a_sentence(rng):
    with pytest.raises(ModalensError, match="at least 4 pairs"):
        measure_space(*rng.standard_normal((2, 3, 5)))
    with pytest.raises(ModalensError, match="all one"):
        measure_space(np.ones((9, 5)), rng.standard_normal((9, 5)))


def test_rarer_concepts_lower_the_rank():
    flat, skewed = World(), replace(World(), skew=1.5)
    assert skewed.rank() < flat.rank()
    assert skewed.rates()[0][0] > 10 * skewed.rates()[0][-1]
