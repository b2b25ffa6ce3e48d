"""Several runs side by side, as a page and as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from markupsafe import Markup

from modalens.errors import ModalensError
from modalens.report.charts import new_figure, shortened
from modalens.report.environment import environment
from modalens.report.naming import NOTHING, interval, number
from modalens.report.palette import colour
from modalens.report.rendering import drawing, inline, save, to_svg
from modalens.store.atomic import whole_file, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = 6
_FEWEST = 10  # matched features of which anything is said
_SHOWN_CHANGES = 100


@dataclass(frozen=True, eq=False)
class Couple:
    """Dominance scores of the features that two representations share, (k,) each."""

    first: str
    second: str
    how: str
    scores: tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`modalens.compare` finds.

    Attributes
    ----------
    pairs
        How many pairs all runs share, by id.
    values
        One row a run, features and metric: ``value`` with its 95 % interval and the ``baseline`` beside it (labels
        swapped, or pairs shuffled; chance for Mono).
    summary
        The same averaged over seeds: ``model``, ``metric``, ``seeds``, ``value``, ``low``, ``high`` and ``baseline``.
        The interval of several seeds is Student's over them, that of one its own over pairs.
    couples
        One row for each two representations that share features: how these were matched, how many, the correlation
        ``r`` of R, what 95 % of random matches lie under (``random_r``), share of the ``same_class``, Cohen's
        ``kappa``, and how many of those with a verdict in both have another one (``verdicts``, ``verdicts_changed``).
    changed
        One row a matched feature whose class or verdict differs.
    notes
        What was left out, and why.
    """

    pairs: int
    values: pd.DataFrame
    summary: pd.DataFrame
    couples: pd.DataFrame
    changed: pd.DataFrame
    notes: Sequence[str]
    drawn: Sequence[Couple] = field(default=(), repr=False)

    def wide(self) -> pd.DataFrame:
        """One row a metric and a column a model, as texts: value, interval and baseline."""
        cells = self.summary.assign(cell=[_cell(row) for row in self.summary.to_dict("records")])
        models = list(dict.fromkeys(cells["model"]))
        metrics = list(dict.fromkeys(cells["metric"]))
        found = cells.pivot_table(index="metric", columns="model", values="cell", aggfunc="first")
        return found.reindex(index=metrics, columns=models).fillna(NOTHING).reset_index()

    def to_latex(self) -> str:
        """The summary as a LaTeX table, which needs the package booktabs."""
        table: str = self.wide().rename_axis(columns=None).to_latex(index=False, escape=True)
        return table.replace("−", "$-$").replace("—", "---")

    def save(self, out: Path, latex: bool = False) -> Path:
        """Write ``compare.html``, ``tables/*.csv`` and ``.parquet``, the figure and, if asked, ``tables/summary.tex``.

        Returns
        -------
        Path
            The page.

        Raises
        ------
        ModalensError
            If the folder cannot be written to.
        """
        page = out / "compare.html"
        try:
            for name in ("values", "summary", "couples", "changed"):
                table: pd.DataFrame = getattr(self, name)
                write_text(out / "tables" / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
                with whole_file(out / "tables" / f"{name}.parquet") as partial:
                    table.to_parquet(partial, index=False)
            if latex:
                write_text(out / "tables" / "summary.tex", self.to_latex())
            write_text(page, _render(self, out))
        except OSError as error:
            raise ModalensError(
                f"The comparison cannot be written to {out}: {error.strerror or error}."
            ) from error
        return page


def statements(found: Comparison) -> list[str]:
    """What the couples say, each beside what random matches give."""
    said = [f"The runs share {found.pairs:,} pairs by id."]
    for row in found.couples.to_dict("records"):
        both = f"{row['first']} and {row['second']}"
        matched = f"{both}: {row['matched']} of {row['of']} features matched by {row['how']}"
        if row["matched"] < _FEWEST:
            said.append(f"{matched}, too few to compare.")
            continue
        verdicts = (
            f"; of {row['verdicts']} with a verdict in both {row['verdicts_changed']} have another one"
            if row["verdicts"]
            else ""
        )
        said.append(
            f"{matched}; R correlates by {number(row['r'], 2)} (random matches: under {number(row['random_r'], 2)}), "
            f"{row['same_class']:.0%} keep their class (kappa {number(row['kappa'], 2)}){verdicts}."
        )
    return [*said, *found.notes]


def draw_couples(couples: Sequence[Couple], *, narrow: bool = False) -> "Figure":
    """R of matched features against each other, a panel for each couple."""
    shown = couples[:_PANELS]
    columns = 1 if narrow else min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(narrow, (3.4 if narrow else 3.2) * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, each in zip(grid.flat, shown, strict=False):
        axes.plot((0, 1), (0, 1), color=colour("line"), linewidth=0.8)
        axes.scatter(*each.scores, s=7, color=colour("first"), alpha=0.5, linewidths=0)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.set_xlabel(shortened(f"R, {each.first}", 34))
        axes.set_ylabel(shortened(f"R, {each.second}", 34))
        axes.set_title(each.how, fontsize=9)
        axes.grid(visible=True)
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    return figure


def _cell(row: Mapping[Any, Any]) -> str:
    is_count = "features (" in row["metric"] or row["metric"].startswith("verdict")
    digits = (0 if float(row["value"]).is_integer() else 1) if is_count else 3
    low, high = float(row["low"]), float(row["high"])
    reach = f" ({interval(low, high, digits)})" if np.isfinite(low) and np.isfinite(high) else ""
    beside = f" [{number(row['baseline'], digits)}]" if np.isfinite(row["baseline"]) else ""
    return f"{number(row['value'], digits)}{reach}{beside}"


def _render(found: Comparison, out: Path) -> str:
    drawn = None
    if found.drawn:
        with drawing():
            wide = save(draw_couples(found.drawn), out / "figures", "couples")
            narrow = to_svg(draw_couples(found.drawn, narrow=True))
        drawn = {
            "wide": Markup(inline(wide, "couples-wide")),
            "narrow": Markup(inline(narrow, "couples-narrow")),
            "alt": "Scores R of matched features of two representations against each other; the numbers are in "
            "tables/couples.csv.",
        }
    wide_table = found.wide()
    return (
        environment()
        .get_template("compared.html.j2")
        .render(
            found=found,
            statements=statements(found),
            drawn=drawn,
            models=list(wide_table.columns[1:]),
            rows=wide_table.to_dict("records"),
            couples=found.couples.to_dict("records"),
            changed=found.changed.head(_SHOWN_CHANGES).to_dict("records"),
        )
    )
