import json
import sys

import pytest

from modalens.cli import main


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
