"""Reading JSON that may be anything."""

import json
import os

import pytest

from modalens.errors import InputError, StoreError
from modalens.files import read_bytes, read_json, read_json_lines


def _read(tmp_path, data, *arguments, **options):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    return read_json(path, "The file a.json", *arguments, **options)


@pytest.mark.parametrize(
    "data",
    [b'{"a": [1, "x"]}', b'\xef\xbb\xbf{"a": [1, "x"]}', b'{"a": [1, "x"]}\n\n'],
)
def test_good_json_is_read(tmp_path, data):
    assert _read(tmp_path, data) == {"a": [1, "x"]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not valid JSON .*line 1, column 1"),
        (b'{"a": 1,\n "b" 2}', "not valid JSON .*line 2, column 6"),
        (b'{"a": "\xff"}', r"not UTF-8 text \(byte 7\)"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "names the key 'b' twice"),
        (b"[" * 100_000, "nested more than 100 deep"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested more than 100 deep"),
        (b"1" * 5000, "not valid JSON"),
        (b'"' + b'\\"' * 200_000, "not valid JSON"),
        (b"[1, 2]", "holds a list, not an object"),
        (b"null", "holds null, not an object"),
    ],
)
def test_other_json_is_one_sentence_with_the_file_and_the_place(tmp_path, data, words):
    with pytest.raises(StoreError, match=f"^The file a.json .*{words}.*; mend it.$") as raised:
        _read(tmp_path, data, dict, advice="mend it", error=StoreError)
    assert "\n" not in str(raised.value)


def test_brackets_in_texts_are_not_nesting(tmp_path):
    assert _read(tmp_path, json.dumps(["[{" * 500, '\\"[' * 500]).encode()) == ["[{" * 500, '\\"[' * 500]


def test_files_that_are_too_large_are_not_read(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as stream:
        stream.truncate(2**40)  # takes no room on the disk
    with pytest.raises(InputError, match=r"a.json is too large: more than 268,435,456 bytes"):
        read_json(path, "The file a.json")


def test_what_is_no_file_is_named_as_what_it_is(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, words in [
        ("folder", "It is a folder, not a file."),
        ("pipe", "It is a pipe or a device, not a file."),
        ("none", "It does not exist."),
        ("folder/none/x", "It does not exist."),
        ("x" * 300, r"It cannot be read \(File name too long\)."),
        ("a\0b", "It does not exist: its name has a character that no file's has."),
    ]:
        with pytest.raises(InputError, match=words):
            read_bytes(tmp_path / name, "It")


def test_lines_end_at_line_feeds_alone_and_errors_name_the_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('\ufeff{"a": "x\u2028y"}\r\n\n{"a": "\x85"}\n{"a": 1} 2\n'.encode())
    lines = read_json_lines(path, "The file a.jsonl", dict)
    assert [next(lines), next(lines)] == [(1, {"a": "x\u2028y"}), (3, {"a": "\x85"})]
    with pytest.raises(InputError, match=r"^The file a.jsonl, line 4, is not valid JSON .*column 10"):
        next(lines)


def test_the_last_line_cut_short_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": ')
    lines = read_json_lines(path, "The file a.jsonl")
    assert next(lines) == (1, {"a": 1})
    with pytest.raises(InputError, match="line 2"):
        next(lines)
