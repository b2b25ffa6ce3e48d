"""The fuzzer of ``python -m tests.fuzz``, in a bounded form."""

import sys
import time
from pathlib import Path

import pytest

from modalens.errors import InputError
from tests.fuzz import rounds
from tests.fuzz.rounds import fuzz
from tests.fuzz.target import Target
from tests.fuzz.targets import all_targets

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs an alarm signal")

_INPUTS = 25


@pytest.mark.parametrize("name", all_targets())
def test_changed_files_are_read_or_refused_with_one_sentence(name: str, tmp_path: Path) -> None:
    tally = fuzz({name: all_targets()[name]}, _INPUTS, 0, tmp_path)
    assert not tally.failures, str(tally)
    assert tally.read.total() + tally.refused.total() == _INPUTS


def test_the_fuzzer_sees_what_is_wrong(tmp_path: Path) -> None:
    """A reader that breaks, speaks in two lines or hides a change is found, or the test above could not fail."""

    def make(folder: Path) -> None:
        (folder / "a").write_bytes(b"good" * 20)

    def crash(folder: Path) -> None:
        if (folder / "a").read_bytes() != b"good" * 20:
            raise KeyError("a")

    def speak(folder: Path) -> None:
        if (folder / "a").read_bytes() != b"good" * 20:
            error = InputError("One line.")
            error.args = ("One line.\nAnother.",)
            raise error

    targets = {
        "crash": Target(make, crash),
        "speak": Target(make, speak),
        "change": Target(make, lambda folder: (folder / "a").read_bytes(), checked=True),
    }
    for name, words in {
        "crash": "KeyError",
        "speak": "several lines",
        "change": "in spite of its checksum",
    }.items():
        tally = fuzz({name: targets[name]}, 3, 0, tmp_path / name)
        assert tally.failures
        assert words in tally.failures[0]


def test_the_fuzzer_sees_what_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that works for too long is stopped, and so is one that only waits."""

    def make(folder: Path) -> None:
        (folder / "a").write_bytes(b"good" * 20)

    def work(folder: Path) -> None:
        while (folder / "a").read_bytes() != b"good" * 20:
            pass

    def wait(folder: Path) -> None:
        if (folder / "a").read_bytes() != b"good" * 20:
            time.sleep(60)

    for limit, read in {"SECONDS": work, "WAITING": wait}.items():
        with monkeypatch.context() as patch:
            patch.setattr(rounds, limit, 0.2)
            tally = fuzz({limit: Target(make, read)}, 1, 0, tmp_path / limit)
        assert "more than" in tally.failures[0]
