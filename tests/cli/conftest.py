import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from modalens.cli import main
from modalens.runs import origin
from modalens.runs.layout import RunFolder
from tests.fakes import FakeVLM
from tests.small_run import make_run, make_table


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line as a person would; gives (exit code, stdout, stderr)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["modalens", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return call


@pytest.fixture
def run_json(run):
    """Run a command with --json; gives the object it prints."""

    def call(*words):
        code, out, err = run(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A small run with features, made once."""
    folder = tmp_path_factory.mktemp("explained")
    return make_run(folder / "run", make_table(folder))


@pytest.fixture
def made(learned: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to do things to, beside a red picture; its model needs no weights."""
    shutil.copytree(learned.folder, tmp_path / "run")
    monkeypatch.setattr(origin, "load_vlm", lambda *args, **kwargs: FakeVLM(revision="1"))
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path / "run"
