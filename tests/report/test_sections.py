"""A section is a package of its own: the page shows it, its figure, its table and its place in the navigation."""

import dataclasses
import logging
from pathlib import Path

import pandas as pd
import pytest

from modalens.report import ReportData, write_report
from modalens.report.sections import registry
from tests.interpreted import Part, quick_page

TINY = '''
"""A section for a test."""

import pandas as pd

from modalens.report.section import Drawing, Section


def draw(narrow):
    from modalens.report.charts import new_figure

    figure = new_figure(narrow, 2.0)
    figure.subplots().plot([0, 1], [0, 1])
    return figure


def sections(data):
    if not data.caveats:
        return []
    table = pd.DataFrame({"caveat": list(data.caveats)})
    values = {"number": len(data.caveats)}
    drawing = Drawing("line", draw, "A line that rises.")
    return [Section("tiny", "A tiny section", __name__, values, [drawing], {"caveats": table}, script="tiny.js")]
'''
TEMPLATE = """{% from "macros.html.j2" import figure %}
<section id="tiny">
{{ data.main.name }} has {{ number }}, {{ figure(figures.line, "<b>") }}</section>
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny_section"
    folder.mkdir()
    (folder / "__init__.py").write_text(TINY)
    (folder / "section.html.j2").write_text(TEMPLATE)
    (folder / "tiny.js").write_text("// tiny")
    monkeypatch.syspath_prepend(tmp_path)
    import tiny_section  # type: ignore[import-not-found]

    monkeypatch.setattr(registry, "SECTIONS", [tiny_section.sections, *registry.SECTIONS])


@pytest.mark.usefixtures("tiny")
def test_a_section_from_elsewhere_is_on_the_page(data: ReportData, tmp_path: Path) -> None:
    bare = dataclasses.replace(data, baselines=[], samples=[])
    page = write_report(bare, tmp_path / "report").read_text(encoding="utf-8")
    assert '<summary><h2 id="tiny-h">A tiny section</h2></summary>' in page
    assert "Main has 1, <figure" in page
    assert page.count('aria-label="A line that rises."') == 2
    assert "<figcaption>&lt;b&gt;</figcaption>" in page
    assert "<script>// tiny</script>" in page
    assert (tmp_path / "report/figures/line.svg").exists()
    assert pd.read_csv(tmp_path / "report/tables/caveats.csv")["caveat"].tolist() == list(data.caveats)
    assert "tiny-h" not in quick_page(dataclasses.replace(bare, caveats=[]), tmp_path / "without")


def test_what_is_left_out_is_said(data: ReportData, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    why = "It was made from other embeddings; run modalens interpret RUN."
    with caplog.at_level(logging.WARNING, logger="modalens"):
        page = quick_page(dataclasses.replace(data, not_shown=[("features of <b>", why)]), tmp_path)
    part = Part(page, "not-shown")
    assert "features of <b>" in part.text
    assert why in part.text
    assert f"The report does not show features of <b>: {why}" in caplog.messages
    assert pd.read_csv(tmp_path / "tables/not_shown.csv")["why"].tolist() == [why]
    assert page.index('id="not-shown"') < page.index('id="setup"')
    assert 'id="not-shown"' not in quick_page(data, tmp_path / "whole")


def test_a_models_name_begins_a_sentence_as_it_is_written(data: ReportData, tmp_path: Path) -> None:
    main = dataclasses.replace(data.main, name="myclip")
    page = quick_page(dataclasses.replace(data, main=main), tmp_path)
    assert "myclip finds the right text" in page
    assert "Myclip" not in page
    assert "The untrained twin" in page
