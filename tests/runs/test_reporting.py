import logging
import shutil
from dataclasses import replace

import pytest

from modalens.errors import ModalensError
from modalens.pairs.base import Pair, Skipped
from modalens.runs import ScoreConfig, Scores, embed, score_store
from modalens.runs.layout import RunFolder
from modalens.runs.reporting import ReportConfig, report_run
from modalens.runs.scoring import score_into
from modalens.runs.studying import run_study
from tests.fakes import ColourImage, FakePairs, FakeVLM, colour_pairs
from tests.interpreted import Part
from tests.small_run import SCORING

INJECTION = "<script>alert(1)</script>"


@pytest.fixture
def run(tmp_path):
    pairs = FakePairs(
        [*colour_pairs(20), Skipped(INJECTION, INJECTION), Pair("z", ColourImage("broken"), "t", {})]
    )
    run = RunFolder(tmp_path / "run")
    embed(pairs, FakeVLM(), run.embeddings)
    embed(pairs, FakeVLM(revision="random"), run.baseline("untrained").embeddings)
    embed(pairs, FakeVLM(revision="odd"), run.baseline("another").embeddings)
    return run


def test_a_report_shows_the_run_beside_its_baselines(run):
    path = report_run(run, ReportConfig(title="A title"))
    page = path.read_text(encoding="utf-8")
    assert path == run.report / "report.html"
    assert "A title" in page
    assert page.index("Untrained twin") < page.index("baselines/another")
    assert "broken is not an image" in page
    assert INJECTION not in page
    assert (run.report / "tables" / "features.csv").exists()


@pytest.mark.usefixtures("no_figures")
def test_baselines_are_scored_as_the_run_is(run):
    config = ScoreConfig(resamples=20, rule="twofold")
    score_store(run.store(), config).save(run.scores)
    score_store(run.baseline("untrained").store()).save(run.baseline("untrained").scores)
    report_run(run)
    assert Scores.load(run.baseline("untrained").scores).config == config
    assert Scores.load(run.baseline("another").scores).config == config


@pytest.mark.usefixtures("no_figures")
def test_a_report_can_go_elsewhere_and_needs_a_run(run, tmp_path):
    assert report_run(run, out=tmp_path / "there") == tmp_path / "there" / "report.html"
    with pytest.raises(ModalensError, match="There is no store"):
        report_run(RunFolder(tmp_path / "nothing"))


@pytest.mark.slow
def test_what_no_longer_fits_is_left_out_and_said(interpreted, tmp_path, caplog):
    """Features half trained, and what was made of scores that were since made in another way."""
    run = RunFolder(tmp_path / "run")
    shutil.copytree(interpreted[0].folder, run.folder)
    run_study(run, "close-gap", features="raw", baselines=False)
    whole = report_run(run, out=tmp_path / "whole").read_text(encoding="utf-8")
    for shown in ('id="study-close-gap"', 'id="gallery"', 'id="meaning"', "<dt>NCL</dt>"):
        assert shown in whole
    assert 'id="not-shown"' not in whole

    (run.learned("ncl").folder / "config.json").unlink()
    score_into(run.scores, run.store(), replace(SCORING, resamples=11))
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="modalens"):
        page = report_run(run).read_text(encoding="utf-8")
    for gone in ('id="study-close-gap"', 'id="gallery"', 'id="meaning"', "<dt>NCL</dt>"):
        assert gone not in page
    part = Part(page, "not-shown").text
    assert "features NCL" in part
    assert str(tmp_path) not in part
    for name in ("Raw", "SAE", "Raw of the untrained twin", "SAE of the untrained twin"):
        assert f"the interpretation of {name}" in part
    assert "the study close-gap of raw" in part
    assert part.count("run modalens interpret") == 4
    assert "run modalens study close-gap" in part
    assert sum(line.startswith("The report does not show") for line in caplog.messages) == 6
