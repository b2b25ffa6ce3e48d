import csv
import os
import random

import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import Pair, Skipped, load_pairs


@pytest.fixture
def images(tmp_path):
    for name in ["a.png", "sub/b.png", "images/c.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def write(path, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    return load_pairs(f"csv:{path}")


def test_rows_become_pairs(images):
    source = write(
        images / "t.csv",
        [
            ["split", "image", "caption", "lang"],
            ["train", "a.png", "  one ", "en"],
            ["train", "a.png", "two, with a comma", "en"],
            [],
            ["test", "./sub/b.png", "three\nlines", ""],
            ["test", "c.png", "four", "de"],
            ["test", str(images / "a.png"), "five"],
        ],
    )
    pairs = list(source.scan())
    assert [pair.text for pair in pairs] == ["one", "two, with a comma", "three\nlines", "four", "five"]
    assert [pair.ref.key for pair in pairs[:4]] == ["a.png", "a.png", "sub/b.png", "images/c.png"]
    assert [dict(pair.label) for pair in pairs[:2]] == [{"split": "train", "lang": "en"}] * 2
    assert pairs[4].label == {"split": "test", "lang": ""}
    assert [pair.id.partition("#")[0] for pair in pairs[:4]] == ["a.png", "a.png", "sub/b.png", "c.png"]
    assert len({pair.id for pair in pairs}) == 5
    assert all(pair.image.size == (4, 4) for pair in pairs)
    assert source.count() == 5
    assert source.card() == {
        "source": f"csv:{images / 't.csv'}",
        "columns": ["split", "image", "caption", "lang"],
    }


def test_a_byte_order_mark_and_tabs(images):
    (images / "t.tsv").write_text("﻿image\tcaption\na.png\tone, two\n", encoding="utf-8")
    (pair,) = load_pairs(f"csv:{images / 't.tsv'}")
    assert pair.text == "one, two"


def test_ids_survive_a_shuffle_of_the_rows(images):
    rows = [[image, f"caption {i}"] for image in ["a.png", "sub/b.png"] for i in range(20)]
    first = {
        pair.id: (pair.ref.key, pair.text) for pair in write(images / "t.csv", [["image", "caption"], *rows])
    }
    random.Random(0).shuffle(rows)
    again = {
        pair.id: (pair.ref.key, pair.text) for pair in write(images / "t.csv", [["image", "caption"], *rows])
    }
    assert len(first) == 40
    assert first == again
    assert list(first) != list(again)


def test_the_id_column_is_used_where_it_tells_rows_apart(images):
    rows = [["id", "image", "caption"], ["x", "a.png", "one"], [" y ", "a.png", "one"]]
    pairs = list(write(images / "t.csv", rows))
    assert [pair.id for pair in pairs] == ["x", "y"]
    assert all(pair.label == {} for pair in pairs)


@pytest.mark.parametrize("ids", [("x", "x"), ("x", ""), ("x", " x")])
def test_the_id_column_is_a_label_where_it_does_not(images, ids):
    rows = [["id", "image", "caption"], [ids[0], "a.png", "one"], [ids[1], "a.png", "two"]]
    pairs = list(write(images / "t.csv", rows))
    assert [pair.id.partition("#")[0] for pair in pairs] == ["a.png", "a.png"]
    assert [pair.label["id"] for pair in pairs] == list(ids)


def test_bad_rows_are_skipped_with_a_reason(images):
    source = write(
        images / "t.csv",
        [
            ["image", "caption", "note"],
            ["a.png", "good", ""],
            ["a.png", "", ""],
            ["a.png"],
            ["", "no image", ""],
            ["gone.png", "missing file", ""],
            ["a.png", " good ", "repeated"],
            ["a.png", "a comma", " unquoted", "here"],
            ["sub", "a folder is no image", ""],
        ],
    )
    items = list(source.scan())
    assert [type(item) for item in items] == [Pair] + [Skipped] * 7
    assert [item.id for item in items[1:]] == [f"line {n}" for n in range(3, 10)]
    for item, words in zip(
        items[1:],
        [
            "empty",
            "empty",
            "names no image",
            "'gone.png' does not exist",
            "earlier row",
            "4 fields",
            "is a folder, not a file",
        ],
        strict=True,
    ):
        assert words in item.reason
    assert source.count() == 8


def test_missing_columns_are_named(images):
    with pytest.raises(
        ModalensError, match="no column image and no column caption; its columns are: url, text"
    ):
        write(images / "t.csv", [["url", "text"], ["a.png", "x"]])
    with pytest.raises(ModalensError, match="no column caption; its columns are: image"):
        write(images / "t.csv", [["image"]])
    with pytest.raises(ModalensError, match="its columns are: none"):
        write(images / "t.csv", [])
    with pytest.raises(ModalensError, match="two columns of one name"):
        write(images / "t.csv", [["image", "caption", "caption"]])


def test_a_lost_quote_does_not_swallow_the_rest(images):
    (images / "t.csv").write_text('image,caption\na.png,one\na.png,"two\na.png,three\n')
    walk = load_pairs(f"csv:{images / 't.csv'}").scan()
    with pytest.raises(ModalensError, match=r"malformed after line 2: .*\.$"):
        next(walk)


def test_not_utf8(images):
    text = "image,caption\n" + "a.png,x\n" * 5000 + "a.png,café\n"
    (images / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModalensError, match=r"is not UTF-8 text after line [0-9]+; save it as UTF-8"):
        list(load_pairs(f"csv:{images / 't.csv'}"))
    (images / "t.csv").write_bytes("image,caption\na.png,café\n".encode("latin-1"))
    with pytest.raises(ModalensError, match="is not UTF-8 text; save it as UTF-8"):
        list(load_pairs(f"csv:{images / 't.csv'}"))


def test_no_such_file(tmp_path):
    for location in ["", tmp_path, tmp_path / "none.csv"]:
        with pytest.raises(ModalensError, match="There is no file"):
            load_pairs(f"csv:{location}")


def test_real_photos(flickr):
    source = load_pairs(f"csv:{flickr / 'captions.csv'}")
    pairs = list(source.scan())
    assert len(pairs) == source.count() == 3000
    assert all(isinstance(pair, Pair) for pair in pairs)
    assert len({pair.id for pair in pairs}) == 3000
    assert len({pair.ref.key for pair in pairs}) == 600
    assert pairs[0].image.mode == "RGB"


def test_urls_are_refused_as_what_they_are(images):
    rows = [
        ["image", "caption"],
        ["https://example.org/a.jpg", "far"],
        ["https://u:key@example.org/b.jpg?t=key", "far"],
    ]
    first, second = write(images / "t.csv", rows).scan()
    assert "'https://example.org/a.jpg' is a URL, and a table lists files; download it" in first.reason
    assert "'https://example.org/b.jpg' is a URL" in second.reason
    assert "key" not in second.reason


def test_a_name_too_long_and_a_pipe_cost_their_rows(images):
    os.mkfifo(images / "pipe.png")
    swapped = "a long sentence that stands in the wrong column " * 8
    rows = [["image", "caption"], [swapped, "a.png"], ["pipe.png", "x"], ["a\0b", "x"], ["a.png", "good"]]
    long, pipe, odd, good = write(images / "t.csv", rows).scan()
    assert "does not exist or cannot be reached (File name too long)" in long.reason
    assert len(long.reason) < 300
    assert "'pipe.png' is a pipe or device" in pipe.reason
    assert "does not exist" in odd.reason
    assert isinstance(good, Pair)


def test_fields_of_any_length_are_read(images):
    rows = [["image", "caption", "page"], ["a.png", "good", "x" * 200_000], ["a.png", "y" * 2_000_000, ""]]
    pair, skipped = write(images / "t.csv", rows).scan()
    assert len(pair.label["page"]) == 200_000
    assert skipped.reason == "The caption is too long: 2,000,000 characters."


def test_a_folder_is_named_as_one(tmp_path):
    with pytest.raises(ModalensError, match=r"There is no file '.*': it is a folder"):
        load_pairs(f"csv:{tmp_path}")


def test_many_columns_are_not_all_listed(images):
    with pytest.raises(ModalensError, match=r"c29, \.\.\. \(5,000 in all\)") as raised:
        write(images / "t.csv", [[f"c{number}" for number in range(5000)]])
    assert len(str(raised.value)) < 500
