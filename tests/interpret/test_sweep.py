"""Which size a sweep recommends, and how it lies on disk."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from modalens.errors import ModalensError
from modalens.interpret.sweep import BESIDE, COLUMNS, Sweep
from modalens.store.parquet import write_table
from tests.swept import make_sweep


def test_of_the_steady_sizes_the_one_that_explains_most_is_recommended() -> None:
    sweep = make_sweep(
        {(64, 4): (0.8, 0.5), (128, 4): (0.6, 0.4), (128, 32): (0.1, 0.1), (64, 8): (0.5, 0.45)}
    )
    assert (sweep.choice.n, sweep.choice.k) == (128, 4)
    assert (
        "60 % of its features are found again by another seed (59 to 61 % from seed to seed)"
        in sweep.choice.reason
    )
    assert "of the 3 settings with at least 50 %" in sweep.choice.reason
    frame = sweep.summary.set_index(["n", "k"])
    assert frame["pareto"].to_dict() == {(64, 4): True, (64, 8): False, (128, 4): True, (128, 32): True}
    assert frame.loc[(64, 4), "found_low"] == pytest.approx(0.79)
    assert sweep.row(64, 16) is None


def test_without_a_steady_size_the_steadiest_is_recommended() -> None:
    sweep = make_sweep({(64, 4): (0.3, 0.5), (128, 4): (0.2, 0.4)})
    assert (sweep.choice.n, sweep.choice.k) == (64, 4)
    assert sweep.choice.reason.startswith("no setting has 50 %")
    assert (
        "no other setting reaches 25 %"
        in make_sweep({(64, 4): (0.3, 0.5), (128, 4): (0.2, 0.4)}, 0.25).choice.reason
    )


def test_how_sure_a_recommendation_is_follows_from_the_seeds() -> None:
    sweep = make_sweep({(64, 4): (0.8, 0.5), (128, 4): (0.6, 0.4)})
    seeds = sweep.seeds
    assert sweep.sureness.startswith(f"Each of the {seeds} seeds recommends it on its own. After other steps")
    table = sweep.table.copy()
    table.loc[(table["n"] == 128) & (table["seed"] == 0), "found"] = 0.4
    unsure = replace(sweep, table=table)
    assert (unsure.choice.n, unsure.choice.k) == (128, 4)
    assert (
        f"{seeds - 1} of the {seeds} seeds recommend it on their own, the others n / k of 64 / 4 (1)."
        in unsure.sureness
    )


def test_a_saved_sweep_is_the_same(tmp_path: Path) -> None:
    sweep = make_sweep({(64, 4): (0.3, 0.5), (128, 4): (0.2, 0.4)})
    sweep.save(tmp_path / "sweep.parquet")
    again = Sweep.load(tmp_path / "sweep.parquet")
    columns = list(again.table.columns)
    pd.testing.assert_frame_equal(again.table, sweep.table[columns], check_exact=True)
    assert (again.choice, again.pairs, again.notes) == (sweep.choice, sweep.pairs, sweep.notes)
    (tmp_path / "other.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ModalensError, match="not a Parquet file"):
        Sweep.load(tmp_path / "other.parquet")


def test_a_sweep_of_the_first_version_has_no_baseline(tmp_path: Path) -> None:
    sweep = make_sweep({(64, 4): (0.3, 0.5)})
    header = {
        "least_found": 0.5,
        "kind_of_features": "topk",
        "d": 64,
        "pairs": {},
        "threshold": 0.7,
        "notes": [],
        "modalities": ["image", "text"],
    }
    columns = {name: sweep.table[name].to_numpy() for name in COLUMNS if name not in BESIDE}
    write_table(tmp_path / "sweep.parquet", "modalens.Sweep", 1, header, columns)
    again = Sweep.load(tmp_path / "sweep.parquet")
    assert again.table[list(BESIDE)].isna().all(axis=None)
    assert again.choice == sweep.choice
