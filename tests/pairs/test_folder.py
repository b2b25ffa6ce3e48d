import os

import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import Pair, Skipped, load_pairs


def picture(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)


def put(root, name, caption=None, colour="red"):
    picture(root / name, colour)
    if caption is not None:
        (root / name).with_suffix(".txt").write_text(caption, encoding="utf-8")


def test_nested_folders_in_path_order(tmp_path):
    for name in ["z.jpg", "b/deep/er/y.PNG", "b/x.webp", "a.gif", "c.tiff", "d.Jpeg"]:
        put(tmp_path, name, f"caption of {name}")
    source = load_pairs(f"folder:{tmp_path}")
    pairs = list(source)
    assert [pair.id for pair in pairs] == ["a", "b/deep/er/y", "b/x", "c", "d", "z"]
    assert [pair.ref.key for pair in pairs] == [
        "a.gif",
        "b/deep/er/y.PNG",
        "b/x.webp",
        "c.tiff",
        "d.Jpeg",
        "z.jpg",
    ]
    assert [pair.text for pair in pairs] == [f"caption of {pair.ref.key}" for pair in pairs]
    assert all(pair.image.size == (4, 4) for pair in pairs)
    assert source.count() == 6
    assert source.card() == {"source": f"folder:{tmp_path}", "images": 6, "caption_files": 6}
    assert source.name == f"folder:{tmp_path}"


def test_order_does_not_follow_the_file_system(tmp_path, monkeypatch):
    for name in "dbca":
        put(tmp_path, f"{name}.png", name)
    in_order = [pair.id for pair in load_pairs(f"folder:{tmp_path}")]
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda *a, **k: ((f, d, n[::-1]) for f, d, n in walk(*a, **k)))
    assert [pair.id for pair in load_pairs(f"folder:{tmp_path}")] == in_order == list("abcd")


def test_a_caption_of_several_lines_is_one_caption(tmp_path):
    put(tmp_path, "a.png", "﻿ first line\nsecond line \n\n")
    (pair,) = load_pairs(f"folder:{tmp_path}")
    assert pair.text == "first line\nsecond line"


def test_bad_items_are_skipped_with_a_reason(tmp_path):
    put(tmp_path, "good.png", "good")
    put(tmp_path, "alone.png")
    put(tmp_path, "blank.png", " \n\t")
    put(tmp_path, "latin.png")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "good.txt").write_text("its image is in another folder")
    put(tmp_path, ".hidden.png", "hidden")
    put(tmp_path, ".cache/thumb.png", "hidden")
    (tmp_path / "notes.md").write_text("neither")
    put(tmp_path, "two.png", "kept")
    (tmp_path / "two.TXT").write_text("which one is meant?")
    source = load_pairs(f"folder:{tmp_path}")
    items = list(source.scan())
    skipped = {item.id: item.reason for item in items if isinstance(item, Skipped)}
    assert skipped.keys() == {"alone", "blank", "latin", "sub/good.txt", "two.txt"}
    assert "no .txt" in skipped["alone"]
    assert "empty" in skipped["blank"]
    assert "UTF-8" in skipped["latin"]
    assert "no image" in skipped["sub/good.txt"]
    assert "another caption" in skipped["two.txt"]
    assert all(reason.endswith(".") for reason in skipped.values())
    assert [item.id for item in items if isinstance(item, Pair)] == ["good", "two"]
    assert source.count() == len(items) == 7


def test_images_that_share_a_stem_keep_their_suffix(tmp_path):
    put(tmp_path, "a.jpg", "both")
    put(tmp_path, "a.png")
    put(tmp_path, "a.jpg.png", "a double suffix")
    put(tmp_path, "v1.2.png", "dots in the name")
    pairs = {pair.id: pair for pair in load_pairs(f"folder:{tmp_path}")}
    assert pairs.keys() == {"a.jpg", "a.png", "a.jpg.png", "v1.2"}
    assert pairs["a.jpg"].text == pairs["a.png"].text == "both"
    assert pairs["a.jpg"].ref.key == "a.jpg"


def test_names_that_are_not_utf8_can_be_written_down(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    try:
        put(tmp_path, f"{name}.png", "coffee")
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    (pair,) = load_pairs(f"folder:{tmp_path}")
    assert pair.id.encode() == rb"caf\udce9"
    assert pair.image.size == (4, 4)


def test_a_missing_image_fails_when_loaded_only(tmp_path):
    put(tmp_path, "a.png", "a")
    (pair,) = load_pairs(f"folder:{tmp_path}")
    (tmp_path / "a.png").unlink()
    with pytest.raises(ModalensError, match="does not exist"):
        _ = pair.image


def test_a_caption_that_vanished_is_skipped(tmp_path):
    put(tmp_path, "a.png", "a")
    source = load_pairs(f"folder:{tmp_path}")
    (tmp_path / "a.txt").unlink()
    (item,) = source.scan()
    assert isinstance(item, Skipped)


def test_no_such_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for location in ["", tmp_path / "none", tmp_path / "file"]:
        with pytest.raises(ModalensError, match="There is no folder"):
            load_pairs(f"folder:{location}")


def test_folder_without_pairs(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "b.txt").write_text("b")
    with pytest.raises(ModalensError, match=r"has no pair: it holds 1 images and 1 \.txt files"):
        load_pairs(f"folder:{tmp_path}")
