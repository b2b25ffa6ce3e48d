"""From a matplotlib figure to files and to SVG that lives in the page."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modalens.report.palette import PALETTE, colour
from modalens.store.atomic import whole_file, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Names of encoders are other people's words: "$" in them must not start a formula.
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": colour("line"),
    "axes.facecolor": "none",
    "axes.labelcolor": colour("muted"),
    "axes.labelsize": 10.0,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.0,
    "figure.facecolor": colour("paper"),
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "grid.color": colour("line"),
    "grid.linewidth": 0.8,
    "hatch.color": colour("cross"),
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "path.simplify": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "modalens",
    "text.color": colour("ink"),
    "text.parse_math": False,
    "xtick.color": colour("muted"),
    "xtick.major.size": 0.0,
    "ytick.color": colour("muted"),
    "ytick.major.size": 0.0,
}
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
_VARIABLES = {light: f"var(--{name})" for name, (light, _) in PALETTE.items()}
_PNG_DPI = 160
_APART = 6.0  # pixels of a figure between a title and what follows


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib settings under which every figure is drawn and saved."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # A name in a script that the bundled font lacks still shows in the page, where the browser has fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        matplotlib.rcParams.update(matplotlib.rcParamsDefault)
        matplotlib.rcParams.update(_STYLE)
        yield


def save(figure: "Figure", folder: Path, name: str) -> str:
    """Write ``name.svg`` and ``name.png``, the same bytes for the same figure; returns the SVG."""
    svg = to_svg(figure)
    write_text(folder / f"{name}.svg", svg)
    with whole_file(folder / f"{name}.png") as partial:
        figure.savefig(partial, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    return svg


def to_svg(figure: "Figure") -> str:
    """The figure as an SVG document without date or creator."""
    _lay_out(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    return buffer.getvalue()


def _lay_out(figure: "Figure") -> None:
    """Lay a figure out for good: matplotlib would do it again, and draw once more to measure, for every file."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
        fit_titles(figure)


def fit_titles(figure: "Figure") -> None:
    """Shorten titles that would run into the next panel or a title beside them; layout leaves their widths alone."""
    panels = [(axes, axes.get_window_extent()) for axes in figure.axes if axes.get_visible()]
    for axes, box in panels:
        beyond = [
            other.x0
            for _, other in panels
            if other.x0 > box.x0 + 1 and min(other.y1, box.y1) > max(other.y0, box.y0)
        ]
        titles = [(each, each.get_window_extent()) for each in _titles(axes)]
        for title, place in titles:
            if title.get_horizontalalignment() == "right":
                continue  # a number, such as a spread: short, and whole or nothing
            beside = [
                other.x0
                for _, other in titles
                if other.x0 > place.x0 + 1 and min(other.y1, place.y1) > max(other.y0, place.y0)
            ]
            _shorten(title, min([*beyond, *beside, figure.bbox.x1 + _APART]) - _APART)


def _titles(axes: "Axes") -> list["Text"]:
    """What stands over a panel."""
    from matplotlib.text import Text

    texts = [each for each in axes.get_children() if isinstance(each, Text)]
    return [each for each in texts if each.get_text() and each.get_position()[1] >= 1]


def _shorten(title: "Text", right: float) -> None:
    """Cut words at the end of each line until a text ends before a place, in pixels."""
    lines = title.get_text().split("\n")
    while title.get_window_extent().x1 > right and (longest := max(map(len, lines))) > 4:
        lines = [line.rstrip("…")[:-2].rstrip() + "…" if len(line) == longest else line for line in lines]
        title.set_text("\n".join(lines))


def inline(svg: str, prefix: str) -> str:
    """An SVG document as an ``<svg>`` element that follows the page's theme.

    Its colours become the page's CSS variables, and ``prefix`` keeps its ids apart from those of other
    figures in the page. The element is hidden from assistive technology: the figure around it says in
    words what it shows.
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would hold for the whole page
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\b(fill|stroke): (#[0-9a-f]{6})", _themed, svg)
    svg = re.sub(r'(<[^<>]*?\sid=")', rf"\1{prefix}-", svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\1{prefix}-", svg)
    # Sizes come from the stylesheet; the viewBox keeps the proportions.
    svg = re.sub(r'^<svg ([^>]*?)\b(?:width="[^"]*") ?', r"<svg \1", svg)
    svg = re.sub(r'^<svg ([^>]*?)\b(?:height="[^"]*") ?', r"<svg \1", svg)
    svg = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    return re.sub(r"\n\s*", "\n", svg)


def _themed(match: re.Match[str]) -> str:
    name, value = match.groups()
    return f"{name}: {_VARIABLES.get(value, value)}"
