"""What a section of the report is: a heading, figures, tables, and a template with the values it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TEMPLATE = "section.html.j2"


@dataclass(frozen=True)
class Drawing:
    """A figure of a section.

    Attributes
    ----------
    name
        Of its files, ``figures/NAME.png`` and ``.svg``, and in the section's template (``figures.NAME``).
    draw
        Draws it, wide or (if true) narrow; see :mod:`modalens.report.charts`.
    alt
        What it shows, in words.
    """

    name: str
    draw: Callable[[bool], "Figure"]
    alt: str


@dataclass(frozen=True)
class Section:
    """A section of the page, ready to be drawn and rendered.

    Its template may use what every page has (``data``, ``naming``, ``scores`` and so on, see
    :mod:`modalens.report.html`), ``section`` itself, ``figures`` by name, and ``values``.

    Attributes
    ----------
    anchor, heading
        Id of its element, and what stands over its chapter and in the page's navigation.
    package
        The Python package that holds ``section.html.j2`` and the files named by ``script`` and ``style``.
    values
        What its template shows beyond what every template may use.
    drawings
        Its figures.
    tables
        Its tables by file name; those without rows are not written.
    gist
        What it found, in a sentence, beside the heading of the closed chapter; empty for nothing.
    script, style
        Name of a JavaScript file that runs after the page is there, and of a style sheet; empty for none.
    """

    anchor: str
    heading: str
    package: str
    values: Mapping[str, Any] = field(default_factory=dict)
    drawings: Sequence[Drawing] = ()
    tables: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    gist: str = ""
    script: str = ""
    style: str = ""
