"""Results known by their inputs."""

from pathlib import Path

import pytest

from modalens.errors import ModalensError
from modalens.store.kept import RECORD_NAME, Kept, difference, kept_or_made, set_aside


def _kept(folder: Path, **inputs: object) -> Kept:
    return Kept(folder, "the scores", {"store": "a", "config": {"seed": 0}, **inputs}, "modalens score RUN")


def _make(kept: Kept, text: str, calls: list[str]) -> str:
    def make() -> str:
        calls.append(text)
        (kept.folder / "value.txt").write_text(text)
        return text

    return kept_or_made(kept, lambda: (kept.folder / "value.txt").read_text(), make)


def test_a_result_is_reused_while_its_inputs_match(tmp_path: Path) -> None:
    calls: list[str] = []
    assert _make(_kept(tmp_path), "one", calls) == "one"
    assert _make(_kept(tmp_path), "two", calls) == "one"
    assert _make(_kept(tmp_path, store="b"), "three", calls) == "three"
    assert calls == ["one", "three"]


def test_the_sentence_says_what_changed_and_what_to_run(tmp_path: Path) -> None:
    _make(_kept(tmp_path), "one", [])
    problem = _kept(tmp_path, config={"seed": 1}).problem()
    assert problem is not None
    assert "other inputs (config seed 0 there, 1 here); run modalens score RUN" in problem
    with pytest.raises(ModalensError, match="seed 0 there"):
        _kept(tmp_path, config={"seed": 1}).require()


def test_nothing_half_made_is_taken_for_whole(tmp_path: Path) -> None:
    kept = _kept(tmp_path)

    def stop() -> str:
        (tmp_path / "value.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_or_made(kept, lambda: "", stop)
    assert "not finished" in (kept.problem() or "")
    assert _make(kept, "whole", []) == "whole"
    assert kept.problem() is None


@pytest.mark.parametrize("damage", ["flip", "remove", "record"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    kept = _kept(tmp_path)
    _make(kept, "one", [])
    if damage == "flip":
        (tmp_path / "value.txt").write_text("onf")
    elif damage == "remove":
        (tmp_path / "value.txt").unlink()
    else:
        (tmp_path / RECORD_NAME).write_text("{")
    assert kept.problem() is not None
    assert _make(kept, "again", []) == "again"


def test_versions_of_libraries_do_not_count(tmp_path: Path) -> None:
    _make(_kept(tmp_path, model={"name": "x", "versions": {"torch": "1"}}), "one", [])
    assert _kept(tmp_path, model={"name": "x", "versions": {"torch": "2"}}).problem() is None


def test_what_is_set_aside_never_replaces_anything(tmp_path: Path) -> None:
    places = []
    for text in ("one", "two"):
        (tmp_path / "sae").mkdir()
        (tmp_path / "sae/value.txt").write_text(text)
        places.append(set_aside(tmp_path / "sae", tmp_path / "replaced"))
    assert [place and (place / "value.txt").read_text() for place in places] == ["one", "two"]


def test_what_was_only_begun_is_not_set_aside(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes/.lock").touch()
    (tmp_path / "codes/inputs.json.partial").write_text("{")
    assert set_aside(tmp_path / "codes", tmp_path / "replaced") is None
    assert list(tmp_path.iterdir()) == []


def test_the_first_difference_is_named() -> None:
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == "a c 2 there, 3 here"


def test_what_fails_before_it_makes_anything_leaves_no_record(tmp_path: Path) -> None:
    def refuse() -> str:
        raise ModalensError("There is no such column.")

    kept = _kept(tmp_path)
    with pytest.raises(ModalensError, match="column"):
        kept_or_made(kept, lambda: "", refuse)
    assert kept.recorded_inputs() is None
    (tmp_path / "checkpoint").touch()  # work that it can go on from
    with pytest.raises(ModalensError, match="column"):
        kept_or_made(kept, lambda: "", refuse)
    assert kept.recorded_inputs() is not None


def test_what_fails_before_it_changes_anything_leaves_the_earlier_result(tmp_path: Path) -> None:
    before = _kept(tmp_path)
    _make(before, "one", [])

    def refuse() -> str:
        raise ModalensError("There is no such split.")

    with pytest.raises(ModalensError, match="split"):
        kept_or_made(_kept(tmp_path, config={"split": "x"}), lambda: "", refuse)
    assert before.problem() is None
    assert _make(before, "two", []) == "one"
