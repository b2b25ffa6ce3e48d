"""Where the activity goes with each kind of word, and with single words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modalens.pairs.modality import many
from modalens.statistics.controls import LEVEL
from modalens.studies.figure import Canvas, Results, StudyFigure, without_dictionary_baselines
from modalens.studies.result import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WORDS = 12


def _colours(labels: Sequence[str], modalities: tuple[str, str], canvas: Canvas) -> dict[str, str]:
    roles = {modalities[1]: "second", "cross": "cross", modalities[0]: "first"}
    return {label: canvas.colour(roles.get(label, "muted")) for label in labels}


def _learned(own: Results) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Name and tables of the last representation, which is a learned one where there is any."""
    name, result = list(without_dictionary_baselines(own).items())[-1]
    return name, result.tables["kinds"], result.tables["words"]


def kinds_by_class(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """Differences of every kind of word with their intervals, a panel a side and a colour a class."""
    del others
    name, kinds, _ = _learned(own)
    names = list(dict.fromkeys(kinds["kind"]))[::-1]
    labels = list(dict.fromkeys(kinds["class"]))
    colours = _colours(labels, modalities, canvas)
    figure = canvas.new_figure(8.0 if canvas.narrow else 4.4)
    panels = figure.subplots(*((2, 1) if canvas.narrow else (1, 2)), sharey=True, squeeze=False)
    for axes, side in zip(panels.flat, modalities, strict=True):
        axes.axvline(0, color=canvas.colour("line"), linewidth=1)
        for place, label in enumerate(labels):
            rows = kinds[(kinds["side"] == side) & (kinds["class"] == label)]
            y = np.array([names.index(kind) for kind in rows["kind"]]) + 0.22 * (1 - place)
            found = (rows["q"] < LEVEL).to_numpy()
            axes.hlines(y, rows["difference_low"], rows["difference_high"], color=colours[label], linewidth=1)
            for filled in (True, False):
                axes.scatter(
                    rows["difference"][found == filled],
                    y[found == filled],
                    s=22,
                    color=colours[label],
                    facecolor=colours[label] if filled else canvas.colour("paper"),
                    zorder=3,
                    label=label if filled else None,
                )
        axes.set_title(f"{many(side)} of {name}", fontweight="bold", fontsize=10)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("share of activity, with less without")
        axes.grid(axis="x")
    handles, told = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, told, loc="outside upper left", ncols=4)
    return figure


def words_by_class(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """The words that go most with each class on the text side, of those found."""
    del others
    name, _, words = _learned(own)
    side = modalities[1]
    found = words[(words["side"] == side) & (words["q"] < LEVEL)]
    labels = [label for label in dict.fromkeys(words["class"]) if (found["class"] == label).any()]
    colours = _colours(labels, modalities, canvas)
    shape = (len(labels), 1) if canvas.narrow else (1, len(labels))
    figure = canvas.new_figure(3.2 * len(labels) if canvas.narrow else 4.2)
    panels = figure.subplots(*shape, squeeze=False)
    for axes, label in zip(panels.flat, labels, strict=True):
        rows = found[found["class"] == label].sort_values("difference")
        rows = pd.concat([rows[: _WORDS // 2], rows[_WORDS // 2 :][-_WORDS // 2 :]])
        y = np.arange(len(rows))
        axes.axvline(0, color=canvas.colour("line"), linewidth=1)
        axes.hlines(y, rows["difference_low"], rows["difference_high"], color=colours[label], linewidth=1)
        axes.scatter(rows["difference"], y, s=18, color=colours[label], zorder=3)
        axes.set_yticks(y, rows["word"], fontsize=8)
        axes.set_ylim(-1, max(len(rows), _WORDS // 2))
        axes.locator_params(axis="x", nbins=4)
        axes.set_title(f"{label} features", fontweight="bold", fontsize=10)
        axes.grid(axis="x")
    figure.supxlabel(f"share of {side} activity, with less without, of {name}", fontsize=9)
    return figure


def _has_words(result: StudyResult) -> bool:
    """Whether a word is found on the second side, which alone is drawn; the kinds' rows have the sides in order."""
    if not len(result.tables.get("kinds", ())) or "words" not in result.tables:
        return False
    words, side = result.tables["words"], result.tables["kinds"]["side"].iloc[-1]
    return bool(((words["side"] == side) & (words["q"] < LEVEL)).any())


FIGURES = (
    StudyFigure(
        "language_kinds",
        "Points: for each kind of word, by how much the share of activity in each class differs between captions "
        "with and without it; the numbers are in tables/language_kinds.csv.",
        "What the share of activity in each class gains where captions hold a kind of word, against captions of equal "
        "length without it; split: halves of split concepts. Lines: 95 % intervals by permutation of images. Filled: "
        "found at q < 0.05 over the table.",
        lambda result: len(result.tables.get("kinds", ())) > 0,
        kinds_by_class,
    ),
    StudyFigure(
        "language_words",
        "Points: the words with which the share of text activity in each class differs most; the numbers are in "
        "tables/language_words.csv.",
        "The words with which {second} activity lies most, and least, in features of each class, of those found at "
        "q < 0.05; lines are 95 % intervals by permutation of images.",
        _has_words,
        words_by_class,
    ),
)
