"""Models side by side, each on the pairs of its own run, and scores over the layers of a generative model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from modalens.errors import ModalensError
from modalens.report.charts import new_figure, shortened
from modalens.report.environment import environment
from modalens.report.naming import count, interval, number, percent, small
from modalens.report.palette import colour
from modalens.report.rendering import drawing, inline, save, to_svg
from modalens.store.atomic import whole_file, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_DRAWN = 4  # models whose layers are drawn
_OWN_PAIRS = (
    "Each model is measured on the pairs of its own run: where these differ, a difference may be the pairs'. "
    "modalens compare measures runs on the pairs that they share."
)


def shown_models(table: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`modalens.runs.models_table.models_table` as texts, a row a model.

    In round brackets stand 95 % intervals over pairs, in square ones the same with modality labels swapped at random
    (for R@1, a blind guess).
    """
    return pd.DataFrame([_row(each) for each in table.to_dict("records")])


def _row(each: Mapping[Any, Any]) -> dict[str, str]:
    first, second = each["first"], each["second"]
    name = f"{each['baseline_of']}: {each['run']}" if each["baseline_of"] else str(each["run"])
    recalls = [each[f"recall_{one}_to_{other}"] for one, other in ((first, second), (second, first))]
    return {
        "run": name,
        "model": str(each["model"]),
        "pairs": count(each["pairs"]),
        "dimensions": count(each["dimensions"]),
        "L2M": _with_interval(each, "l2m"),
        "RMG": f"{_with_interval(each, 'rmg')}{_beside(each, 'rmg_swapped')}",
        "separability": _with_interval(each, "separability"),
        "mean of R": number(each["mean"]),
        "spread of R": f"{number(each['spread'])}{_beside(each, 'spread_swapped')}",
        "twofold": _classes(each, "twofold"),
        "mu_sigma": _classes(each, "mu_sigma"),
        "R@1 both ways": f"{number(recalls[0])}, {number(recalls[1])} [{small(each['chance'])}]",
    }


def _with_interval(each: Mapping[Any, Any], name: str) -> str:
    low, high = each[f"{name}_low"], each[f"{name}_high"]
    reach = f" ({interval(low, high)})" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{number(each[name])}{reach}"


def _beside(each: Mapping[Any, Any], name: str) -> str:
    value = each.get(name, np.nan)
    return f" [{number(value)}]" if np.isfinite(value) else ""


def _classes(each: Mapping[Any, Any], rule: str) -> str:
    names = (each["second"], "cross", each["first"])
    return ", ".join(f"{name} {count(each[f'{rule}_{name}'])}" for name in names)


def layers_of(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """For each model of which at least two layers were measured on as many pairs: its rows in the order of layers."""
    rows = table[table["layer"].notna()]
    if rows.empty:
        return {}
    model = rows["model"].str.partition("?")[0]
    found = {}
    for (name, _), own in rows.groupby([model, rows["pairs"]], sort=False):
        if own["layer"].nunique() > 1:
            alone = (model == name).sum() == len(own)
            said = str(name) if alone else f"{name}, {count(own['pairs'].iloc[0])} pairs"
            found[said] = own.sort_values("layer", kind="stable")
    return found


def statements(table: pd.DataFrame) -> list[str]:
    """What the rows say, each beside its baseline."""
    said = [_OWN_PAIRS]
    for name, rows in layers_of(table).items():
        first, last = rows.iloc[0], rows.iloc[-1]
        sided = [percent(_one_sided(row)) for row in (first, last)]
        said.append(
            f"From layer {first['layer']:.0f} to layer {last['layer']:.0f} of {name} the spread of R goes from "
            f"{_from_to(first, last, 'spread')} (labels swapped at random: {_from_to(first, last, 'spread_swapped')}), "
            f"one-sided dimensions by twofold from {sided[0]} to {sided[1]}, and RMG from "
            f"{_from_to(first, last, 'rmg')} (labels swapped: {_from_to(first, last, 'rmg_swapped')})."
        )
    return said


def _from_to(first: "pd.Series[Any]", last: "pd.Series[Any]", name: str) -> str:
    return f"{number(first[name])} to {number(last[name])}"


def _one_sided(row: "pd.Series[Any]") -> float:
    sides = sum(float(row[f"twofold_{row[side]}"]) for side in ("first", "second"))
    live = sides + float(row["twofold_cross"])
    return sides / live if live else float("nan")


def draw_layers(layers: Mapping[str, pd.DataFrame], *, narrow: bool = False) -> "Figure":
    """R, classes and RMG over layers: a line of panels for each model."""
    drawn = list(layers.items())[:_MOST_DRAWN]
    shape = (3 * len(drawn), 1) if narrow else (len(drawn), 3)
    figure = new_figure(narrow, 2.6 * shape[0] + 0.3)
    panels = figure.subplots(*shape, squeeze=False).reshape(len(drawn), 3)
    for line, (name, rows) in zip(panels, drawn, strict=True):
        _draw_scores(line[0], rows, name)
        _draw_classes(line[1], rows)
        _draw_gap(line[2], rows)
        for axes in line:
            axes.set_xlabel("layer")
            axes.set_xticks(rows["layer"].to_numpy(dtype=float))
            axes.set_ylim(0, 1)
            axes.grid(visible=True, axis="y")
    return figure


def _draw_scores(axes: "Axes", rows: pd.DataFrame, name: str) -> None:
    x, mean = _numbers(rows, "layer"), _numbers(rows, "mean")
    for spread, role in (("spread", "third"), ("spread_swapped", "muted")):
        reach = _numbers(rows, spread)
        axes.fill_between(x, mean - reach, mean + reach, color=colour(role), alpha=0.25, linewidth=0)
    axes.plot(x, mean, color=colour("third"), marker="o", markersize=3)
    axes.set_title(f"R, {shortened(name, 40)}")


def _draw_classes(axes: "Axes", rows: pd.DataFrame) -> None:
    x, (first, second) = _numbers(rows, "layer"), rows[["first", "second"]].iloc[0]
    names = {"first": first, "cross": "cross", "second": second}
    live = sum(_numbers(rows, f"twofold_{name}") for name in names.values())
    for role, name in names.items():
        low, high = (_numbers(rows, f"twofold_{name}{end}") / live for end in ("_low", "_high"))
        axes.fill_between(x, low, high, color=colour(role), alpha=0.2, linewidth=0)
        share = _numbers(rows, f"twofold_{name}") / live
        axes.plot(x, share, color=colour(role), marker="o", markersize=3, label=name)
    axes.legend(loc="best", fontsize=8)
    axes.set_title("share of dimensions, twofold")


def _draw_gap(axes: "Axes", rows: pd.DataFrame) -> None:
    x, role = _numbers(rows, "layer"), colour("ink")
    axes.fill_between(
        x, _numbers(rows, "rmg_low"), _numbers(rows, "rmg_high"), color=role, alpha=0.2, linewidth=0
    )
    axes.plot(x, _numbers(rows, "rmg"), color=role, marker="o", markersize=3)
    axes.plot(x, _numbers(rows, "rmg_swapped"), color=colour("muted"), linestyle=":")
    axes.set_title("RMG")


def _numbers(rows: pd.DataFrame, name: str) -> np.ndarray:
    found: np.ndarray = rows[name].to_numpy(dtype=np.float64)
    return found


def save_models(table: pd.DataFrame, out: Path) -> Path:
    """Write ``models.html``, ``tables/models.csv`` and ``.parquet`` and, where there are layers, the figure of them.

    Parameters
    ----------
    table
        As :func:`modalens.runs.models_table.models_table` gives it.
    out
        Folder to write into.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ModalensError
        If the folder cannot be written to.
    """
    page = out / "models.html"
    try:
        write_text(out / "tables" / "models.csv", table.to_csv(index=False, lineterminator="\n"))
        with whole_file(out / "tables" / "models.parquet") as partial:
            table.to_parquet(partial, index=False)
        write_text(page, _render(table, out))
    except OSError as error:
        raise ModalensError(f"The table cannot be written to {out}: {error.strerror or error}.") from error
    return page


def _render(table: pd.DataFrame, out: Path) -> str:
    layers, drawn = layers_of(table), None
    if layers:
        with drawing():
            wide = save(draw_layers(layers), out / "figures", "layers")
            narrow = to_svg(draw_layers(layers, narrow=True))
        drawn = {
            "wide": Markup(inline(wide, "layers-wide")),
            "narrow": Markup(inline(narrow, "layers-narrow")),
            "alt": "Lines of R, of the classes and of RMG over layers; the numbers are in tables/models.csv.",
        }
    shown = shown_models(table)
    return (
        environment()
        .get_template("models.html.j2")
        .render(
            columns=list(shown.columns),
            rows=shown.to_dict("records"),
            statements=statements(table),
            drawn=drawn,
            undrawn=max(0, len(layers) - _MOST_DRAWN),
        )
    )
