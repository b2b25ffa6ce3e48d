import pytest

from modalens.errors import ModalensError
from modalens.pairs.base import Pair, Skipped
from modalens.runs import ScoreConfig, Scores, embed, score_store
from modalens.runs.layout import RunFolder
from modalens.runs.reporting import ReportConfig, report_run
from tests.fakes import ColourImage, FakePairs, FakeVLM, colour_pairs

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


def test_baselines_are_scored_as_the_run_is(run):
    config = ScoreConfig(resamples=20, rule="twofold")
    score_store(run.store(), config).save(run.scores)
    score_store(run.baseline("untrained").store()).save(run.baseline("untrained").scores)
    report_run(run)
    assert Scores.load(run.baseline("untrained").scores).config == config
    assert Scores.load(run.baseline("another").scores).config == config


def test_a_report_can_go_elsewhere_and_needs_a_run(run, tmp_path):
    assert report_run(run, out=tmp_path / "there") == tmp_path / "there" / "report.html"
    with pytest.raises(ModalensError, match="There is no store"):
        report_run(RunFolder(tmp_path / "nothing"))
