"""The torture of ``make torture``, in a bounded form."""

import sys

import pytest

from tests.torture import rounds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a fork that is safe")


def test_what_was_killed_and_run_again_equals_what_was_not(tmp_path):
    tally = rounds.torture(
        tmp_path, kills=10, seed=0, without=("train ncl", "interpret", "study removal", "report")
    )
    assert not tally.differences, str(tally)
    assert tally.kills.total() >= 10
    assert set(tally.kills) >= {"embed", "train sae", "score", "study stability", "run"}
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
