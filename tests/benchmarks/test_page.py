"""The page of the site shows what was measured."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from modalens.benchmarks.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location("benchmark_tables", ROOT / "docs/hooks/benchmark_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_results_that_are_kept_have_every_row(tables: ModuleType) -> None:
    kept = json.loads((ROOT / "benchmarks/results/speed-cpu.json").read_text())
    assert [row["name"] for row in kept["rows"]] == [row.name for row in ROWS]
    shown = tables.rows("speed-cpu")
    assert all(f"| `{row.name}` {row.what}" in shown for row in ROWS)
    assert shown.startswith("Measured on 20")
    assert '<div class="rows" markdown>' in shown
    assert ".rows td:first-child" in (ROOT / "docs/assets/site.css").read_text()
    assert "data:image/svg+xml;base64," in tables.curves("speed-cpu")


def test_what_was_not_measured_is_told(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tables.rows("speed-cuda-full") == tables.curves("speed-cpu") == "Not measured yet."


def test_peers_stand_beside_the_fastest_of_them(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    from modalens.benchmarks.machine import circumstances
    from modalens.store.documents import write_document

    rates = {"modalens": (400.0, None), "overcomplete": (200.0, 80.0), "sae-lens": (100.0, 90.0)}
    rows = [
        {
            "features": 64,
            "library": name,
            "trained_per_second": trained,
            "encoded_per_second": encoded,
            "unexplained": 0.5,
        }
        for name, (trained, encoded) in rates.items()
    ]
    path = tmp_path / "benchmarks/results/peers-cpu.json"
    path.parent.mkdir(parents=True)
    write_document(path, "modalens benchmark of peers", 1, {**circumstances("cpu"), "rows": rows})
    assert "| 64 | modalens | 400 | 2.00 |  |  | 0.5000 |" in tables.rows("peers-cpu")
    assert "| 64 | overcomplete | 200 | 1.00 | 80 | 0.889 | 0.5000 |" in tables.rows("peers-cpu")
    trained = [{**row, "encoded_per_second": None} for row in rows]
    long = path.with_name("peers-cpu-long.json")
    write_document(long, "modalens benchmark of peers", 1, {**circumstances("cpu"), "rows": trained})
    assert "| 64 | overcomplete | 200 | 1.00 | 0.5000 |" in tables.rows("peers-cpu-long")


def test_profiles_say_where_the_time_goes(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    from modalens.benchmarks.machine import circumstances
    from modalens.store.documents import write_document

    rows = [
        {
            "step": name,
            "seconds": 2.0,
            "cpu": 3.0,
            "waiting": 0.014,
            "interpreter": inside,
            "python_at_most": 0.5,
            "functions": {
                "modalens.store.open": 0.3,
                "built-in method torch.addmm": 0.2,
                "method 'reduce' of 'numpy.ufunc' objects": 0.1,
            },
        }
        for name, inside in (("score", 0.126), ("report", None))
    ]
    path = tmp_path / "benchmarks/results/profile-cpu.json"
    path.parent.mkdir(parents=True)
    write_document(path, "modalens profiles", 1, {**circumstances("cpu"), "rows": rows})
    functions = "`store.open` 30 %<br>`torch.addmm` 20 %<br>`ufunc.reduce` 10 %"
    shown = tables.rows("profile-cpu")
    assert f"| score | 2.00 | 3.00 | 1 % | 13 % | 50 % | {functions} |" in shown
    assert f"| report | 2.00 | 3.00 | 1 % |  | 50 % | {functions} |" in shown
