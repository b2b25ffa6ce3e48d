"""YAML of strangers: numbers as in YAML 1.2, and one sentence with the line for everything that is wrong."""

from pathlib import Path

import pytest

from modalens.errors import InputError
from modalens.recipes.yaml_file import read_yaml


def read(folder: Path, content: str | bytes) -> object:
    path = folder / "some.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path, f"The recipe {path.name}")


def test_numbers_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    text = "[1e-3, 1E5, -.5e+3, 1.5, 1., .5, 010, -7, 0o10, 0xff, 1:30, 2024-01-01, 1e, e3]"
    numbers = [0.001, 1e5, -500.0, 1.5, 1.0, 0.5, 10, -7, 8, 255, "1:30", "2024-01-01", "1e", "e3"]
    assert read(tmp_path, text) == numbers
    assert read(tmp_path, "\ufeffa: 1") == {"a": 1}
    assert read(tmp_path, "base: &b {k: 1}\nx: {<<: *b, k: 2}\ny: *b") == {
        "base": {"k": 1},
        "x": {"k": 2},
        "y": {"k": 1},
    }


BOMB = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}' if before else '1'] * 10)}]\n"
    for before, name in zip(("", *"abcdefgh"), "abcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", r"a stands twice \(line 3\)"),
        ("a:\n  b: 2\n  'b': 3", r"b stands twice \(line 3\)"),
        ("x: &x [*x]", r"the alias x stands inside what it names \(line 1\)"),
        (BOMB, r"it stands for over 100,000 values \(line 5\)"),
        ("x: &x {<<: [*x]}", r"the alias x stands inside"),
        ("a: *no", r"undefined alias 'no' \(line 1\)"),
        ("[" * 200_000, r"it is nested more than 32 deep \(line 1\)"),
        ("- " * 1000, "nested more than 32 deep"),
        (b"a: 1\nb: \xe9", r"is not UTF-8 \(line 2\); save it as UTF-8"),
        ("a: 1\nb: \0", r"the character U\+0000 is not allowed \(line 2\)"),
        ("a: !!int abc", r"'abc' is no int \(line 1\)"),
        ("a: !!bool maybe", r"'maybe' is no bool \(line 1\)"),
        ("a: !!timestamp x", "timestamp is not taken"),
        ("!!python/object/apply:os.system ['true']", "is not taken"),
        ("a: 0x" + "f" * 5000, r"more than 64 bits \(line 1\)"),
        ("a: " + "1" * 5000, r"is no int \(line 1\)"),
        ("? [a]\n: b", r"a name must be text \(line 1\)"),
        ("a: {b", r"line 1"),
        ("---\na: 1\n---\nb: 2", r"another document \(line 3\)"),
        ("a:\n\t- b", r"line 2"),
        ("x" * 300_000, "is over 256 KiB"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_line(
    tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith("The recipe some.yaml ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "it is no file"), (tmp_path / "no", "no such file"), (Path("a\0"), "")):
        with pytest.raises(InputError, match=f"The recipe cannot be read: .*{why}"):
            read_yaml(path, "The recipe")
