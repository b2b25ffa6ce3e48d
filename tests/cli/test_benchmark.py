"""``modalens benchmark``: what it prints and refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modalens.benchmarks.cases import dominance
from modalens.benchmarks.rows import Row

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are measured at their tiny sizes."""
    size = Row.size
    monkeypatch.setattr(Row, "size", lambda row, name: size(row, "tiny"))


def test_the_command_prints_a_table_or_json_and_keeps_a_file(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("benchmark", "dominance", "--out", tmp_path)
    assert code == 0
    assert "dominance" in out
    assert "speed-cpu.json" in out
    code, out, _ = run("benchmark", "speed", "dominance", "--json")
    assert code == 0
    assert json.loads(out)["rows"][0]["agree"] is True


def test_an_unknown_row_or_device_is_one_sentence(run: Run) -> None:
    code, _, err = run("benchmark", "no-such-row")
    assert code == 2
    assert "There is no row 'no-such-row'; choose from dominance" in err
    code, _, err = run("benchmark", "--device", "tpu")
    assert code == 2
    assert "cpu, cuda" in err


def test_results_that_differ_end_with_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        return image.mean(axis=0)

    monkeypatch.setattr(dominance, "plain_score", wrong)
    code, out, err = run("benchmark", "dominance")
    assert code == 2
    assert "The results of dominance differ" in err
    assert "dominance" in out
