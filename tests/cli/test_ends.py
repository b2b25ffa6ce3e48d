"""How the command line ends: as a module, on Ctrl-C, and when nobody reads on."""

import subprocess
import sys
from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "modalens", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("modalens ")


def test_ctrl_c_says_what_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modalens.runs.layout.RunFolder.find", stop)
    code, out, err = run("report", "x")
    assert (code, out) == (130, "")
    assert err == "modalens: Stopped; what was finished is kept, run the same command again to go on.\n"


def test_a_reader_that_goes_away_is_no_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("modalens.runs.layout.RunFolder.find", gone)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # which main replaces
    code, _, err = run("report", "x")
    assert (code, err) == (1, "")
