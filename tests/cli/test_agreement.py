"""The command that compares raters: hostile names, and two of them at one folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from modalens.store.lock import LOCK_NAME

pytest.importorskip("krippendorff", reason="the agreement extra is not installed")

CHOICES = ["image", "text", "both", "neither"]


def saved(folder: Path, rater: str, turn: int) -> Path:
    answers = {str(item): CHOICES[(item * turn) % 4] for item in range(1, 13)}
    document = {"kind": "modalens answers", "schema_version": 1, "rater": rater, "page": "abc"}
    path = folder / f"{turn}.json"
    path.write_text(json.dumps({**document, "choices": CHOICES, "answers": answers}))
    return path


def test_names_of_raters_are_no_markup(run: Any, tmp_path: Path) -> None:
    files = [saved(tmp_path, "[/b] Ada", 1), saved(tmp_path, "Bo", 2)]
    code, out, err = run("agreement", *files)
    assert code == 0, err
    assert "[/b]" in out


def test_a_folder_that_another_process_writes_to_is_left_alone(run: Any, tmp_path: Path) -> None:
    files = [saved(tmp_path, "Ada", 1), saved(tmp_path, "Bo", 2)]
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / LOCK_NAME):
        code, _, err = run("agreement", *files, "--out", tmp_path / "out")
    assert code == 2
    assert "nother process" in err
    assert not list((tmp_path / "out").glob("**/*.csv"))


def test_a_folder_is_no_file_of_answers(run, tmp_path):
    code, _, err = run("agreement", tmp_path)
    assert code == 2
    assert f"{tmp_path} is a folder, not a file." in err
