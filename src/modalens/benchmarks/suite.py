"""Measure how fast modalens is, row by row, in one process."""

import gc
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalens.benchmarks.case import Case, Place, Size
from modalens.benchmarks.curves import CURVES, Curve, slope
from modalens.benchmarks.machine import circumstances
from modalens.benchmarks.measure import Cost, measured
from modalens.benchmarks.rows import Row, find_rows
from modalens.options import Options, option
from modalens.progress import progress_bar
from modalens.store.documents import write_document

KIND = "modalens benchmark"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SpeedConfig(Options):
    """What is measured, and where."""

    full: bool = option(False, "Measure at the sizes of large studies, which takes an hour or more.")
    curves: bool = option(False, "Also measure how the cost grows with each size.")
    device: str = option("cpu", "Device of the rows that can use a GPU.", choices=("cpu", "cuda"))

    @property
    def size(self) -> str:
        """Which of a row's sizes."""
        return "full" if self.full else "short"

    @property
    def file_name(self) -> str:
        """Of the results in a folder."""
        return f"speed-{self.device}{'-full' if self.full else ''}.json"


def speed(
    rows: Sequence[str] = (),
    config: SpeedConfig | None = None,
    *,
    out: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Measure modalens beside the plain way of writing each thing down, and beside a floor.

    Both do the same work in one process, in turns, and their results are compared.

    Parameters
    ----------
    rows
        Names of :data:`modalens.benchmarks.rows.ROWS`; all by default.
    config, options
        A :class:`SpeedConfig`, and options of it by name.
    out
        Folder for ``speed-DEVICE.json`` (``speed-DEVICE-full.json``).

    Returns
    -------
    dict
        ``machine``, ``load``, ``versions``, ``date``, ``device``, ``size``, ``rows`` (see :func:`measure_row`) and
        ``curves`` (see :func:`measure_curve`), as the file has them.

    Raises
    ------
    ModalensError
        If there is no row of a name, or the device is not on this machine.
    """
    config = SpeedConfig.of(config, options, "speed")
    chosen = find_rows(rows)
    if config.device != "cpu":
        from modalens.towers.compute import pick_device

        pick_device(config.device)
        chosen = [row for row in chosen if row.on_gpu]
    curves = [curve for curve in CURVES if curve.row in {row.name for row in chosen}] if config.curves else []
    found: dict[str, Any] = {**circumstances(config.device), "size": config.size, "rows": [], "curves": []}
    with progress_bar("Measuring", len(chosen) + len(curves)) as advance:
        for row in chosen:
            gc.collect()  # what earlier rows left would be given back while this one is measured
            found["rows"].append(measure_row(row, row.size(config.size), config.device))
            advance(1)
        for curve in curves:
            found["curves"].append(measure_curve(curve, config.device))
            advance(1)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        write_document(Path(out) / config.file_name, KIND, SCHEMA_VERSION, found)
    return found


def measure_row(row: Row, size: Size, device: str = "cpu") -> dict[str, Any]:
    """One row at one size.

    Returns
    -------
    dict
        ``name``, ``what``, ``against``, ``below`` (what the floor is) and ``size``; ``ours``, ``theirs`` and ``floor``,
        each with ``seconds``, ``cpu`` (seconds of processors) and ``gib``, or None; ``ratio`` (theirs by ours),
        ``cpu_ratio`` and ``of_floor`` (floor by ours), or None; ``difference`` of the results, and whether they
        ``agree``; ``facts`` by name; and ``goals`` with whether each is met.
    """
    with _set_up(row, size, device) as case:
        costs, results = _take_turns(case, device)
        difference = None
        if case.difference is not None:
            difference = float(case.difference(results["ours"], results.get("theirs")))
        facts = {} if case.facts is None else case.facts(results["ours"])
    ours, theirs, floor = costs["ours"], costs.get("theirs"), costs.get("floor")
    measures = {"seconds": ours.seconds, "gib": ours.gib}
    if theirs is not None:
        measures["ratio"], measures["cpu_ratio"] = theirs.seconds / ours.seconds, theirs.cpu / ours.cpu
    if floor is not None:
        measures["floor"] = floor.seconds / ours.seconds
    return {
        "name": row.name,
        "what": row.what,
        "against": row.against,
        "below": row.floor,
        "size": dict(size),
        "ours": ours._asdict(),
        "theirs": theirs and theirs._asdict(),
        "floor": floor and floor._asdict(),
        "ratio": measures.get("ratio"),
        "cpu_ratio": measures.get("cpu_ratio"),
        "of_floor": measures.get("floor"),
        "difference": difference,
        "agree": None if difference is None else difference <= case.tolerance,
        "facts": facts,
        "goals": [{"goal": str(goal), "met": goal.met(measures[goal.of])} for goal in row.goals],
    }


def measure_curve(curve: Curve, device: str = "cpu", size: str = "short") -> dict[str, Any]:
    """How the cost of one row's work grows with one number.

    Returns
    -------
    dict
        ``row``, ``varies``, ``others`` (the numbers that stay), ``points`` (``value`` and what ``ours`` of a row has),
        and ``slope``: the power of the number that the seconds of processors grow with.
    """
    (row,) = find_rows([curve.row])
    others = {**row.size(size), **curve.others}
    points = []
    for value in curve.values:
        with _set_up(row, {**others, curve.varies: value}, device) as case:
            cost = measured(case.ours, device)[1]
            for _ in range(case.repeats):
                cost = cost.least(measured(case.ours, device)[1])
        points.append({"value": value, **cost._asdict()})
    del others[curve.varies]
    return {
        "row": curve.row,
        "varies": curve.varies,
        "others": others,
        "points": points,
        "slope": slope(curve.values, [each["cpu"] for each in points]),
    }


@contextmanager
def _set_up(row: Row, size: Size, device: str) -> Iterator[Case]:
    with tempfile.TemporaryDirectory(prefix="modalens-benchmark-") as folder:
        case = row.set_up(Place(Path(folder), device), size)
        if case.warm_up is not None:
            case.warm_up()
        yield case


def _take_turns(case: Case, device: str) -> tuple[dict[str, Cost], dict[str, Any]]:
    """The least that each work took over some rounds, and what it gave."""
    works = {"ours": case.ours, "theirs": case.theirs, "floor": case.floor}
    costs: dict[str, Cost] = {}
    results: dict[str, Any] = {}
    for _ in range(case.repeats):
        for name, work in works.items():
            if work is None:
                continue
            results[name], cost = measured(work, device)
            costs[name] = cost if name not in costs else costs[name].least(cost)
    if "theirs" in costs:
        costs["theirs"] = costs["theirs"].times(case.theirs_times)
    return costs, results
