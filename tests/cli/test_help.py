"""The list of commands: quick, in order, and true."""

import inspect
import json
import subprocess
import sys

import pytest

from modalens.cli.app import app

ORDER = [
    "demo",
    "embed",
    "train",
    "score",
    "interpret",
    "name",
    "study",
    "explain",
    "compare",
    "models",
    "export",
    "report",
    "annotate",
    "agreement",
    "run",
    "explore",
    "benchmark",
]


def test_commands_are_listed_in_the_order_of_use(run):
    assert list(app.commands) == ORDER
    code, out, _ = run("--help")
    assert code == 0
    listed = out.partition("Commands:")[2].splitlines()
    found = [line.split()[0] for line in listed if line.startswith("  ") and line[2].isalpha()]
    assert found == ORDER
    code, _, err = run("scor")
    assert code == 2
    assert "Did you mean 'score'" in err


def test_listing_them_imports_no_library_that_computes_or_draws():
    told = "import json, sys; from modalens.cli.app import app; app(['--help'], standalone_mode=False); "
    told += "print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    heavy = {"numpy", "pandas", "scipy", "sklearn", "torch", "PIL", "transformers", "rich.console"}
    assert not heavy & set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", ORDER)
def test_the_list_says_what_the_help_says(run, name):
    summary = app.commands[name].help
    whole = app.commands[name].whole()  # type: ignore[attr-defined]
    assert inspect.cleandoc(whole.help).partition("\n")[0] == summary
    assert run(name, "--help")[0] == 0
