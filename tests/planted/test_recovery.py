"""Recovery, attribution and verdicts are right where it is known what they must be."""

import numpy as np
import pytest
import scipy.sparse as sp

from modalens.planted.recovery import attribution, match, recovery, verdicts
from modalens.planted.worlds import World, plant


@pytest.fixture(scope="module")
def planted():
    return plant(World(kept=0.9), 3000, seed=0)


def test_the_planted_codes_themselves_are_right_in_everything(planted):
    codes = planted.image_codes, planted.text_codes
    matches = match(planted, *codes)
    assert matches.recovered.all()
    np.testing.assert_array_equal(matches.best, np.arange(len(planted.kind)))
    np.testing.assert_array_equal(matches.atom, np.arange(len(planted.kind)))
    assert recovery(planted, matches, planted.atoms[0]) == pytest.approx({"recovery": 1.0, "cosine": 1.0})
    assert attribution(planted, matches, *codes)["mean_ratio", "twofold"] == 1
    found = verdicts(planted, matches, *codes, planted.atoms[0], seed=0)
    assert found["split_found"] == 1
    assert found["split_healed"] == 0
    assert found["private_found"] > 0.9
    assert found["false_private"] == found["false_split"] == 0


def test_merged_halves_are_healed_and_not_found(planted):
    """A feature that fires for either half stands for the whole concept."""
    first = np.flatnonzero((planted.kind == "split") & (planted.owner == "image"))
    merged = []
    for codes in (planted.image_codes.toarray(), planted.text_codes.toarray()):
        codes[:, first] += codes[:, planted.partner[first]]
        codes[:, planted.partner[first]] = 0
        merged.append(sp.csr_array(codes))
    found = verdicts(planted, match(planted, *merged), *merged, planted.atoms[0], seed=0)
    assert found["split_healed"] == 1
    assert found["split_found"] == 0


def test_features_of_nothing_recover_nothing(planted, rng):
    codes = tuple(np.abs(rng.standard_normal((2, 3000, 30))))
    matches = match(planted, *codes)
    assert recovery(planted, matches, None) == {"recovery": 0.0}
    assert attribution(planted, matches, *codes) == {}
    found = verdicts(planted, matches, *codes, None, seed=0)
    assert found["split_found"] == found["private_found"] == 0
    assert np.isnan(found["false_private"])


def test_swapped_sides_are_attributed_wrongly(planted):
    codes = planted.text_codes, planted.image_codes
    right = attribution(planted, match(planted, planted.image_codes, planted.text_codes), *codes)
    assert right["mean_ratio", "twofold"] == pytest.approx(1 / 3, abs=0.02)
