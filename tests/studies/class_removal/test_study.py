"""The removal study on planted data, its p-value where nothing is to be found, and its steps by hand."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modalens.dominance import Dominance, modality_dominance
from modalens.errors import ModalensError
from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import against_random, corrected
from modalens.studies.class_removal.study import PUBLISHED, removal
from modalens.studies.stats.fold_classifier import CLASSIFIER
from modalens.studies.stats.heldout import (
    beyond_chance,
    cross_validation,
    labelled_pairs,
)

N, F = 240, 48


def planted(seed: int, informative: float = 1.2, n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image and text features and labels: 12 image-dominant features alone carry the label, in images."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    image, text = rng.normal(size=(2, n, F))
    image[:, :12] += informative * rng.normal(size=(4, 12))[labels]
    image[:, :12] *= 6
    text[:, 12:24] *= 6
    return image, text, labels


def score(image, text, rule: str = "twofold") -> Dominance:
    return modality_dominance(image, text, rule=rule, resamples=0)


@pytest.fixture(scope="module")
def found():
    image, text, labels = planted(0)
    return removal(image, text, labels, score(image, text), seed=1)


def test_planted_image_features_are_found(found):
    table = found.tables["removal"].set_index(["modality", "without"])
    assert len(table) == 6
    own = table.loc["image", "image"]
    assert own["removed"] == 12
    assert own["p"] < 0.01
    assert own["difference"] < -0.2
    assert own["accuracy_high"] < own["random_low"]
    assert own["drop_low"] > 0.2
    # variance and labels both lead to the same features
    assert own["variance"] == own["accuracy"]
    assert own["f_score"] == pytest.approx(own["accuracy"], abs=0.05)
    others = table.drop(("image", "image"))
    assert others.loc[others["difference"] < 0, "p"].min() > 0.01
    assert (table["whole"] > 0.8).loc["image"].all()
    assert np.allclose(table["drop"], table["whole"] - table["accuracy"])
    assert np.allclose(table["difference"], table["accuracy"] - table["random"], atol=0.03)  # labels are even
    assert ((table["p"] < 0.05) == (table["difference_low"] > 0) | (table["difference_high"] < 0)).all()
    for name in ("whole", "accuracy", "drop", "random", "difference", "variance", "f_score"):
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()
    assert "q < 0.001" in found.statements[0]
    assert any("accuracy beyond chance" in each for each in found.statements)
    assert (table[["q", "q_energy"]].to_numpy() >= table[["p", "p_energy"]].to_numpy()).all()
    np.testing.assert_allclose(
        table[["q", "q_energy"]], corrected(table[["p", "p_energy"]].to_numpy())
    )  # all 12 together


def test_more_than_its_number_is_not_more_than_its_energy(found):
    """The class holds nearly all energy of images, so it carries more than its number by definition."""
    own = found.tables["removal"].iloc[0]
    assert own["energy"] > 0.9
    assert own["q"] < 0.01
    assert own["q_energy"] > 0.05
    assert own["removed_energy"] > own["removed"]
    assert (
        "the class carries more than random features of equal number, but is not told from random features of equal "
        f"energy (a test at 0.05 finds a difference of {own['detectable_energy']:.3f} with power 0.8)."
    ) in found.statements[0]


def test_a_class_can_carry_more_than_its_number_and_its_energy():
    image, text, labels = planted(0)
    image[:, 24:] *= 12  # strong on both sides, and knows nothing
    text[:, 24:] *= 12
    result = removal(image, text, labels, score(image, text), folds=2, seed=1)
    own = result.tables["removal"].iloc[0]
    assert own["energy"] < 0.3
    assert max(own["q"], own["q_energy"]) < 0.05
    assert (
        "carries more than random features of equal number or of equal energy; without"
        in result.statements[0]
    )
    assert own["beyond_variance"] == pytest.approx(own["accuracy"] - own["variance"])
    assert own["beyond_variance_high"] < 0


@pytest.mark.slow
def test_shuffled_labels_are_not_found():
    """8 independent draws of the row that the planted features would show in."""
    p = []
    for seed in range(8):
        image, text, labels = planted(seed, n=80)
        shuffled = np.random.default_rng([seed, 1]).permutation(labels)
        table = removal(image, text, shuffled, score(image, text), seed=seed, folds=2).tables["removal"]
        p.append(table["p"].to_numpy())
    p = np.array(p)
    assert (p[:, 0] < 0.01).sum() <= 1  # Binomial(8, 0.01): more has a chance of 0.3 %
    assert (p[:, 0] < 0.05).sum() <= 2  # Binomial(8, 0.05): more has a chance of 0.6 %
    assert (p < 0.05).mean() < 0.12
    assert 0.2 < np.median(p) < 0.8


@pytest.mark.parametrize("seed", range(2))
def test_planted_features_are_found_whatever_the_seed(seed):
    image, text, labels = planted(seed + 10, informative=0.8)
    table = removal(image, text, labels, score(image, text), seed=seed, folds=2).tables["removal"]
    assert table.loc[0, ["modality", "without"]].tolist() == ["image", "image"]
    assert table.loc[0, "p"] < 0.01


def test_accuracies_are_those_of_plain_classifiers(found):
    """Zeroed features, scikit-learn's own pipeline on each fold, controls chosen on the training part."""
    image, _, labels = planted(0)
    pairs = labelled_pairs(labels, N)
    row = found.tables["removal"].iloc[0]
    right: dict[str, list[bool]] = {name: [] for name in ("whole", "accuracy", "variance", "f_score")}
    for train, test in cross_validation(pairs, 5, seed=1):
        spread = image[train].var(axis=0)
        f = f_classif(image[train], labels[train])[0]
        removed = {
            "whole": [],
            "accuracy": range(12),
            "variance": np.argsort(-spread)[:12],
            "f_score": np.argsort(-f)[:12],
        }
        for name, indices in removed.items():
            x = image.copy()
            x[:, list(indices)] = 0
            model = make_pipeline(StandardScaler(), LogisticRegression(**CLASSIFIER)).fit(
                x[train], labels[train]
            )
            right[name] += (model.predict(x[test]) == labels[test]).tolist()
    for name, each in right.items():
        assert row[name] == pytest.approx(np.mean(each), abs=2.5 / N), name  # float32 tips single samples


def test_sparse_features_give_what_dense_ones_give_and_stay_sparse(monkeypatch):
    image, text, labels = planted(3)
    rng = np.random.default_rng(0)
    silent = rng.random(image.shape) < 0.5
    image[silent] = text[silent] = 0
    mds = score(image, text)
    to_dense = sp.csr_array.toarray

    def of_features(matrix, *given, **named):
        assert matrix.shape == (F, F) or 0 in matrix.shape, "sparse samples were made dense"
        return to_dense(matrix, *given, **named)

    monkeypatch.setattr(sp.csr_array, "toarray", of_features)
    sparse = removal(sp.csr_array(image), sp.csr_matrix(text), labels, mds, folds=2).tables["removal"]
    dense = removal(image, text, labels, mds, folds=2).tables["removal"]
    assert list(sparse.columns) == list(dense.columns)
    for name in ("whole", "accuracy", "random", "variance", "f_score"):
        np.testing.assert_allclose(sparse[name], dense[name], atol=0.5 / N)
    assert (sparse["p"] < 0.01)[0]


def test_the_same_seed_gives_the_same_table_whatever_the_blocks(monkeypatch):
    image, text, labels = planted(4)
    mds = score(image, text)
    first = removal(image, text, labels, mds, seed=5, folds=2).tables["removal"]
    from modalens.arrays import iter_blocks

    monkeypatch.setattr(
        "modalens.studies.stats.heldout.iter_blocks", lambda matrix, name: iter_blocks(matrix, 17, name)
    )
    pd.testing.assert_frame_equal(removal(image, text, labels, mds, seed=5, folds=2).tables["removal"], first)
    other = removal(image, text, labels, mds, seed=6, folds=2).tables["removal"]
    assert not other["random"].equals(first["random"])


def test_groups_are_kept_whole(rng):
    """Copies of one pair in one group: nothing of the label is in features, copies alone could tell."""
    groups = np.repeat(np.arange(24), 10)
    labels = rng.integers(0, 2, 24)[groups]
    image, text = (rng.normal(size=(24, F))[groups] + 0.01 * rng.normal(size=(N, F)) for _ in range(2))
    mds = score(image, text)
    leaky = removal(image, text, labels, mds, folds=2).tables["removal"]
    kept = removal(image, text, labels, mds, groups=groups, folds=2).tables["removal"]
    assert (leaky["whole"] > 0.8).all()
    assert (kept["whole_low"] < 0.6).all()
    assert (kept["whole_high"] - kept["whole_low"] > 0.1).all()
    pairs = labelled_pairs(labels, N, [f"g{i}" for i in groups])
    tested = []
    for train, test in cross_validation(pairs, 5, seed=0):
        assert not set(groups[train]) & set(groups[test])
        tested += test.tolist()
    assert sorted(tested) == list(range(N))


def test_a_class_without_members_is_said_and_skipped():
    image, text, labels = planted(2)
    text[:, 12:24] /= 6
    result = removal(image, text, labels, score(image, text), folds=2)
    assert result.tables["removal"]["without"].unique().tolist() == ["image", "cross"]
    assert "No feature is of class text, so its row is left out." in result.statements


def test_the_rule_can_be_named():
    image, text, labels = planted(2)
    mds = score(image, text, "mu_sigma")
    result = removal(image, text, labels, mds, rule="twofold", folds=2)
    assert result.config["rule"] == "twofold"
    expected = [len(mds.with_rule("twofold").indices(name)) for name in ("image", "cross", "text")] * 2
    assert result.tables["removal"]["removed"].tolist() == expected


def test_removing_every_live_feature_leaves_the_commonest_label(rng):
    side = rng.normal(size=(60, 5))
    labels = np.repeat(["a", "b"], [40, 20])
    table = removal(side, side, labels, score(side, side)).tables["removal"]
    assert table["removed"].tolist() == [5, 5]
    assert table["accuracy"].tolist() == table["majority"].tolist() == [pytest.approx(2 / 3)] * 2
    assert table["p"].tolist() == pytest.approx([1.0, 1.0])


def test_pairs_without_label_and_rare_labels_are_left_out_and_said():
    image, text, labels = planted(6)
    named = labels.astype(object)
    named[:3] = [None, float("nan"), " "]
    named[3], named[4] = "only one", "another"
    result = removal(image, text, named, score(image, text), folds=2)
    assert result.config["pairs"] == N - 5
    assert result.config["labels"] == ["0", "1", "2", "3"]
    assert "3 of 240 pairs have no label and are left out." in result.statements
    assert any(
        each.startswith("'another', 'only one' are left out: a label that one pair")
        for each in result.statements
    )
    plain = removal(image[5:], text[5:], labels[5:], score(image, text), folds=2)
    for name in ("removed", "whole", "accuracy", "random", "p", "variance", "f_score", "majority"):
        pd.testing.assert_series_equal(result.tables["removal"][name], plain.tables["removal"][name])


def test_many_pairs_are_sampled():
    image, text, labels = planted(0)
    result = removal(image, text, labels, score(image, text), folds=2, max_pairs=100)
    assert result.config["pairs"] == 100
    assert "Of 240 pairs with a label 100 were drawn at random." in result.statements


def test_a_lazy_column_does_as_well(tmp_path):
    from modalens.store.columns import ShardedColumn

    image, text, labels = planted(0)
    image, text = image.astype(np.float32), text.astype(np.float32)
    for start in (0, 100):
        np.save(tmp_path / f"{start}.npy", image[start : start + 100 if start == 0 else N])
    lazy = ShardedColumn([tmp_path / "0.npy", tmp_path / "100.npy"])
    mds = score(image, text)
    pd.testing.assert_frame_equal(
        removal(lazy, text, labels, mds, folds=2).tables["removal"],
        removal(image, text, labels, mds, folds=2).tables["removal"],
    )


def test_the_result_is_kept(found, tmp_path):
    found.save(tmp_path)
    loaded = type(found).load(tmp_path)
    pd.testing.assert_frame_equal(loaded.tables["removal"], found.tables["removal"])
    assert loaded.config == found.config


def test_beyond_chance_is_0_for_predictions_that_know_nothing(rng):
    labels = rng.choice(4, 300, p=[0.7, 0.1, 0.1, 0.1])
    share = [float((labels == label).mean()) for label in range(4)]
    predicted = rng.choice(4, (50, 300), p=[0.4, 0.2, 0.2, 0.2])
    found = beyond_chance(predicted, labels)
    expected = [
        [float(p == y) - share[p] for p, y in zip(row, labels, strict=True)] for row in predicted.tolist()
    ]
    np.testing.assert_allclose(found, expected)
    assert abs(found.mean()) < 0.02
    assert beyond_chance(np.zeros(300, dtype=int), labels).mean() == pytest.approx(0)
    assert (beyond_chance(labels, labels) > 0).all()


def test_naming_the_commonest_label_more_often_is_no_evidence():
    """Predictions that know nothing, of which those without random sets name the commonest label more often."""
    p, of_accuracy = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        labels = rng.choice(3, 300, p=[0.7, 0.2, 0.1])
        own = rng.choice(3, 300, p=[0.5, 0.3, 0.2])
        draws = rng.choice(3, (20, 300), p=[0.8, 0.1, 0.1])
        keys = np.arange(300)
        p.append(against_random(beyond_chance(own, labels), beyond_chance(draws, labels), keys).p)
        of_accuracy.append(against_random(own == labels, draws == labels, keys).p)
    assert np.mean(np.array(p) < 0.05) < 0.09
    assert np.mean(np.array(of_accuracy) < 0.05) > 0.5  # what plain accuracy would have called evidence


def test_intervals_are_as_wide_as_those_of_a_share(rng):
    correct = (np.arange(400) < 300)[None]
    spread = resampled_means(correct, np.arange(400), 2000, 0).std()
    assert spread == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.1)
    in_groups = resampled_means(correct, np.arange(400) // 4, 2000, 0).std()
    assert in_groups == pytest.approx(2 * spread, rel=0.15)


def test_published_values_are_the_papers():
    frame = pd.DataFrame(PUBLISHED).set_index(["modality", "without"])
    assert frame.loc[("text", "text"), ["removed", "whole", "accuracy", "random"]].tolist() == [
        554,
        0.713,
        0.683,
        0.693,
    ]
    assert frame.loc["image", "accuracy"].tolist() == [0.750, 0.769, 0.760]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1] * 10}, "There are 20 labels for 240 pairs"),
        ({"labels": [None] * N}, "No pair has a label"),
        ({"labels": ["a"] * N}, "has the label 'a'; name a column of at least two labels"),
        ({"labels": list(range(N))}, "Only 0 of 240 labels has at least two pairs"),
        ({"labels": ["a"] * (N - 1) + ["b"]}, "Only 1 of 2 labels has at least two pairs"),
        (
            {"labels": np.arange(N) % 120},
            "folds must lie between 2 and the 2 pairs of the commonest label, not 5",
        ),
        ({"groups": [0] * N}, "Only 0 of 4 labels has at least two groups"),
        ({"groups": [0, 1]}, "groups has 2 labels for 240 pairs"),
        ({"text": np.ones((3, F))}, "The image matrix has 240 rows and the text matrix 3"),
        ({"mds": "short"}, "The scores are of 5 features and the matrices have 48"),
        ({"draws": 19}, "draws is 19; it must be at least 20"),
        ({"draws": True}, "draws is True; it must be a whole number"),
        ({"folds": 1}, "folds is 1; it must be at least 2"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"rule": "threefold"}, "There is no rule 'threefold'"),
        ({"image": "nan"}, "NaN or infinite value in row 7"),
    ],
)
def test_bad_input_gets_one_sentence(change, message):
    image, text, labels = planted(0)
    mds = score(image, text)
    if change.get("mds") == "short":
        change = {"mds": replace(mds, score=mds.score[:5])}
    if isinstance(change.get("image"), str):
        broken = image.copy()
        broken[7, 3] = np.nan
        change = {"image": broken}
    given = {"image": image, "text": text, "labels": labels, "mds": mds, **change}
    with pytest.raises(ModalensError, match=message) as caught:
        removal(given.pop("image"), given.pop("text"), given.pop("labels"), given.pop("mds"), **given)
    assert "\n" not in str(caught.value)


def test_it_is_quick_at_the_size_of_a_demo(rng):
    image, text = rng.normal(size=(2, 500, 256))
    image[:, :80] *= 6
    text[:, 80:160] *= 6
    labels = rng.integers(0, 10, 500)
    started = time.process_time()
    removal(image, text, labels, score(image, text))
    assert time.process_time() - started < 30
