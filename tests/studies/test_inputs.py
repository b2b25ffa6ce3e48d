"""What the result of each study follows from, beyond the representation: by content, and only what it reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modalens.errors import ModalensError
from modalens.studies.registry import find_study, study_names
from modalens.studies.subject import Subject


def subject(**parts: Any) -> Any:
    """As much of a subject as inputs are made of."""
    nothing: dict[str, Any] = {
        "verdicts": lambda: None,
        "retrained": lambda: iter(()),
        "directions": np.eye(2),
        "embeddings": object(),
    }
    return SimpleNamespace(**{**nothing, **parts})


def inputs(name: str, seen: Subject | None = None, **options: Any) -> Mapping[str, Any]:
    study = find_study(name)
    found = study.inputs(subject() if seen is None else seen, study.config.of(None, options))
    json.dumps(found)
    return found


def model(weights: str) -> Any:
    return SimpleNamespace(card=lambda: {"weights_sha256": weights})


def test_closing_the_gap_reads_the_verdicts() -> None:
    split, private = (
        subject(verdicts=lambda name=name: np.array([name, ""])) for name in ("split", "private")
    )
    found = [inputs("close-gap", seen) for seen in (subject(), split, private)]
    assert found[0] != found[1] != found[2]
    assert found[1] == inputs("close-gap", split)


def test_stability_reads_the_models_of_other_seeds() -> None:
    one = subject(retrained=lambda: iter([("seed 1", model("a"))]))
    other = subject(retrained=lambda: iter([("seed 1", model("b"))]))
    two = subject(retrained=lambda: iter([("seed 1", model("a")), ("seed 2", model("c"))]))
    found = [json.dumps(inputs("stability", seen)) for seen in (subject(), one, other, two)]
    assert len(set(found)) == 4
    assert inputs("stability", subject(directions=None, retrained=one.retrained)) == inputs("stability")


@pytest.mark.parametrize(
    ("study", "option", "listed"),
    [
        ("adversarial", "requests", False),
        ("adversarial", "font", False),
        ("adversarial", "base_image", False),
        ("text-to-image", "reference", True),
    ],
)
def test_files_count_by_content_and_not_by_name(
    tmp_path: Path, study: str, option: str, listed: bool
) -> None:
    for name, content in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(content)
    paths = [tmp_path / name for name in "abc"]
    found = [inputs(study, **{option: (path,) if listed else path}) for path in paths]
    assert found[0] == found[1] != found[2]
    assert inputs(study) != found[0]
    assert str(tmp_path) not in json.dumps(found)
    with pytest.raises(ModalensError, match="cannot be read"):
        inputs(study, **{option: (tmp_path / "gone",) if listed else tmp_path / "gone"})


@pytest.mark.parametrize(
    ("study", "option"),
    [
        ("gender", "classifier"),
        ("adversarial", "victim"),
        ("text-to-image", "generator"),
        ("text-to-image", "judge"),
    ],
)
def test_models_in_folders_count_by_content(tmp_path: Path, study: str, option: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    first = inputs(study, **{option: str(tmp_path)})
    assert inputs(study, **{option: str(tmp_path)}) == first
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert inputs(study, **{option: str(tmp_path)}) != first


def test_features_beside_are_among_the_inputs() -> None:
    other = subject(about=lambda: {"sha256": "1"})
    seen = subject(beside=lambda name: {"sae": other}[name])
    assert inputs("adversarial", seen, beside=("sae",))["beside"] == {"sae": {"sha256": "1"}}
    assert inputs("adversarial", seen)["beside"] == {}


def test_removal_has_nothing_to_do_with_prompts() -> None:
    assert inputs("removal") == {}
    with pytest.raises(ModalensError, match="has no option 'prompt'"):
        inputs("removal", prompt="x")


def test_pairs_that_a_study_makes_no_sense_for_are_refused_in_a_sentence() -> None:
    sounds = subject(mds=SimpleNamespace(modalities=("audio", "text")))
    for name in study_names():
        if name in ("adversarial", "text-to-image"):
            with pytest.raises(ModalensError, match=f"The study {name} is of images.*sounds and texts"):
                find_study(name).check(sounds)
        else:
            find_study(name).check(sounds)
