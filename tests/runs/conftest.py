"""A small run, made once for all tests: learned features, and what they mean."""

import shutil
from pathlib import Path

import pytest

from modalens.runs import interpreting
from modalens.runs.interpretation import Interpretation
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from tests.small_run import CONFIG, Embedder, loader, make_run, make_table


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table that the run was embedded from; whoever changes it must put it back."""
    return make_table(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def learned_run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose features are learned and scored, and nothing more; to be copied, not changed."""
    return make_run(tmp_path_factory.mktemp("learned") / "run", pictures)


@pytest.fixture(scope="session")
def interpreted(
    learned_run: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, dict[str, Interpretation], list[Embedder]]:
    """A copy of it that is interpreted, what was found, and the models that were used; not to be changed."""
    folder = tmp_path_factory.mktemp("interpreted") / "run"
    shutil.copytree(learned_run.folder, folder)
    models: list[Embedder] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreting, "load_sample_embedder", loader(models))
        found = interpret_run(RunFolder(folder), CONFIG)
    return RunFolder(folder), found, models
