"""The picture of an explanation: energy by class, and the features that hold most of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from modalens.report.charts import class_legend, new_figure, shortened
from modalens.report.naming import ROLES, Naming, percent
from modalens.report.palette import colour
from modalens.report.rendering import drawing
from modalens.store.atomic import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 160


def draw_explained(
    features: pd.DataFrame,
    shares: Mapping[str, Mapping[str, float]],
    naming: Naming,
    titles: Mapping[str, str],
) -> "Figure":
    """Shares of energy by class as one bar a side, and below them a bar for each feature.

    Parameters
    ----------
    features
        The features to show, from the top down: ``feature``, ``label``, one column of energy for each side, and
        ``name``, ``verdict`` and ``partner`` where they are known.
    shares
        Energy by class, in [0, 1], by side: ``image``, ``text`` or both, which are columns of ``features``.
    naming
        Names of the two modalities.
    titles
        What was explained, by side.
    """
    sides = list(shares)
    height = 0.9 + 0.34 * (len(sides) + len(features)) + 0.9
    figure = new_figure(False, height)
    above, below = figure.subplots(2, 1, height_ratios=(len(sides) + 1, len(features) + 1))
    for row, side in enumerate(sides):
        _classes(above, row, shares[side], naming)
    above.set_yticks(range(len(sides)), [shortened(titles[side], 36) for side in sides])
    above.set_ylim(len(sides) - 0.45, -0.55)
    above.set_title("Energy by class", fontweight="bold")
    for axes, start in ((above, 0), (below, -1 if len(sides) == 2 else 0)):
        _percent_axis(axes, start)
    for row, each in enumerate(features.to_dict("records")):
        role = next(role for role in ROLES if naming.label(role) == each["label"])
        for side, sign in zip(sides, (-1, 1) if len(sides) == 2 else (1,), strict=True):
            below.barh(
                row, sign * each[side], 0.62, color=colour(role), hatch="//" if role == "dead" else None
            )
    below.axvline(0, color=colour("line"), linewidth=0.8)
    below.set_yticks(range(len(features)), [_label(each) for each in features.to_dict("records")])
    below.set_ylim(max(len(features), 1) - 0.45, -0.55)
    most = max([float(features[side].max()) for side in sides if len(features)], default=0.0) or 1.0
    below.set_xlim(-1.05 * most if len(sides) == 2 else 0, 1.05 * most)
    where = (
        " · ".join(("← " + naming.side(sides[0]), naming.side(sides[-1]) + " →")) if len(sides) == 2 else ""
    )
    below.set_title(f"Energy by feature{': ' + where if where else ''}", fontweight="bold")
    held = {name for each in shares.values() for name, share in each.items() if share}
    class_legend(figure, naming, {role: None for role in ROLES if role != "dead" or role in held})
    return figure


def save_explained(
    path: Path,
    features: pd.DataFrame,
    shares: Mapping[str, Mapping[str, float]],
    naming: Naming,
    titles: Mapping[str, str],
) -> None:
    """Write what :func:`draw_explained` draws as a PNG file; arguments as there.

    Raises
    ------
    ModalensError
        If the file cannot be written.
    """
    with drawing(), whole_file(path) as partial:
        figure = draw_explained(features, shares, naming, titles)
        figure.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None})


def _classes(axes: "Axes", row: int, shares: Mapping[str, float], naming: Naming) -> None:
    left = 0.0
    for role in ROLES:
        share = shares.get(naming.label(role), 0.0)
        axes.barh(row, share, 0.62, left, color=colour(role), edgecolor=colour("paper"), linewidth=0.8)
        if share > 0.07:
            shade = colour("ink") if role in ("cross", "dead") else colour("paper")
            axes.text(
                left + share / 2, row, percent(share), ha="center", va="center", fontsize=9, color=shade
            )
        left += share


def _percent_axis(axes: "Axes", start: int) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.set_xlim(start, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(abs(value))))
    axes.spines["bottom"].set_visible(False)


def _label(each: Mapping[Any, Any]) -> str:
    name = each.get("name")
    said = str(each["feature"]) if not isinstance(name, str) or not name else f"{each['feature']} {name}"
    partner = each.get("partner", -1)
    if each.get("verdict") == "split" and isinstance(partner, int) and partner >= 0:
        said += f" (split, {partner})"
    return shortened(said, 36)
