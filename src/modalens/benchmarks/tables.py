"""What was measured as cells of tables, for the terminal and for pages."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_TIMED = ("ours", "theirs", "floor")
_BUSY = 0.5
_NOT_PEERS = ("modalens", "plain autograd")


def row_cells(row: Mapping[str, Any]) -> dict[str, str]:
    """One measured row, by the heads of its columns; see :func:`modalens.benchmarks.suite.measure_row`."""
    seconds = {name: "" if row[name] is None else number(row[name]["seconds"]) for name in _TIMED}
    ratio = "" if row["ratio"] is None else f"{number(row['ratio'])} ({number(row['cpu_ratio'])})"
    return {
        "row": row["name"],
        **{f"{name} (s)": seconds[name] for name in _TIMED},
        "ratio (by CPU)": ratio,
        "of floor": "" if row["of_floor"] is None else number(row["of_floor"]),
        "GiB": number(row["ours"]["gib"], 2),
        "goal": ", ".join(f"{each['goal']}{'' if each['met'] else ': missed'}" for each in row["goals"]),
    }


def number(value: float | None, decimals: int | None = None) -> str:
    """Three digits, or so many decimals; empty for none."""
    if value is None or math.isnan(value):
        return ""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def in_words(size: Mapping[str, int]) -> str:
    """The numbers of a size, such as "pairs 50,000, width 512"."""
    return ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in size.items())


def markdown_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows, each with what it is held against and its size."""
    lines = []
    for row in rows:
        cells = row_cells(row)
        held = " / ".join(each for each in (row["against"], row["below"]) if each)
        facts = "".join(f"; {name} {number(value)}" for name, value in row["facts"].items())
        about = f"`{cells.pop('row')}` {row['what']}"
        size = f"<br>{in_words(row['size'])}{facts}" if row["size"] else ""
        lines.append({"row": about + size, "against / floor": held, **cells})
    return _markdown(lines)


def markdown_curves(curves: Sequence[Mapping[str, Any]]) -> str:
    """A table of curves: their points, the slope, and the largest memory."""
    lines = []
    for curve in curves:
        points = [f"{point['value']:,}: {number(point['cpu'])}" for point in curve["points"]]
        memory = [point["gib"] for point in curve["points"]]
        lines.append(
            {
                "row": f"`{curve['row']}`",
                "varies": f"{curve['varies']}<br>({in_words(curve['others'])})",
                "seconds of processors": ", ".join(points),
                "slope": number(curve["slope"], 2),
                "GiB, first and last": f"{number(memory[0], 2)}, {number(memory[-1], 2)}",
            }
        )
    return _markdown(lines)


def markdown_peers(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of libraries that train and encode, as ``benchmarks/peers.py`` measures them."""
    lines = []
    told = [name for name in ("trained", "encoded") if any(row[f"{name}_per_second"] for row in rows)]
    for row in rows:
        others = [
            each for each in rows if each["features"] == row["features"] and each["library"] not in _NOT_PEERS
        ]
        cells = {"features": f"{row['features']:,}", "library": row["library"]}
        for name in told:
            rate = row[f"{name}_per_second"]
            fastest = max((each[f"{name}_per_second"] for each in others), default=None)
            cells[f"{name} a second"] = "" if rate is None else f"{rate:,.0f}"
            beside = None if rate is None or fastest is None else rate / fastest
            cells[f"{name}: times the fastest peer"] = number(beside)
        lines.append({**cells, "variance unexplained": number(row["unexplained"], 4)})
    return _markdown(lines)


def markdown_profiles(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of what steps spend their time on, as ``benchmarks/profiles.py`` measures it."""
    lines = []
    for row in rows:
        functions = [f"`{_short(name)}` {_percent(share)}" for name, share in row["functions"].items()]
        lines.append(
            {
                "step": row["step"],
                "seconds": number(row["seconds"]),
                "of processors": number(row["cpu"]),
                "waiting": _percent(row["waiting"]),
                "in the interpreter": _percent(row["interpreter"]),
                "in functions of Python, at most": _percent(row["python_at_most"]),
                "main thread is in": "<br>".join(functions),
            }
        )
    return _markdown(lines)


def _short(function: str) -> str:
    """A function by its own name and that of what it belongs to, as cProfile names it otherwise."""
    function = re.sub(r"^method '(\w+)' of '(.+)' objects$", r"\2.\1", function).removeprefix(
        "built-in method "
    )
    return ".".join(function.split(".")[-2:])


def markdown_circumstances(found: Mapping[str, Any]) -> str:
    """A sentence on what was measured where, and whether other work ran beside."""
    machine = found["machine"]
    memory = "" if machine["memory_gib"] is None else f", {machine['memory_gib']:.0f} GiB of memory"
    gpu = "" if machine["gpu"] is None else f", {machine['gpu']}"
    versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    load, busy = found["load"], ""
    if load is not None and load > _BUSY:
        busy = f" Other work shared the machine: {load:g} processes wanted to run when it began."
    return (
        f"Measured on {found['date']}: {machine['processor']}, {machine['cores']} cores{memory}{gpu}; "
        f"{versions}.{busy}"
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _markdown(lines: Sequence[Mapping[str, str]]) -> str:
    heads = list(lines[0])
    rows = [heads, ["---"] * len(heads), *(list(line.values()) for line in lines)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
