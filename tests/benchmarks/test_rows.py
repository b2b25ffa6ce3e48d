"""Every row at a tiny size: results agree with the plain version, and what is kept of it is whole."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from modalens.benchmarks.case import Place
from modalens.benchmarks.cases.codes import codes_apart
from modalens.benchmarks.measure import Cost
from modalens.benchmarks.rows import ROWS, SIZES, Goal, Row, find_rows
from modalens.benchmarks.suite import measure_row
from modalens.benchmarks.tables import row_cells
from modalens.errors import InputError


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_agrees_with_the_plain_version_and_is_whole(row: Row) -> None:
    found = measure_row(row, row.size("tiny"))
    assert found["agree"] in (True, None), found["difference"]
    assert (found["agree"] is None) == (row.name in ("dominance-csr", "score-csr", "help", "import"))
    assert (found["theirs"] is None) == (row.against is None)
    assert (found["floor"] is None) == (row.floor is None)
    assert found["ours"]["seconds"] > 0
    assert found["ours"]["cpu"] >= 0
    assert len(found["goals"]) == len(row.goals) > 0
    assert all(row_cells(found).values()) or row.against is None or row.floor is None


def test_sizes_name_the_same_numbers() -> None:
    for row in ROWS:
        for size in SIZES:
            assert set(row.size(size)) == set(row.full), row.name


def test_rows_keep_their_order_and_an_unknown_one_is_refused() -> None:
    assert [row.name for row in find_rows(["import", "dominance"])] == ["dominance", "import"]
    assert find_rows() == list(ROWS)
    with pytest.raises(InputError, match="There is no row 'speeed'; choose from dominance, "):
        find_rows(["speeed"])


@pytest.mark.parametrize(
    ("goal", "good", "bad"),
    [(Goal("ratio", 4), 4.1, 3.9), (Goal("floor", 0.5), 0.6, 0.4), (Goal("gib", 1), 0.9, 1.1)],
)
def test_goals_are_bounds_on_the_side_that_is_good(goal: Goal, good: float, bad: float) -> None:
    assert goal.met(good)
    assert not goal.met(bad)


def test_codes_agree_where_rounding_decides_a_tie_in_the_last_place_and_only_there() -> None:
    plain = sp.csr_array(np.array([[3.0, 2.0, 0.0], [1.0, 0.0, 5.0]]))
    tie = sp.csr_array(np.array([[3.0, 0.0, 2.00001], [1.0, 0.0, 5.0]]))
    wrong = sp.csr_array(np.array([[0.0, 3.0, 2.0], [1.0, 0.0, 5.0]]))
    assert codes_apart(plain, plain) == 0
    assert codes_apart(tie, plain) == pytest.approx(1e-5, rel=1e-3)
    assert codes_apart(wrong, plain) == 1


def test_a_wrong_result_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from modalens.benchmarks.cases import dominance

    monkeypatch.setattr(dominance, "plain_score", lambda image, text: image.mean(axis=0))
    (row,) = find_rows(["dominance"])
    assert measure_row(row, row.size("tiny"))["agree"] is False


def test_a_share_of_the_plain_work_counts_as_often_as_it_would_be_done(tmp_path: Path) -> None:
    (row,) = find_rows(["monosemanticity"])
    case = row.set_up(Place(tmp_path), row.size("tiny"))
    assert case.theirs_times == 64 / 20
    assert Cost(2.0, 3.0, 1.0).times(2).least(Cost(5.0, 1.0, 4.0)) == Cost(4.0, 1.0, 4.0)
