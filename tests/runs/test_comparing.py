"""Runs side by side: joined by id, averaged over seeds, matched features, verdicts that changed."""

import shutil
from math import nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import SAEConfig
from modalens.interpret.fidelity import average_of_features
from modalens.report.compared import Comparison, statements
from modalens.runs.comparing import CompareConfig, over_seeds
from modalens.runs.interpretation import Interpretation
from modalens.runs.layout import RunFolder, names_of
from modalens.runs.shared_pairs import score_again
from tests.small_run import learn

Interpreted = tuple[RunFolder, dict[str, Interpretation], list[object]]


def test_intervals_over_seeds_stay_in_the_range_of_what_they_are_of() -> None:
    values = {
        "text features (twofold)": (51, 67),
        "R@1 image to text": (0.97, 0.99),
        "Mono on images": (0.1, 0.3),
    }
    rows = [
        {"label": label, "metric": metric, "value": each[seed], "low": nan, "high": nan, "baseline": nan}
        for metric, each in values.items()
        for seed, label in enumerate(("a", "b"))
    ]
    summary = over_seeds(pd.DataFrame(rows), {"a": ("sae", "sae"), "b": ("sae", "sae")}).set_index("metric")
    assert summary["low"].round(3).to_dict() == {
        "text features (twofold)": 0.0,
        "R@1 image to text": 0.853,
        "Mono on images": -1.071,
    }
    assert summary["high"].round(3).to_dict() == {
        "text features (twofold)": 160.65,
        "R@1 image to text": 1.0,
        "Mono on images": 1.471,
    }


def test_a_run_stands_beside_its_twin(interpreted: Interpreted, tmp_path: Path) -> None:
    run, found, _ = interpreted
    compared = ml.compare(run.folder, run.baseline("untrained").folder, out=tmp_path, latex=True)
    summary = compared.summary.set_index(["model", "metric"])
    own = ml.Run.open(run.folder).representations
    assert compared.pairs == len(own["raw"].rows)
    label = run.folder.name
    assert summary.loc[(label, "L2M"), "value"] == own["raw"].scores.gap.l2m_unbiased
    mono = found["sae"].mono["image"]
    value = summary.loc[(f"{label}: sae", "Mono on images"), "value"]
    assert value == pytest.approx(average_of_features(mono, "mono", mono.scored).mean, nan_ok=True)
    raw = compared.couples.query("how == 'dimension'").iloc[0]
    assert raw["matched"] == len(own["raw"].mds.score)
    twin = ml.Run.open(run.baseline("untrained").folder).representations["raw"].mds.score
    assert raw["r"] == pytest.approx(np.corrcoef(own["raw"].mds.score, twin)[0, 1])
    assert "activations" in set(compared.couples["how"])
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert f"{label} and {label}/untrained" in page
    assert pd.read_csv(tmp_path / "tables" / "summary.csv")["value"].notna().any()
    assert "\\toprule" in (tmp_path / "tables" / "summary.tex").read_text(encoding="utf-8")


def test_seeds_are_averaged_and_their_decoder_rows_matched(learned_run: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(learned_run.folder, folder)
    run = RunFolder(folder)
    width = int(run.store().image.shape[1])
    learn(run, "sae-seed1", SAEConfig(width, n_features=16, k=2, seed=1))
    compared = ml.compare(folder, threshold=0.05)
    two = compared.summary[compared.summary["model"] == "run: sae (2 seeds)"].set_index("metric")
    own = compared.values[compared.values["features"].isin(["sae", "sae-seed1"])]
    spread = own[own["metric"] == "spread of R"]["value"]
    assert two.loc["spread of R", "seeds"] == 2
    assert two.loc["spread of R", "value"] == pytest.approx(spread.mean())
    assert two.loc["spread of R", "low"] < spread.mean() < two.loc["spread of R", "high"]
    couple = compared.couples.query("first == 'run: sae' and second == 'run: sae-seed1'").iloc[0]
    assert couple["how"] == "decoder rows"
    assert 0 < couple["matched"] <= couple["of"]


def test_pairs_are_joined_by_id(learned_run: RunFolder) -> None:
    one = ml.Run.open(learned_run.folder).representations["raw"]
    rows = one.rows[::2]
    again = score_again(one, rows)
    assert again.gap.n_pairs == len(rows)
    with pytest.raises(ModalensError, match="named twice"):
        ml.compare(learned_run.folder, learned_run.folder)
    with pytest.raises(ModalensError, match="has no features 'x'"):
        ml.compare(learned_run.folder, features="x")
    with pytest.raises(ModalensError, match="at least one run"):
        ml.compare()
    with pytest.raises(ModalensError, match="one model only"):
        ml.compare(learned_run.folder, config=CompareConfig(features="raw"))


def test_runs_are_called_by_the_shortest_ends_of_their_paths_that_differ(tmp_path: Path) -> None:
    def names(*paths: str) -> list[str]:
        return names_of([RunFolder(tmp_path / path) for path in paths])

    assert names("a/photos", "b/words") == ["photos", "words"]
    assert names("a/photos", "a/photos/baselines/untrained") == ["photos", "photos/untrained"]
    assert names("one/runs/photos", "two/runs/photos", "b/words") == [
        "one/runs/photos",
        "two/runs/photos",
        "words",
    ]
    assert names("a/x/baselines/t", "b/x/baselines/t") == ["a/x/t", "b/x/t"]
    assert len(set(names("a/baselines/r", "a/r", "c/a/r"))) == 3
    with pytest.raises(ModalensError, match="A run is named twice"):
        names("a/photos", "b/../a/photos")


def test_nothing_is_said_of_few_matched_features() -> None:
    row = {"first": "a", "second": "b", "how": "activations", "of": 50, "r": 1.0, "random_r": nan}
    row |= {"same_class": 1.0, "kappa": 1.0, "verdicts": 0, "verdicts_changed": 0}
    empty = pd.DataFrame()
    couples = pd.DataFrame([{**row, "matched": 2}, {**row, "matched": 40}])
    said = statements(Comparison(90, empty, empty, couples, empty, ()))
    assert said[1] == "a and b: 2 of 50 features matched by activations, too few to compare."
    assert "R correlates by 1.00" in said[2]
