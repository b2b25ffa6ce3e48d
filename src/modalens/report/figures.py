"""The figures: pure functions from results to matplotlib figures.

Each is drawn in two shapes, wide for a desk and narrow for a phone, with type of the same size in both.
Call them inside :func:`modalens.report.rendering.drawing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int8

from modalens.dominance import RULES, Dominance
from modalens.dominance.classes import class_codes, moments
from modalens.report.data import EncoderResult
from modalens.report.naming import METRICS, NULL_NAME, ROLES, Naming, capitalised, count, number, percent
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 11.0, 4.1  # inches; type then shows at about 14 and 12 pixels
MAX_POINTS = 3000
_CHANCE = {"l2m": None, "l2i": None, "rmg": 0.5, "separability": 0.5}


@dataclass(frozen=True)
class ScoreSet:
    """Scores of one encoder, or of one label-swap draw, under one class rule."""

    name: str
    score: Float[np.ndarray, " d"]
    rule: str

    @property
    def codes(self) -> Int8[np.ndarray, " d"]:
        """Class code of every feature."""
        return class_codes(self.score, self.rule)

    @property
    def bounds(self) -> tuple[float, float]:
        """The scores between which a feature is cross."""
        if self.rule == "twofold":
            return 1 / 3, 2 / 3
        mean, std = moments(self.score)
        return float(mean - std), float(mean + std)


def score_sets(encoders: Sequence[EncoderResult], estimator: str) -> list[ScoreSet]:
    """The scores to show side by side: every encoder that has any, then the first one's label-swap draw."""
    found = [(encoder.name, encoder.scores(estimator)) for encoder in encoders]
    sets = [ScoreSet(name, scores.score, scores.rule) for name, scores in found if scores is not None]
    main = found[0][1]
    if main is not None and main.null is not None:
        sets.append(ScoreSet(NULL_NAME, main.null.scores, main.rule))
    return sets


def distribution(scores: Dominance, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Histogram of the score, coloured by class, with the mean and the class bounds.

    As Figure 3 of *Multi-Faceted Monosemanticity* (Yan et al. 2025).
    """
    figure = new_figure(narrow, 3.5 if narrow else 4.4)
    axes = figure.subplots()
    shown = ScoreSet("", scores.score, scores.rule)
    draw_histogram(axes, shown, bins=40 if narrow else 80)
    axes.set_ylabel("features")
    axes.grid(axis="y")
    top = axes.get_ylim()[1] * 1.16
    axes.set_ylim(0, top)

    low, high = shown.bounds
    names = ("μ − σ", "μ + σ") if scores.rule == "mu_sigma" else ("1/3", "2/3")
    for x, name, side in ((low, names[0], "right"), (high, names[1], "left")):
        if not 0 <= x <= 1:
            continue
        axes.axvline(x, color=colour("ink"), linewidth=1, linestyle=(0, (3, 3)))
        gap = -5 if side == "right" else 5
        axes.annotate(
            f"{name} = {number(x)}",
            (x, top * 0.93),
            (gap, 0),
            textcoords="offset points",
            ha=side,
            fontsize=9,
            color=colour("muted"),
        )
    axes.axvline(scores.mean, color=colour("ink"), linewidth=1.2)
    axes.annotate(
        f"μ = {number(scores.mean)}",
        (scores.mean, 1),
        (0, 4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        fontsize=9,
    )
    score_axis(axes, naming, label=True)
    counts = scores.counts()
    class_legend(figure, naming, {role: counts[naming.label(role)] for role in ROLES})
    return figure


def baselines(sets: Sequence[ScoreSet], naming: Naming, *, narrow: bool = False) -> "Figure":
    """One small histogram for each set of scores, on the same axes: share of features by score."""
    columns = 1 if narrow else min(3, len(sets))
    rows = -(-len(sets) // columns)
    figure = new_figure(narrow, 0.5 + (1.55 if narrow else 2.2) * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    tallest = [
        draw_histogram(axes, shown, bins=50, share=True) for axes, shown in zip(grid.flat, sets, strict=False)
    ]
    # One needle-shaped histogram (swapped labels, mostly) must not flatten the others.
    ordinary = [peak for peak, shown in zip(tallest, sets, strict=True) if shown.name != NULL_NAME]
    ceiling = 1.1 * max(ordinary) or 1.0
    for index, axes in enumerate(grid.flat):
        if index >= len(sets):
            axes.set_visible(False)
            continue
        axes.set_ylim(0, ceiling)
        axes.grid(axis="y")
        axes.set_title(shortened(sets[index].name, 34), fontsize=10, color=colour("ink"))
        axes.yaxis.set_major_formatter(lambda value, _: percent(value))
        spread = f"σ {number(float(moments(sets[index].score)[1]))}"
        axes.set_title(spread, loc="right", fontsize=9, color=colour("muted"))
        if tallest[index] > ceiling:
            axes.text(
                0.99,
                0.97,
                f"up to {percent(tallest[index])}",
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=9,
                color=colour("muted"),
            )
        score_axis(axes, naming, label=index + columns >= len(sets), short=True)
        axes.tick_params(labelbottom=True)
    return figure


def gap(encoders: Sequence[EncoderResult], *, narrow: bool = False) -> "Figure":
    """Dot and 95 % interval of each gap measure, one row per encoder; hollow: its labels swapped."""
    columns = 1 if narrow else 2
    per_panel = 0.6 + 0.3 * len(encoders)
    figure = new_figure(narrow, 0.25 + per_panel * len(METRICS) / columns)
    grid = figure.subplots(len(METRICS) // columns, columns, sharey=True, squeeze=False)
    rows = np.arange(len(encoders))
    for axes, (metric, name) in zip(grid.flat, METRICS.items(), strict=True):
        for row, encoder in zip(rows, encoders, strict=True):
            strong = colour("ink") if row == 0 else colour("muted")
            low, high = encoder.gap.intervals.get(metric, (np.nan, np.nan))
            mean, null_low, null_high = encoder.gap.null.get(metric, (np.nan,) * 3)
            axes.plot((null_low, null_high), (row, row), color=colour("cross"), linewidth=1.5)
            axes.plot(
                mean,
                row,
                "o",
                markersize=5.5,
                markerfacecolor=colour("paper"),
                markeredgecolor=colour("cross"),
                markeredgewidth=1.5,
            )
            axes.plot((low, high), (row, row), color=strong, linewidth=2.5, solid_capstyle="butt")
            axes.plot(getattr(encoder.gap, metric), row, "o", markersize=7.5, color=strong)
        if (chance := _CHANCE[metric]) is not None:
            axes.axvline(chance, color=colour("line"), linewidth=1.2, linestyle=(0, (3, 3)), zorder=0)
        axes.set_title(name, fontweight="bold")
        axes.set_yticks(rows, [shortened(encoder.name, 24) for encoder in encoders])
        axes.set_ylim(len(encoders) - 0.5, -0.5)
        axes.grid(axis="x", linewidth=0.5)
        axes.spines["bottom"].set_visible(False)
        left, right = axes.get_xlim()
        axes.set_xlim(min(0.45 if metric == "separability" else 0.0, left), right)
    return figure


def class_counts(sets: Sequence[tuple[str, Dominance]], naming: Naming, *, narrow: bool = False) -> "Figure":
    """Share of features in each class by encoder, for both rules, with 95 % intervals of the two outer ones."""
    main = sets[0][1]
    names = [name for name, _ in sets] + ([NULL_NAME] if main.null is not None else [])
    columns = 1 if narrow else len(RULES)
    figure = new_figure(narrow, 0.5 + (0.55 + 0.36 * len(names)) * len(RULES) / columns)
    grid = figure.subplots(len(RULES) // columns, columns, sharex=True, sharey=True, squeeze=False)
    for axes, rule in zip(grid.flat, RULES, strict=True):
        for row in range(len(names)):
            if row < len(sets):
                scores = sets[row][1]
                _stacked_bar(axes, row, scores.counts(rule), scores.count_intervals(rule), naming)
            elif main.null is not None:
                _stacked_bar(axes, row, main.null.class_counts[rule], {}, naming)
        axes.set_title(rule, fontweight="bold")
        axes.set_yticks(range(len(names)), [shortened(name, 24) for name in names])
        axes.set_ylim(len(names) - 0.45, -0.55)
        axes.set_xlim(0, 1)
        axes.set_xticks((0, 0.25, 0.5, 0.75, 1), [percent(x) for x in (0, 0.25, 0.5, 0.75, 1)])
        axes.spines["bottom"].set_visible(False)
    shown = [role for role in ROLES if role != "dead" or any(s.counts()["dead"] for _, s in sets)]
    class_legend(figure, naming, dict.fromkeys(shown))
    return figure


def estimators(encoder: EncoderResult, reference: str, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Scatter of every other estimator's score against the reference's, coloured by the reference's class."""
    others = [name for name in encoder.estimators if name != reference]
    base = encoder.scores(reference)
    columns = 1 if narrow else len(others)
    figure = new_figure(narrow, 3.8 * len(others) if narrow else 5.0)
    if not narrow and len(others) == 1:
        figure.set_figwidth(WIDE / 2)
    grid = figure.subplots(len(others) // columns, columns, squeeze=False)
    for axes, name in zip(grid.flat, others, strict=True):
        other = encoder.scores(name)
        if base is None or other is None:
            continue
        live = np.flatnonzero(~np.isnan(base.score) & ~np.isnan(other.score))
        codes = class_codes(base.score, base.rule)
        shown = evenly(live[np.argsort(base.score[live], kind="stable")], MAX_POINTS)
        axes.plot((0, 1), (0, 1), color=colour("line"), linewidth=1.2, zorder=0)
        for code, role in enumerate(ROLES[:3]):
            points = shown[codes[shown] == code]
            axes.plot(
                base.score[points],
                other.score[points],
                "o",
                markersize=3.6,
                color=colour(role),
                markeredgecolor=colour("paper"),
                markeredgewidth=0.4,
            )
        axes.set_aspect("equal")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=reference, ylabel=name)
        axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
        axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
        axes.grid(linewidth=0.5)
    class_legend(figure, naming, dict.fromkeys(ROLES[:3]))
    return figure


def evenly(items: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` of the items, evenly spaced, both ends among them."""
    if len(items) <= most:
        return items
    places = np.linspace(0, len(items) - 1, most).round().astype(int)
    return np.take(items, places)


def new_figure(narrow: bool, height: float) -> "Figure":
    """An empty figure for a phone or a desk, ``height`` inches tall."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(
        figsize=(NARROW if narrow else WIDE, height), layout=ConstrainedLayoutEngine(hspace=0.06, wspace=0.03)
    )
    FigureCanvasAgg(figure)
    return figure


def draw_histogram(axes: "Axes", shown: ScoreSet, bins: int, share: bool = False) -> float:
    """Draw the stacked histogram; returns the height of its tallest bar."""
    edges = np.linspace(0, 1, bins + 1)
    total = max(1, int((~np.isnan(shown.score)).sum())) if share else 1
    base = np.zeros(bins)
    codes = shown.codes
    for code, role in enumerate(ROLES[:3]):
        heights = np.histogram(shown.score[codes == code], edges)[0] / total
        drawn = heights > 0
        axes.bar(
            edges[:-1][drawn],
            heights[drawn],
            1 / bins,
            base[drawn],
            align="edge",
            color=colour(role),
            edgecolor=colour("paper"),
            linewidth=0.5,
        )
        base += heights
    return float(base.max())


def score_axis(axes: "Axes", naming: Naming, *, label: bool, short: bool = False) -> None:
    """Make the x axis that of the score, from 0 to 1."""
    axes.set_xlim(0, 1)
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
    if label:
        centre = "R" if short else "Modality Dominance Score R"
        axes.set_xlabel(f"← {naming.second} · {centre} · {naming.first} →")


def class_legend(figure: "Figure", naming: Naming, counts: Mapping[str, int | None]) -> None:
    """A legend of classes by role, with their counts where given."""
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=colour(role),
            edgecolor=colour("cross") if role == "dead" else colour(role),
            hatch="////" if role == "dead" else None,
            label=naming.short(role) if number is None else f"{naming.short(role)} {count(number)}",
        )
        for role, number in counts.items()
        if number is None or number or role != "dead"
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        handlelength=0.9,
        handleheight=0.9,
        columnspacing=1.4,
        handletextpad=0.5,
        borderaxespad=0.2,
    )


def _stacked_bar(
    axes: "Axes",
    row: int,
    counts: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    naming: Naming,
) -> None:
    total = sum(counts.values())
    left = 0.0
    for role in ROLES:
        label = naming.label(role)
        share = counts[label] / total
        axes.barh(
            row,
            share,
            0.62,
            left,
            color=colour(role),
            edgecolor=colour("paper"),
            linewidth=0.8,
            hatch="////" if role == "dead" else None,
        )
        if share > 0.09:
            # Ink on grey, paper on colour: readable on every segment in both themes.
            shade = colour("ink") if role in ("cross", "dead") else colour("paper")
            axes.text(
                left + share / 2, row, count(counts[label]), ha="center", va="center", fontsize=9, color=shade
            )
        left += share
    alive = left - counts["dead"] / total
    for role, sign, origin in (("second", 1, 0.0), ("first", -1, alive)):
        low, high = intervals.get(naming.label(role), (np.nan, np.nan))
        if np.isfinite(low) and high > low:
            ends = (origin + sign * low / total, origin + sign * high / total)
            axes.plot(ends, (row, row), color=colour("ink"), linewidth=1.4, marker="|", markersize=6)


def shortened(name: str, most: int) -> str:
    """A name of at most ``most`` letters."""
    name = capitalised(" ".join(name.split()))
    return name if len(name) <= most else name[: most - 1] + "…"
