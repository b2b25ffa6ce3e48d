"""What the study of metrics follows from on a run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from modalens.studies.registry import find_study


def test_new_names_and_answers_make_a_new_result(tmp_path: Path) -> None:
    study = find_study("metric-agreement")
    answers = tmp_path / "ann.json"

    def inputs(names: Any, said: str) -> Any:
        answers.write_text(said)
        subject = SimpleNamespace(judges=dict, name_scores=lambda: names)
        return study.inputs(subject, study.config(answers=(answers,)))

    plain = inputs(None, "a")
    assert plain["names"] == {}
    assert inputs(None, "b") != plain
    assert inputs({"detection of names on images": np.array([0.5])}, "a") != plain
    assert inputs(None, "a") == plain
