import numpy as np
import scipy.sparse as sp

from modalens.edit import equal_energy_sets, feature_energy


def test_energy_is_the_sum_of_squares(rng):
    x = rng.normal(size=(30, 7)) * (rng.random((30, 7)) < 0.5)
    for given in (x, sp.csr_array(x)):
        np.testing.assert_allclose(feature_energy(given), (x**2).sum(axis=0))


def test_sets_reach_the_energy_with_whatever_number_it_takes():
    energy = np.concatenate([np.full(100, 1.0), np.full(20, 30.0)])
    features = np.arange(120)
    sets = equal_energy_sets(features, energy, 300.0, 10, 0)
    weights = np.array([energy[each.indices].sum() for each in sets])
    assert ((weights > 270) & (weights <= 300)).all()
    assert len({each.indices.tobytes() for each in sets}) == 10
    again = equal_energy_sets(features, energy, 300.0, 3, 0)
    assert [each.indices.tolist() for each in again] == [each.indices.tolist() for each in sets[:3]]
    assert len(equal_energy_sets(features, energy, 0.5, 1, 0)[0]) == 1  # where nothing fits, the weakest
