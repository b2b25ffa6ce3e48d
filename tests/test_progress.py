"""What is told of long work: on a terminal, in a notebook and in a log."""

import io
import logging
import sys
from types import SimpleNamespace

import pytest

from modalens import progress
from modalens.progress import progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_log_gets_a_line_a_minute(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with progress_bar("Counting", 10) as advance:
        for _ in range(10):
            clock[0] += 25
            advance(1)
    assert [record.getMessage() for record in caplog.records] == [
        "Counting: 3 of 10 after 75 s",
        "Counting: 6 of 10 after 150 s",
        "Counting: 9 of 10 after 225 s",
        "Counting: 10 done in 250.0 s",
    ]


def test_quick_work_is_not_worth_a_line(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with progress_bar("Encoding pairs", 3000) as advance:
        clock[0] += 0.9
        advance(3000)
    assert not caplog.records


def test_notebooks_get_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Asked(progress.Console):  # type: ignore[name-defined]
        def __init__(self, *, force_jupyter: bool | None, **options: object) -> None:
            asked.append(force_jupyter)
            super().__init__(file=io.StringIO())

    monkeypatch.setattr(progress, "Console", Asked)
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with progress_bar("Counting", 2) as advance:
        advance(2)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    with progress_bar("Counting", 2) as advance:
        advance(2)
    assert asked == [True, None]
