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


def test_links_are_followed_inside_the_folder_and_refused_outside_it(tmp_path):
    put(tmp_path / "in", "a.png", "a")
    put(tmp_path / "in", ".hidden/b.png", "b")
    put(tmp_path / "out", "secret.png", "secret")
    root = tmp_path / "in"
    (root / "link.png").symlink_to("a.png")
    (root / "link.txt").symlink_to("a.txt")
    (root / "hidden").symlink_to(".hidden")
    (root / "circle").symlink_to(".")
    (root / "far").symlink_to(tmp_path / "out")
    (root / "secret.png").symlink_to(tmp_path / "out" / "secret.png")
    (root / "secret.txt").write_text("secret")
    (root / "nowhere.png").symlink_to("none.png")
    (root / "nowhere.txt").write_text("nowhere")
    source = load_pairs(f"folder:{root}")
    items = list(source.scan())
    assert [item.id for item in items if isinstance(item, Pair)] == ["a", "hidden/b", "link"]
    reasons = {item.id: item.reason for item in items if isinstance(item, Skipped)}
    assert reasons == {
        "far/": "The link leads outside the folder.",
        "secret": "The image 'secret.png' is a link that leads outside the folder of images.",
        "nowhere": "The image 'nowhere.png' does not exist; it is a link that leads nowhere.",
    }
    assert source.count() == len(items)


def test_pipes_and_folders_that_cannot_be_read_cost_themselves(tmp_path, monkeypatch):
    put(tmp_path, "a.png", "a")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "pipe.txt").write_text("a pipe")
    put(tmp_path, "talk.png")
    os.mkfifo(tmp_path / "talk.txt")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    items = list(load_pairs(f"folder:{tmp_path}").scan())
    assert [item.id for item in items if isinstance(item, Pair)] == ["a"]
    assert {item.id: item.reason for item in items if isinstance(item, Skipped)} == {
        "closed/": "The folder cannot be read (Permission denied).",
        "pipe": "The image 'pipe.png' is a pipe or device, not a file.",
        "talk": "The caption file 'talk.txt' is a pipe or device, not a file.",
    }


def test_suffixes_that_pillow_reads_are_taken_and_others_named(tmp_path):
    for name in ["a.jfif", "b.avif", "c.jp2", "d.ppm"]:
        put(tmp_path, name, name)
    (tmp_path / "e.svg").write_text("<svg/>")
    (tmp_path / "e.txt").write_text("a drawing")
    *pairs, skipped = load_pairs(f"folder:{tmp_path}").scan()
    assert [pair.id for pair in pairs] == ["a", "b", "c", "d"]
    assert all(pair.image.size == (4, 4) for pair in pairs)
    assert skipped.reason.endswith("no image of the same name; 'e.svg' is no kind of image that is read.")
    (tmp_path / "only").mkdir()
    for name in ("e.svg", "e.txt"):
        (tmp_path / name).rename(tmp_path / "only" / name)
    with pytest.raises(ModalensError, match=r"files that end in \.svg are not read as images"):
        load_pairs(f"folder:{tmp_path / 'only'}")


def test_a_file_is_named_as_one(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModalensError, match=r"There is no folder '.*file': it is a file"):
        load_pairs(f"folder:{tmp_path / 'file'}")


def test_a_caption_of_gigabytes_is_not_read(tmp_path):
    put(tmp_path, "a.png", "a")
    put(tmp_path, "b.png", "b")
    with (tmp_path / "b.txt").open("wb") as stream:
        stream.truncate(2**40)
    _, skipped = load_pairs(f"folder:{tmp_path}").scan()
    assert "too long" in skipped.reason
