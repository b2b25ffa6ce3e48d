"""The bench of dictionaries on planted features."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from modalens.errors import InputError
from modalens.report.charts import PageCanvas
from modalens.report.rendering import drawing
from modalens.studies.result import StudyResult
from modalens.studies.sparse_probing.figures import FIGURES
from modalens.studies.sparse_probing.study import dictionary_bench
from tests.studies.sparse_probing.planted import N, Planted, planted

QUICK: dict[str, Any] = {"draws": 10, "folds": 3, "k": (1, 2, 3)}
FEW: dict[str, Any] = {"draws": 5, "folds": 2, "k": (1,)}


@pytest.fixture(scope="module")
def world() -> Planted:
    return planted()


@pytest.fixture(scope="module")
def found(world: Planted) -> StudyResult:
    return bench(world)


def bench(world: Planted, **options: Any) -> StudyResult:
    return dictionary_bench(
        sp.csr_array(world.image),
        sp.csr_array(world.text),
        options.pop("labels", {"kind": world.kinds}),
        world.mds,
        embeddings=world.embeddings,
        directions=(world.directions, world.directions),
        **{**QUICK, **options},
    )


def row(table: pd.DataFrame, attribute: str, modality: str | None = "image", k: int | None = None) -> Any:
    rows = table[table["attribute"] == attribute]
    rows = rows if modality is None else rows[rows["modality"] == modality]
    rows = rows if k is None else rows[rows["k"] == k]
    (found,) = rows.to_dict("records")
    return found


def test_few_features_tell_attributes_and_random_ones_and_shuffled_labels_do_not(found: StudyResult) -> None:
    probing = found.tables["probing"]
    one = row(probing, "food", k=1)
    assert one["accuracy"] > 0.99
    assert one["accuracy_low"] > 0.97
    assert one["q"] < 0.01
    assert abs(one["shuffled"] - 0.5) < 0.05
    assert abs(one["random"] - 0.5) < 0.1
    assert row(probing, "vehicle", k=1)["accuracy"] == pytest.approx(0.75, abs=0.03)
    assert row(probing, "vehicle", k=2)["accuracy"] > 0.99
    assert one["embedding"] > 0.99
    # The texts' pick for food, 7, says little on images.
    assert one["other_side"] < 0.6
    assert row(probing, "animal", k=1)["other_side"] > 0.95


def test_a_planted_split_and_a_planted_absorption_are_told_apart(found: StudyResult) -> None:
    table = found.tables["absorption"]
    split, absorbed, whole = (row(table, name) for name in ("vehicle", "animal", "food"))
    assert [each["features"] for each in (split, absorbed, whole)] == [2, 1, 1]
    assert absorbed["absorbed"] == pytest.approx(0.05, abs=0.01)
    assert absorbed["absorbed"] <= absorbed["silent"]
    assert absorbed["chance"] < 0.03
    assert absorbed["q"] < 0.05
    for each in (split, whole):
        assert each["absorbed"] < 0.01
    assert absorbed["feature"] == 0
    means = found.tables["means"].set_index(["measure", "modality"])
    assert means.loc[("features that share an attribute", "image"), "chance"].item() == pytest.approx(
        1, abs=0.1
    )


def test_removing_features_of_one_attribute_costs_it_alone_unless_they_are_of_two(found: StudyResult) -> None:
    table = found.tables["perturbation"]
    own = row(table, "food", k=1)
    assert own["drop"] > 0.4
    assert abs(own["others"]) < 0.1
    assert own["specific_low"] > 0.3
    assert own["q"] < 1
    assert abs(own["random"]) < 0.15
    assert row(table, "vehicle", "text", k=1)["q"] < 0.05
    entangled, alone = (row(table, "vehicle", side, k=2) for side in ("text", "image"))
    assert entangled["others"] > alone["others"] + 0.05
    assert entangled["specific"] < alone["specific"] - 0.05


def test_one_feature_serves_both_modalities_where_it_was_planted(found: StudyResult) -> None:
    table = found.tables["alignment"]
    aligned, apart = (row(table, name, None, k=1) for name in ("animal", "food"))
    assert (aligned["shared"], apart["shared"]) == (1, 0)
    assert aligned["p"] < 0.03
    assert apart["p"] == 1
    assert aligned["chance"] < 0.2
    assert aligned["exchanged"] == 0


def test_what_is_said_gives_the_control_beside(found: StudyResult) -> None:
    said = " ".join(found.statements)
    for words in (
        "shuffled labels",
        "random ones",
        "contributions exchanged",
        "random features of equal energy",
    ):
        assert words in said
    assert found.config["attributes"] == ["animal", "food", "vehicle"]
    assert not found.tables["means"]["value"].isna().any()


def test_dense_and_sparse_features_give_the_same(world: Planted, found: StudyResult) -> None:
    dense = dictionary_bench(
        world.image,
        world.text,
        {"kind": world.kinds},
        world.mds,
        embeddings=world.embeddings,
        directions=(world.directions, world.directions),
        **QUICK,
    )
    for name in ("probing", "absorption", "perturbation", "alignment"):
        pd.testing.assert_frame_equal(found.tables[name], dense.tables[name], atol=5e-3, rtol=5e-3)


def test_features_without_a_decoder_are_probed_themselves(world: Planted) -> None:
    found = dictionary_bench(world.image, world.text, {"kind": world.kinds}, world.mds, **FEW)
    assert found.config["probe_of"] == "features"
    probing = row(found.tables["probing"], "food", k=1)
    assert probing["embedding"] == probing["all_features"]
    assert row(found.tables["perturbation"], "food", k=1)["drop"] > 0.3


def test_groups_are_told_and_intervals_follow_them(world: Planted) -> None:
    groups = np.arange(N) // 12
    noisy = np.where(groups % 4 == 0, np.roll(world.kinds, 1), world.kinds)
    alone, together = (bench(world, labels={"kind": noisy}, groups=each, **FEW) for each in (None, groups))
    width = [
        (each["accuracy_high"] - each["accuracy_low"]).mean()
        for each in (alone.tables["probing"], together.tables["probing"])
    ]
    assert together.config["groups"] == 100
    assert width[1] > 1.2 * width[0]


def test_a_column_of_two_values_is_one_attribute_and_several_columns_stand_beside(world: Planted) -> None:
    alive = np.where(world.kinds == "animal", "yes", "no")
    found = bench(world, labels={"kind": world.kinds, "alive": alive}, **FEW)
    table = found.tables["alignment"]
    assert table.loc[table["column"] == "alive", "attribute"].tolist() == ["yes"]
    alone = bench(world, labels={"alive": alive}, **FEW)
    assert alone.tables["perturbation"]["others"].isna().all()
    assert not any("other attributes" in each for each in alone.statements)


def test_labels_that_cannot_be_probed_are_refused(world: Planted) -> None:
    for labels, message in (
        ({}, "at least one metadata column"),
        ({"kind": world.kinds[:10]}, "There are 10 labels kind for 1200 pairs"),
        ({"kind": np.arange(N)}, "No value of kind is one that at least 20 pairs have"),
    ):
        with pytest.raises(InputError, match=message):
            bench(world, labels=labels)
    with pytest.raises(InputError, match="both embeddings and directions"):
        dictionary_bench(
            world.image, world.text, {"kind": world.kinds}, world.mds, embeddings=world.embeddings
        )


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_draws_a_line_for_each_representation(found: StudyResult, narrow: bool) -> None:
    (figure,) = FIGURES
    assert figure.fits(found)
    with drawing():
        axes = figure.draw({"Raw": found, "SAE": found}, [], ("image", "text"), PageCanvas(narrow)).axes
    assert len(axes) == 2
    for each in axes:
        lines = {line.get_label(): np.asarray(line.get_xdata()).tolist() for line in each.lines}
        assert lines["Raw"] == lines["SAE"] == [1, 2, 3]
