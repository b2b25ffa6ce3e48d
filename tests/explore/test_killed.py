"""An explorer that is killed while it writes: the next one opens cleanly, and what was kept is whole."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import modalens as ml
from modalens.runs.layout import RunFolder
from tests.torture.rounds import contents, differences
from tests.torture.server import Server, Strike

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a fork that is safe")

_WORDS = ("explore", "photos", "--port", 0, "--no-browser")
_KILLS = 6


def test_a_killed_explorer_leaves_nothing_that_the_next_stumbles_over(
    finished: RunFolder, tmp_path: Path
) -> None:
    """Indexes, maps, ratings and an edit, struck at changes to the disk, come out as without a kill."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    shutil.copytree(finished.folder, whole / "photos")
    rng, kills = np.random.default_rng(0), 0
    with Server() as server:
        plain = server.run(_WORDS, whole)
        assert plain.code == 0, plain.said
        expected = contents(whole)
        while kills < _KILLS:
            shutil.copytree(finished.folder, killed / "photos")
            # Struck again and again until it ends: most of what it keeps is there by then.
            while True:
                strike = Strike(at_change=int(rng.integers(1, plain.changes + 1)), cut=rng.random())
                outcome = server.run(_WORDS, killed, strike)
                for path in killed.rglob("answers-*.json"):
                    assert json.loads(path.read_text())["rater"] == "Ada"
                if not outcome.killed:
                    break
                kills += 1
            assert outcome.code == 0, outcome.said
            assert differences(expected, contents(killed)) == []
            shutil.rmtree(killed)
    (answers,) = whole.glob("photos/annotation/*/answers-*.json")
    assert len(json.loads(answers.read_text())["answers"]) == 3
    assert ml.Edit.load(whole / "photos" / "edits" / "edit-1.safetensors").gain == 0
