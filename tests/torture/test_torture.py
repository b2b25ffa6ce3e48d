"""The torture of ``make torture``, in a bounded form."""

import sys

import pytest

from tests.torture import rounds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a fork that is safe")

_ONLY = ("embed", "train sae", "score", "study stability", "run")


@pytest.mark.slow
def test_what_was_killed_and_run_again_equals_what_was_not(tmp_path):
    tally = rounds.torture(tmp_path, kills=10, seed=0, only=_ONLY)
    assert not tally.differences, str(tally)
    assert tally.kills.total() >= 10
    assert set(tally.kills) >= set(_ONLY)
    assert tally.at_change.total() >= 2


def test_the_torture_sees_a_difference(tmp_path):
    """A tree that is not the same is found, or the test above could not fail."""
    (tmp_path / "a").mkdir()
    for name, text in (("same", "1"), ("other", "1"), ("gone", "1")):
        (tmp_path / "a" / name).write_text(text)
    before = rounds.contents(tmp_path)
    (tmp_path / "a" / "gone").unlink()
    (tmp_path / "a" / "other").write_text("2")
    (tmp_path / "a" / "x.partial").write_text("")
    found = rounds.differences(before, rounds.contents(tmp_path))
    assert found == ["a/gone is missing", "a/other differs", "a/x.partial is left over"]


def test_what_a_command_did_is_known_whatever_else_ran():
    """Rounds leave commands out, so each is compared by its own changes."""
    before, after = {"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}
    assert rounds.changes(before, after) == {"b": "2", "d": "1", "c": None}
