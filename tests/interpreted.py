"""Interpretations to report on, without a run: features that answer to topics, and samples that show them."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.dominance import modality_dominance
from modalens.interpret import bridges, measure_fidelity, monosemanticity
from modalens.report import InterpretedResult, ReportData, write_report
from tests.figures import leave_out_figures

N, TOPICS, FEATURES = 60, 6, 31
VOID = {"meta", "img", "input", "br", "col", "link"}


def make_interpreted(
    name: str = "SAE",
    *,
    meaningful: bool = True,
    seed: int = 0,
    steps: tuple[int, ...] = (),
    modalities: tuple[str, str] = ("image", "text"),
) -> InterpretedResult:
    """Ten features for each side alone, ten for both and a dead one, each for a topic.

    The model that judges sees the topics too if the features are ``meaningful``, else it sees noise.
    """
    rng = np.random.default_rng(seed)
    topic = np.arange(N) % TOPICS
    fires = (topic[:, None] == np.arange(FEATURES - 1) % TOPICS) * rng.uniform(1, 2, (N, FEATURES - 1))
    image, text = np.zeros((2, N, FEATURES))
    image[:, :20], text[:, 10:30] = fires[:, :20], fires[:, 10:]
    mds = modality_dominance(image, text, rule="twofold", resamples=10, modalities=modalities)
    shown = np.eye(TOPICS)[topic] if meaningful else rng.normal(size=(N, TOPICS)) + 0.5
    embeddings = shown + 0.3 + 0.1 * rng.random((N, TOPICS))
    mono = [monosemanticity(codes, embeddings, 5, seed, draws=2) for codes in (image, text)]
    linked = bridges(image, text, None, mds, seed, shuffles=100)
    rows = [
        (
            step,
            side,
            metric,
            20,
            0.1 * step + place,
            0.1 * step + place - 0.05,
            0.1 * step + place + 0.05,
            0.2,
        )
        for step in steps
        for place, side in enumerate(modalities)
        for metric in ("embsim", "winrate", "mono")
    ]
    columns = ("step", "modality", "metric", "features", "value", "low", "high", "chance")
    return InterpretedResult(
        name,
        "twofold",
        measure_fidelity(*mono, mds, permutations=50, seed=seed),
        linked.counts(),
        linked.shuffled_counts(),
        pd.DataFrame(rows, columns=columns),
    )


def quick_page(data: ReportData, out: Path) -> str:
    """The markup of a report's page without its figures, which take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        leave_out_figures(patch)
        return write_report(data, out).read_text(encoding="utf-8")


class Part(HTMLParser):
    """The element with an id as a browser would see it: the text of its tables, and what is folded away."""

    def __init__(self, markup: str, element: str) -> None:
        super().__init__(convert_charrefs=True)
        self.element = element
        self.text = ""
        self.tags: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.folded: list[bool] = []
        self._open: list[str] = []
        self.feed(markup)
        self.close()
        assert self.tags, f"there is no element with the id {element}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._open and dict(attrs).get("id") != self.element:
            return
        if tag in VOID and not self._open:
            return
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.folded.append("details" in self._open)
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "small" and {"td", "th"} & {*self._open}:
            self.tables[-1][-1][-1] += " | "

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            assert self._open.pop() == tag
            if not self._open:
                self.element = ""  # ids are unique; what follows is another element

    def handle_data(self, data: str) -> None:
        if not self._open or {"script", "style", "svg"} & {*self._open}:
            return
        self.text += data
        if self.tables and {"td", "th"} & {*self._open}:
            self.tables[-1][-1][-1] += data.strip()
