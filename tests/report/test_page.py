"""The page: whole in itself, well formed, and safe with other people's words."""

import base64
import hashlib
import re
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from modalens.dominance import RULES
from modalens.dominance.rules import ClassRule
from modalens.errors import ModalensError
from modalens.report import ReportData, Sample, write_report
from modalens.report.sections.features.tables import MAX_FEATURE_ROWS
from modalens.report.sections.registry import sections_of
from tests.figures import leave_out_figures

VOID = {"meta", "img", "input", "br", "col", "link"}
EVIL = "<script>alert(1)</script>\"'&{{7*7}}$x$"


class Page(HTMLParser):
    """Collects elements and text, and insists that elements nest."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.markup = markup
        self.feed(markup)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(
            part for tag, parts in self.texts.items() if tag not in ("script", "style") for part in parts
        )


@pytest.fixture(scope="module")
def folder(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(data, tmp_path_factory.mktemp("report") / "made" / "here").parent


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_has_every_section_and_one_heading(page: Page, data: ReportData) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {section.anchor for section in sections_of(data)} <= set(ids)
    assert len(page.all("h1")) == 1
    assert page.markup.startswith("<!doctype html>")
    for attributes in page.all("a"):
        href = attributes["href"] or ""
        assert href[1:] in ids if href.startswith("#") else href == "https://openmoji.org"
    for _, attributes in page.elements:  # clip paths and reused marks inside figures
        for value in filter(None, attributes.values()):
            for target in re.findall(r"url\(#([^)]+)\)", value):
                assert target in ids
        if reference := attributes.get("xlink:href"):
            assert reference[1:] in ids


def test_loads_nothing(page: Page) -> None:
    assert {tag for tag, _ in page.elements}.isdisjoint({"link", "iframe", "object", "embed", "base"})
    for tag, attributes in page.elements:
        assert not (tag == "script" and "src" in attributes)
        for name in ("src", "srcset", "xlink:href", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, name)
        assert not any(name.startswith("on") for name in attributes)
        assert "http" not in (attributes.get("style") or "")
    style = "".join(page.texts["style"])
    assert "@import" not in style
    assert "url(" not in style
    assert "fetch(" not in page.markup
    assert "XMLHttpRequest" not in page.markup


def test_policy_lets_only_the_pages_own_script_run(page: Page) -> None:
    policy = next(each["content"] for each in page.all("meta") if "http-equiv" in each) or ""
    assert len(page.texts["script"]) == 2
    for script in page.texts["script"]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy.partition("script-src")[2]
    assert "default-src 'none'" in policy


def test_can_be_read_by_ear_and_by_keyboard(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    assert len(page.all("figcaption")) == len(page.all("figure"))
    assert all("alt" in attributes for attributes in page.all("img"))
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.all("th"))
    drawings = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert len(drawings) == 2 * 5
    assert all(len(attributes["aria-label"] or "") > 40 for attributes in drawings)
    assert [each["aria-sort"] for each in page.all("th") if "aria-sort" in each] == ["descending"]
    scrolling = [each for each in page.all("div") if "scroll" in (each.get("class") or "").split()]
    assert scrolling
    assert all(each["tabindex"] == "0" and each["role"] == "region" for each in scrolling)
    assert page.all("form")[0].keys() >= {"hidden"}  # shown by the script alone


def test_shows_no_missing_numbers(page: Page) -> None:
    assert not re.search(r"\b(nan|NaN|None|inf)\b", page.text.replace("partsimageNone", ""))


def test_feature_table_agrees_with_scores(page: Page, data: ReportData) -> None:
    body = page.markup[page.markup.index('id="feature-table"') :]
    rows = re.findall(
        r'<tr class="(\w+)" id="feature-\d+"><th scope="row"><a href="#feature-\d+">(\d+)</a></th><td>([\d.]+)</td>',
        body,
    )
    assert sorted(int(feature) for _, feature, _ in rows) == list(range(48))
    shown = [float(score) for *_, score in rows]
    assert shown == sorted(shown, reverse=True)
    role = {"text": "second", "image": "first", "cross": "cross", "dead": "dead"}
    for kind, feature, score in rows:
        assert float(score) == pytest.approx(data.scores.score[int(feature)], abs=5.1e-5)
        assert kind == role[data.scores.labels[int(feature)]]


def test_every_figure_and_table_is_a_file(folder: Path) -> None:
    figures = {"mds_distribution", "mds_baselines", "gap", "class_counts", "estimators"}
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{name}.{kind}" for name in figures for kind in ("png", "svg")
    }
    tables = {"features", "baseline_scores", "classes", "gap", "retrieval", "estimators", "skipped"}
    assert {path.name for path in (folder / "tables").iterdir()} == {
        f"{name}.{kind}" for name in tables for kind in ("csv", "parquet")
    }


def test_same_data_same_bytes(data: ReportData, folder: Path, tmp_path: Path) -> None:
    write_report(data, tmp_path)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(files) > 20
    for name in files:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_other_peoples_words_stay_words(encoder, data: ReportData, tmp_path: Path) -> None:
    modalities = (f"im{EVIL}", f"te{EVIL}")
    evil = ReportData(
        title=EVIL,
        summary=EVIL,
        main=replace(
            encoder(f"a{EVIL}", modalities=modalities, note=EVIL),
            dominance={
                **encoder(modalities=modalities, estimators=("mean_ratio", "energy_ratio")).dominance,
                f"odd{EVIL}": EVIL,
            },
        ),
        baselines=[encoder(f"b{EVIL}", modalities=modalities, note=EVIL, isolates=EVIL, offset=0.0)],
        provenance={
            EVIL: EVIL,
            "command": EVIL,
            "model": {EVIL: [EVIL, {EVIL: EVIL}]},
            "items": {"keys": EVIL},
        },
        skipped=[(EVIL, EVIL)],
        attributions=[EVIL, "javascript:alert(1) https://x.org/<script>"],
        caveats=[EVIL],
        samples=[Sample(EVIL, data.samples[0].preview, EVIL)],
    )
    page = Page(write_report(evil, tmp_path).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 2
    assert "alert(1)" not in "".join(page.texts["script"])
    assert "alert(1)" not in "".join(page.texts["style"])
    assert "49" not in re.findall(r"\{\{7\*7\}\}|\b49\b", page.texts["h1"][0])
    assert all((each.get("href") or "").startswith(("#", "https://x.org/")) for each in page.all("a"))
    assert page.texts["h1"][0] == EVIL
    for name in (tmp_path / "figures").glob("*.svg"):
        assert "<script" not in name.read_text(encoding="utf-8")


def test_other_modalities_read_right(encoder, tmp_path: Path) -> None:
    modalities = ("audio", "text")
    data = ReportData(
        title="Sounds",
        summary="Sounds and words.",
        main=encoder("CLAP", modalities=modalities, non_negative=True),
        baselines=[encoder("Twin", modalities=modalities, seed=3)],
    )
    page = Page(write_report(data, tmp_path).read_text(encoding="utf-8"))
    assert "image" not in page.text.lower().replace("image-text", "")
    assert "ImgD" not in page.text
    assert "AudioD" in page.text
    assert "Audio to text" in page.text
    assert "Nothing in the source was skipped." in page.text


def test_a_bare_result_has_a_page(encoder, tmp_path: Path) -> None:
    """No baselines, no resampling, no retrieval, one estimator, the other rule, a dead feature."""
    main = encoder(
        resamples=0,
        with_retrieval=False,
        estimators=("energy_ratio",),
        rule="twofold",
        non_negative=True,
    )
    page = Page(write_report(ReportData("Bare", "Little.", main), tmp_path).read_text(encoding="utf-8"))
    assert "without resampling" in page.text
    assert "Retrieval on the same pairs" not in page.text
    assert not re.search(r"\b(nan|NaN|None|inf)\b", page.text)
    assert not (tmp_path / "figures" / "estimators.svg").exists()


def test_all_features_dead(encoder, tmp_path: Path) -> None:
    main = encoder(d=8)
    scores = main.dominance["mean_ratio"]
    dead = np.full(8, np.nan)
    dominance = {
        "mean_ratio": replace(
            scores,
            score=dead,
            low=dead,
            high=dead,
            pairs=np.zeros(8, int),
            null=replace(scores.null, scores=dead),
        )
    }
    page = Page(
        write_report(ReportData("Dead", "All.", replace(main, dominance=dominance)), tmp_path).read_text(
            "utf-8"
        )
    )
    assert "No feature has a score" in page.text


@pytest.mark.parametrize("d", [1024, 20_000])
def test_large_results_stay_small_and_fast(
    encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, d: int
) -> None:
    if d <= MAX_FEATURE_ROWS:
        leave_out_figures(monkeypatch)  # those of more features are larger
    data = ReportData(
        "Large",
        "Many features.",
        encoder(d=d, n=24, resamples=10, with_retrieval=False),
        [encoder(f"Twin {i}", d=d, n=24, resamples=10, with_retrieval=False, seed=i) for i in range(1, 4)],
    )
    started = time.process_time()
    page = write_report(data, tmp_path)
    assert time.process_time() - started < 30
    assert page.stat().st_size < 5e6
    markup = page.read_text(encoding="utf-8")
    assert markup.count('<tr class="') - markup.count('<tr class="main"') - markup.count(
        '<tr class="floor"'
    ) == min(d, MAX_FEATURE_ROWS)
    assert ("4,096 features farthest from the mean; all 20,000" in markup) == (d > MAX_FEATURE_ROWS)


def test_errors_say_what_to_do(encoder, data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="no scores"):
        replace(data, main=replace(data.main, dominance={"signed_ratio": "undefined"}))
    with pytest.raises(ModalensError, match="different names"):
        replace(data, baselines=[data.main])
    with pytest.raises(ModalensError, match="same modalities"):
        replace(data, baselines=[encoder("Other", modalities=("audio", "text"))])
    with pytest.raises(ModalensError, match="no PNG, JPEG"):
        write_report(replace(data, samples=[Sample("x", b"nothing", "x")]), tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModalensError, match="cannot be written"):
        write_report(data, tmp_path / "file")


def test_matplotlib_is_loaded_only_for_a_report() -> None:
    code = "import sys, modalens.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cites_what_the_citation_file_says(page: Page) -> None:
    citation = (Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8")
    title = re.search(r'(?m)^title: "(.*)"$', citation)
    version = re.search(r"(?m)^version: (.*)$", citation)
    assert title is not None
    assert version is not None
    assert f"title   = {{{title[1]}}}" in page.markup
    assert f"version = {{{version[1]}}}" in page.markup


def test_a_rule_of_ones_own_has_its_bounds_and_its_words(
    encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = ClassRule("one-sided off 2/5", lambda _: (np.asarray(0.4), np.asarray(0.6)), ("2/5", "3/5"))
    monkeypatch.setitem(RULES, "tight", tight)
    page = Page(
        write_report(ReportData("Own", "Little.", encoder(rule="tight")), tmp_path).read_text("utf-8")
    )
    assert "2/5 = 0.400" in page.text
    assert ": one-sided off 2/5." in page.text
    assert "One-sided off 2/5" in page.text  # among the terms
