"""The explorer's comparison says what ``modalens compare`` says."""

from pathlib import Path

import numpy as np
import pytest

import modalens as ml
from modalens.features import SAEConfig
from modalens.runs.layout import RunFolder
from modalens.runs.representations import representations
from tests.explore.conftest import Explorer, served
from tests.small_run import learn


def test_twins_are_compared_as_the_command_does(explorer: Explorer) -> None:
    same = explorer.json("/api/compare?first=photos&first_set=sae&second=photos&second_set=sae")
    assert same["couple"]["how"] == "decoder rows"
    assert same["couple"]["matched"] == same["couple"]["of"] == len(same["points"]["first"])
    assert same["points"]["scores"][0] == same["points"]["scores"][1]
    assert same["changed"] == 0
    assert same["seeds"] is None
    folders = explorer.run, explorer.run / "baselines" / "untrained"
    for name, how in (("sae", "activations"), ("raw", "dimension")):
        found = explorer.json(
            f"/api/compare?first=photos&first_set={name}&second=photos%2Buntrained&second_set={name}"
        )
        command = ml.compare(*folders, features=name)
        row = command.couples.iloc[0]
        couple = found["couple"]
        assert couple["how"] == row["how"] == how
        for key in ("matched", "of", "verdicts", "verdicts_changed"):
            assert couple[key] == row[key]
        for key in ("r", "random_r", "same_class", "kappa"):
            assert couple[key] == pytest.approx(row[key]) or (couple[key] is None and np.isnan(row[key]))
        assert found["pairs"] == command.pairs > 10
        assert found["changed"] == len(command.changed)
        values = command.values.groupby("label", sort=False)
        for place, (_, own) in enumerate(values):
            told = {each["name"]: each["cells"][place] for each in found["metrics"]}
            for metric, value, low in zip(own["metric"], own["value"], own["low"], strict=True):
                assert told[metric]["value"] == pytest.approx(value, nan_ok=True)
                assert told[metric]["low"] == (None if np.isnan(low) else pytest.approx(low))
        chance = couple["by_chance"]
        assert chance is None if name == "raw" else chance <= couple["of"]
    mixed = explorer.json("/api/compare?first=photos&first_set=sae&second=photos&second_set=raw")
    assert mixed["couple"] is None
    assert [len(each["cells"]) for each in mixed["metrics"]] == [2] * len(mixed["metrics"])


def test_seeds_are_averaged(copied: Path) -> None:
    run = RunFolder(copied)
    learn(run, "sae-seed1", SAEConfig(6, n_features=16, k=2, seed=1))
    representations(run)
    command = ml.compare(copied)
    mean = command.summary[command.summary["model"].str.contains("2 seeds")].set_index("metric")
    with served(copied) as several:
        for other in ("sae-seed1", "ncl"):
            found = several.json(f"/api/compare?first=photos&first_set=sae&second=photos&second_set={other}")
            assert found["models"][2:] == ["photos: sae (2 seeds)"]
            told = {each["name"]: each["cells"][2] for each in found["metrics"]}
            for metric in ("spread of R", "L2M"):
                for end in ("value", "low", "high"):
                    assert told[metric][end] == pytest.approx(mean.loc[metric, end])
        # Two seeds of one set are one couple; two seeds beside another set are two.
        assert found["seeds"]["couples"] == 2
        share, least, most = found["seeds"]["share"]
        assert least <= share <= most <= 1
