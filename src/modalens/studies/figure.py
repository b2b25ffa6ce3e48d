"""Figures that a study brings along for the report, drawn on what the report gives it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from modalens.studies.result import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Results of one study on one encoder, by representation.
Results = Mapping[str, StudyResult]


def without_dictionary_baselines(results: Results) -> dict[str, StudyResult]:
    """Those of the embeddings and of learned features; the names of dictionary baselines hold a ``+``."""
    return {name: result for name, result in results.items() if "+" not in name} or dict(results)


class Canvas(Protocol):
    """The page that a figure is drawn for: its sizes and colours."""

    @property
    def narrow(self) -> bool:
        """Whether to draw for a phone instead of a desk."""
        ...

    def new_figure(self, height: float) -> "Figure":
        """An empty figure as wide as the page, ``height`` inches tall."""
        ...

    def colour(self, name: str) -> str:
        """A colour by its role: ink, muted, line, paper; first, second and cross for the classes."""
        ...


@dataclass(frozen=True)
class StudyFigure:
    """One figure of a study.

    Attributes
    ----------
    name
        Of its files.
    alt
        What it shows, in words.
    caption
        With ``{first}`` and ``{second}`` in place of the modalities' names, ``{firsts}`` and ``{seconds}`` of their
        samples.
    fits
        Whether there is anything to draw of a result.
    draw
        Draws the results of the encoder under study and of those beside it; at least one of the former is there.
        Takes the names of the modalities too.
    """

    name: str
    alt: str
    caption: str
    fits: Callable[[StudyResult], bool]
    draw: "Callable[[Results, Sequence[Results], tuple[str, str], Canvas], Figure]"
