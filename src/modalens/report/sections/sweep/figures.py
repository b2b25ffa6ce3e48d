"""Dictionary sizes by what they leave unexplained and how much of them another seed finds."""

from typing import TYPE_CHECKING, Any

from modalens.interpret.sweep import PUBLISHED_K, Sweep
from modalens.report.charts import new_figure
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pareto(sweep: Sweep, *, narrow: bool = False) -> "Figure":
    """Share found again against held-out variance unexplained, and against k with a line for each n."""
    figure = new_figure(narrow, 6.6 if narrow else 3.8)
    first, second = figure.subplots(2 if narrow else 1, 1 if narrow else 2, squeeze=False).flat
    _by_both(first, sweep)
    _by_k(second, sweep)
    for axes in (first, second):
        axes.set_ylim(0, 1)
        axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", "25 %", "50 %", "75 %", "100 %"))
        axes.axhline(sweep.least_found, color=colour("line"), linewidth=1.2, zorder=0)
        axes.grid(axis="y", linewidth=0.5)
    return figure


def _by_both(axes: "Axes", sweep: Sweep) -> None:
    frame = sweep.summary
    best = frame[frame["pareto"]].sort_values("unexplained")
    axes.plot(best["unexplained"], best["found"], color=colour("cross"), linewidth=1.2, zorder=1)
    for row in frame.to_dict("records"):
        shade = _shade(row, sweep)
        x, y = row["unexplained"], row["found"]
        axes.plot((row["unexplained_low"], row["unexplained_high"]), (y, y), color=shade, linewidth=1)
        axes.plot((x, x), (row["found_low"], row["found_high"]), color=shade, linewidth=1)
        axes.plot(x, y, "o", color=shade, markersize=6 if shade != colour("muted") else 4)
        axes.annotate(
            f"{row['n']}/{row['k']}", (x, y), (4, 3), textcoords="offset points", fontsize=8, color=shade
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("held-out variance unexplained")
    axes.set_title("Found again by another seed, n/k", fontweight="bold", fontsize=10)


def _by_k(axes: "Axes", sweep: Sweep) -> None:
    sizes = sorted(sweep.summary["n"].unique())
    for place, n in enumerate(sizes):
        line = sweep.summary[sweep.summary["n"] == n]
        chosen = n == sweep.choice.n
        axes.fill_between(
            line["k"], line["found_low"], line["found_high"], color=colour("muted"), alpha=0.12, linewidth=0
        )
        axes.plot(
            line["k"],
            line["found"],
            color=colour("first" if chosen else "muted"),
            linewidth=1 + 1.6 * (place + 1) / len(sizes),
            marker="o",
            markersize=3.5,
        )
        end = line.iloc[0]
        axes.annotate(
            f"n {n}",
            (end["k"], end["found"]),
            (-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
        )
    axes.set_xscale("log", base=2)
    ticks = sorted(sweep.summary["k"].unique())
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(ticks[0] / 1.6, ticks[-1] * 1.15)
    axes.set_xlabel("k")
    axes.set_title("Found again, by k", fontweight="bold", fontsize=10)


def _shade(row: dict[Any, Any], sweep: Sweep) -> str:
    if (row["n"], row["k"]) == (sweep.choice.n, sweep.choice.k):
        return colour("first")
    return colour("second" if (row["n"], row["k"]) == (sweep.d, PUBLISHED_K) else "muted")
