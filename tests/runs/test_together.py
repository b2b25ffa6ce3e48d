"""Studies of all representations of a run at once, and studies that read the judges of the interpretation."""

from pathlib import Path

import pytest

from modalens.errors import InputError
from modalens.runs import interpreting
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from modalens.runs.studying import run_study
from modalens.studies.top_sample_count.config import TopMConfig
from tests.small_run import CONFIG, Embedder, loader, make_run, make_table

QUICK = TopMConfig(m=(3, 5), draws=1)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    models: list[Embedder] = []
    monkeypatch.setattr(interpreting, "load_sample_embedder", loader(models))
    return make_run(tmp_path / "run", make_table(tmp_path))


def test_one_result_for_all_representations_and_for_those_of_a_baseline(run: RunFolder) -> None:
    with pytest.raises(InputError, match="raw was not interpreted; run modalens interpret"):
        run_study(run, "top-m", QUICK)
    interpret_run(run, CONFIG)
    found = run_study(run, "top-m", QUICK)
    assert list(found) == ["raw"]
    assert found["raw"].config["representations"] == ["raw", "ncl", "sae"]
    baseline = run.baseline("untrained").study("top-m")
    assert [each.name for each in baseline.iterdir() if (each / "result.json").exists()] == ["raw"]
    with pytest.raises(InputError, match="compares all representations; leave out --features"):
        run_study(run, "top-m", QUICK, features="sae")
