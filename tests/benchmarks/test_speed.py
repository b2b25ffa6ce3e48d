"""What a run of the benchmark keeps, and how the cost grows."""

from pathlib import Path

import numpy as np
import pytest

from modalens.benchmarks import speed
from modalens.benchmarks.curves import CURVES, Curve, slope
from modalens.benchmarks.measure import measured
from modalens.benchmarks.rows import ROWS, Row
from modalens.benchmarks.suite import SpeedConfig, measure_curve
from modalens.benchmarks.tables import in_words, markdown_curves, markdown_rows, number
from modalens.errors import InputError, ModalensError
from modalens.store.documents import read_document


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are measured at their tiny sizes, and curves at two points."""
    size = Row.size
    monkeypatch.setattr(Row, "size", lambda row, name: size(row, "tiny"))
    curves = [Curve("dominance", "pairs", (500, 1_000))]
    monkeypatch.setattr("modalens.benchmarks.suite.CURVES", curves)


def test_the_file_says_what_was_measured_where_and_when(tiny: None, tmp_path: Path) -> None:
    found = speed(["dominance", "dominance-store"], out=tmp_path, curves=True)
    kept = read_document(tmp_path / "speed-cpu.json", "modalens benchmark", 1)
    assert [row["name"] for row in kept["rows"]] == ["dominance", "dominance-store"]
    assert kept["curves"][0]["points"][0]["value"] == 500
    assert set(kept["machine"]) == {"processor", "cores", "memory_gib", "system", "gpu"}
    assert {"modalens", "python", "numpy", "torch"} <= set(kept["versions"])
    assert kept["date"].count("-") == 2
    assert (kept["device"], kept["size"]) == ("cpu", "short")
    text = (tmp_path / "speed-cpu.json").read_text()
    assert str(Path.home()) not in text
    assert str(tmp_path) not in text
    table = markdown_rows(found["rows"])
    assert "`dominance` Dominance scores" in table
    assert "reading the files" in table
    assert "500: " in markdown_curves(found["curves"])


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.empty", _no_device)
    with pytest.raises(InputError, match="'cuda' is not available"):
        speed(device="cuda")


def _no_device(*args: object, **kwargs: object) -> None:
    raise RuntimeError("no such device")


def test_every_curve_varies_a_number_of_its_row() -> None:
    sizes = {row.name: row.full for row in ROWS}
    for curve in CURVES:
        assert {curve.varies, *curve.others} <= set(sizes[curve.row]), curve.name
    with pytest.raises(ModalensError):
        SpeedConfig(device="tpu")


def test_memory_and_processor_time_are_those_of_the_work() -> None:
    kept, cost = measured(lambda: np.ones(2**24))
    assert len(kept) == 2**24
    assert 0.12 < cost.gib < 0.2 or np.isnan(cost.gib)
    assert cost.cpu < 10 * cost.seconds + 1
    _, nothing = measured(lambda: None)
    assert not nothing.gib > 0.02


def test_numbers_are_shown_with_three_digits() -> None:
    assert [number(each) for each in (0.01234, 1.234, 12.34, 123.4, 12345.6, 0, None)] == [
        *("0.0123", "1.23", "12.3", "123", "12,346", "0", ""),
    ]
    assert number(1.0, 2) == "1.00"
    assert in_words({"pairs": 5_000, "dense_shuffles": 5}) == "pairs 5,000, dense shuffles 5"


def test_the_slope_is_the_power() -> None:
    assert slope([1, 2, 4], [3, 12, 48]) == pytest.approx(2)


# Ratios of processors' seconds within one process, with wide bounds: other work may share the machine.


def test_dominance_is_linear_in_pairs_with_flat_memory() -> None:
    found = measure_curve(Curve("dominance", "pairs", (30_000, 120_000), {"width": 256}))
    assert 0.4 < found["slope"] < 1.4
    memory = [point["gib"] for point in found["points"]]
    assert not memory[1] > memory[0] + 0.05


def test_sparse_dominance_costs_by_non_zeros() -> None:
    found = measure_curve(Curve("dominance-csr", "features", (1_024, 65_536), {"pairs": 20_000}))
    few, many = (point["cpu"] for point in found["points"])
    assert many < 5 * few


def test_strongest_samples_take_flat_memory() -> None:
    found = measure_curve(Curve("top-samples", "samples", (10_000, 40_000), {"features": 64}))
    memory = [point["gib"] for point in found["points"]]
    assert not memory[1] > memory[0] + 0.05
