"""Tables and curves of what was measured, from the files in benchmarks/results."""

import base64
import io
from pathlib import Path
from typing import Any

from modalens.benchmarks.tables import (
    markdown_circumstances,
    markdown_curves,
    markdown_peers,
    markdown_profiles,
    markdown_rows,
    number,
)
from modalens.store.documents import read_document

_RESULTS = Path("benchmarks/results")
_KINDS = {
    "speed": "modalens benchmark",
    "peers": "modalens benchmark of peers",
    "profile": "modalens profiles",
}
_NOTHING = "Not measured yet."
_AXES = {
    **dict.fromkeys(("pairs", "samples"), "M (pairs or samples)"),
    "features": "n (features)",
    "width": "d (width)",
    "k": "k (active features)",
}


def rows(name: str) -> str:
    """A table of a file's rows, and what they were measured on."""
    found = _read(name)
    if found is None:
        return _NOTHING
    told = markdown_circumstances(found)
    if name.startswith("peers"):
        return f"{told}\n\n{markdown_peers(found['rows'])}"
    if name.startswith("profile"):
        return f'{told}\n\n<div class="profiles" markdown>\n\n{markdown_profiles(found["rows"])}\n\n</div>'
    # The stylesheet gives the first column of these room: it holds sentences, and the others are many.
    return f'{told}\n\n<div class="rows" markdown>\n\n{markdown_rows(found["rows"])}\n\n</div>'


def curves(name: str) -> str:
    """A figure and a table of a file's curves."""
    found = _read(name)
    if found is None or not found["curves"]:
        return _NOTHING
    image = base64.b64encode(_drawn(found["curves"])).decode()
    figure = f'<img alt="Seconds of processors against sizes" src="data:image/svg+xml;base64,{image}">'
    return f"{figure}\n\n{markdown_curves(found['curves'])}"


def _read(name: str) -> dict[str, Any] | None:
    path = _RESULTS / f"{name}.json"
    return read_document(path, _KINDS[name.partition("-")[0]], 1) if path.exists() else None


def _drawn(found: list[dict[str, Any]]) -> bytes:
    """Seconds of processors against each size, one panel a size, in an SVG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    sizes = list(dict.fromkeys(_axis(each["varies"]) for each in found))
    figure, axes = plt.subplots(
        1, len(sizes), figsize=(3.6 * len(sizes), 4.2), sharey=True, layout="constrained", squeeze=False
    )
    for panel, size in zip(axes[0], sizes, strict=True):
        for each in (curve for curve in found if _axis(curve["varies"]) == size):
            x, y = ([point[name] for point in each["points"]] for name in ("value", "cpu"))
            panel.loglog(x, y, "o-", markersize=4, label=f"{each['row']} ({number(each['slope'], 2)})")
        panel.set(xlabel=size)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8)
    axes[0][0].set(ylabel="seconds of processors")
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    return file.getvalue()


def _axis(varies: str) -> str:
    """What the axis of a size is called."""
    return _AXES.get(varies, varies)
