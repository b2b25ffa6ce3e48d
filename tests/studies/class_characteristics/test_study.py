"""What tells classes apart, on features of which it is known."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from modalens.dominance import Dominance, modality_dominance
from modalens.errors import ModalensError
from modalens.statistics.controls import LEVEL
from modalens.studies.class_characteristics.measures import mutual_information
from modalens.studies.class_characteristics.random_classes import random_members, strata_of
from modalens.studies.class_characteristics.study import CORRELATION, INFORMATION, RATE, class_properties

N, F = 300, 120


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Dominance]:
    """40 image-dominant features that fire rarely, 40 cross-modal ones whose sides agree, 40 text-dominant ones."""
    rng = np.random.default_rng(seed)
    image, text = np.abs(rng.normal(size=(2, N, F)))
    text[:, 40:80] = image[:, 40:80] + 0.3 * np.abs(rng.normal(size=(N, 40)))
    rates = rng.uniform(0.05, 0.95, F)
    rates[:40] = rng.uniform(0.05, 0.3, 40)
    fires = rng.random((N, F)) < rates
    image, text = image * fires, text * fires
    image[:, :40] *= 9
    text[:, 80:] *= 9
    return image, text, modality_dominance(image, text, resamples=0)


def rows(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["property"] == name].set_index("class")


def test_what_was_planted_is_found_and_a_confounder_is_not() -> None:
    image, text, mds = planted()
    rng = np.random.default_rng(1)
    rate = (image != 0).mean(axis=0)
    noise = 0.03 * rng.normal(size=(2, F))
    # Rare features have alike samples, whatever their class; of texts those of the text class have besides.
    similarity = {"image": 0.8 - 0.6 * rate + noise[0], "text": 0.3 + noise[1]}
    similarity["text"][80:] += 0.2
    result = class_properties(image, text, mds, similarity=similarity, draws=400)
    table = result.tables["properties"]
    confounded = rows(table, "spread of strongest images").loc["image"]
    assert confounded["q"] < LEVEL < confounded["q_rate"]
    assert confounded["mean"] < confounded["random_low"]
    own = rows(table, "spread of strongest texts").loc["text"]
    assert max(own["q"], own["q_rate"]) < LEVEL
    assert own["mean"] < min(own["random_low"], own["random_rate_low"])
    assert rows(table, RATE).loc["image", "q"] < LEVEL
    assert rows(table, RATE).loc["image", "q_rate"] > LEVEL  # random classes were matched by it
    assert (
        rows(table, CORRELATION).loc["cross", "mean"]
        > rows(table, CORRELATION).loc["cross", "random_rate_high"]
    )
    assert rows(table, INFORMATION).loc["cross", "mean"] < rows(table, INFORMATION).loc["cross", "random_low"]
    assert len(result.tables["features"]) == F
    assert any("spread of strongest texts: image" in each.lower() for each in result.statements)
    assert (table["q"] >= table["p"]).all()


def test_classes_that_mean_nothing_are_seldom_told_apart() -> None:
    """Similarity has nothing to do with the classes: p is uniform."""
    image, text, mds = planted()
    p = []
    for seed in range(12):
        similarity = {"image": np.random.default_rng([seed, 9]).uniform(size=F)}
        table = class_properties(image, text, mds, similarity=similarity, draws=100, seed=seed).tables[
            "properties"
        ]
        p += rows(table, "spread of strongest images")["p_rate"].tolist()
    assert np.mean(np.array(p) < 0.05) < 0.2
    assert 0.2 < np.median(p) < 0.8


def test_mutual_information_is_free_of_the_bias_of_few_samples(rng: np.random.Generator) -> None:
    draws = [np.abs(rng.normal(size=(2, 40))) for _ in range(300)]
    plain = np.mean([mutual_information(*each, 4, corrected=False) for each in draws])
    corrected = np.mean([mutual_information(*each, 4) for each in draws])
    assert plain > 0.02
    assert abs(corrected) < 0.2 * plain
    fires = np.ones(500)
    assert mutual_information(fires, 0 * fires, 4) == pytest.approx(1, abs=0.01)
    assert mutual_information(fires, fires, 4) == pytest.approx(0)


def test_random_classes_hold_as_many_of_each_stratum(rng: np.random.Generator) -> None:
    rate = rng.uniform(size=60)
    strata = strata_of(rate, 6)
    assert np.bincount(strata).tolist() == [10] * 6
    inside = rate < 0.4
    drawn = random_members(inside, strata, 100, 0)
    for stratum in range(6):
        assert (drawn[:, strata == stratum].sum(axis=1) == inside[strata == stratum].sum()).all()
    assert (strata_of(np.ones(9), 4) == 0).all()


def test_sparse_features_and_few_pairs() -> None:
    image, text, mds = planted()
    dense = class_properties(image, text, mds, draws=100)
    sparse = class_properties(sp.csr_array(image), sp.csr_array(text), mds, draws=100)
    pd.testing.assert_frame_equal(sparse.tables["properties"], dense.tables["properties"])
    assert "spread of strongest samples is left out" in dense.statements[-1].replace("the spread", "spread")
    drawn = class_properties(image, text, mds, draws=100, max_pairs=100)
    assert drawn.config["pairs"] == 100
    assert "Of 300 pairs 100 were drawn at random." in drawn.statements
    with pytest.raises(ModalensError, match="give the same"):
        class_properties(image[:, :5], text[:, :5], mds)
