import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import Pair, Skipped, load_pairs


def write(folder: Path, document: Any, name: str = "captions.json") -> Path:
    (folder / name).write_text(json.dumps(document))
    return folder / name


def images(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": number, "file_name": f"{number:03d}.jpg"} for number in numbers]


def caption(number: int, image: int, text: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "caption": text}


def thing(image: int, category: int, area: float, crowd: int = 0) -> dict[str, Any]:
    box = {"segmentation": [[0.0, 1.0, 2.0, 3.0]], "bbox": [0, 0, 1, 1]}
    return {"id": 0, "image_id": image, "category_id": category, "area": area, "iscrowd": crowd, **box}


CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "sky"}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "val, 2017").mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / "val, 2017" / f"{number:03d}.png")
        (tmp_path / "val, 2017" / f"{number:03d}.png").rename(tmp_path / "val, 2017" / f"{number:03d}.jpg")
    return tmp_path


def test_every_caption_is_a_pair_beside_its_image(folder: Path) -> None:
    told = [caption(11, 1, " a cat "), caption(12, 2, "a dog"), caption(13, 1, "one cat")]
    document = {"images": images(1, 2), "annotations": told, "info": {"url": "cocodataset.org"}}
    source = load_pairs(f"coco:{folder / 'val, 2017'},{write(folder, document)}")
    pairs = list(source.scan())
    assert all(isinstance(pair, Pair) for pair in pairs)
    assert [(pair.id, pair.text) for pair in source] == [
        ("1#11", "a cat"), ("1#13", "one cat"), ("2#12", "a dog"),
    ]  # fmt: skip
    assert [pair.ref.key for pair in source] == ["001.jpg", "001.jpg", "002.jpg"]
    assert [pair.image.getpixel((0, 0))[0] for pair in source] == [1, 1, 2]
    assert [dict(pair.label) for pair in source] == [{"image_id": 1}, {"image_id": 1}, {"image_id": 2}]
    assert source.count() == 3
    card = source.card()
    assert (card["images"], card["captions"], card["attribution"]) == (2, 3, "cocodataset.org")


def test_the_category_is_that_of_the_largest_object(folder: Path) -> None:
    things = [
        thing(1, 1, 5.0), thing(1, 2, 9.5), thing(1, 3, 100.0, crowd=1), thing(1, 1, 9.5),
        thing(2, 3, 100.0, crowd=1),
        thing(9, 1, 1.0),
    ]  # fmt: skip
    captions = write(
        folder, {"images": images(1, 2), "annotations": [caption(1, 1, "x"), caption(2, 2, "y")]}
    )
    instances = write(folder, {"annotations": things, "categories": CATEGORIES}, "instances.json")
    pairs = list(load_pairs(f"coco:{folder / 'val, 2017'},{captions},{instances}"))
    assert [pair.label["category"] for pair in pairs] == ["dog", ""]


def test_what_is_no_pair_is_skipped_with_a_reason(folder: Path) -> None:
    listed = [*images(1, 2, 3, 4), {"id": 5, "file_name": "../captions.json"}]
    told = [
        caption(1, 1, "good"), caption(2, 1, ""), caption(3, 1, 7),
        caption(4, 4, "gone"), caption(5, 5, "outside"), caption(6, 8, "unknown"),
        caption(7, 3, "fine"),
    ]  # fmt: skip
    location = f"coco:{folder / 'val, 2017'},{write(folder, {'images': listed, 'annotations': told})}"
    items = list(load_pairs(location).scan())
    assert [item.id for item in items if isinstance(item, Pair)] == ["1#1", "3#7"]
    reasons = [(item.id, item.reason) for item in items if isinstance(item, Skipped)]
    expected = [
        ("1#2", "is empty"), ("1#3", "not text"), ("2", "no caption"),
        ("4#4", "'004.jpg' does not exist"), ("5#5", "outside the folder"), ("8#6", "not listed"),
    ]  # fmt: skip
    for (name, reason), (wanted, words) in zip(reasons, expected, strict=True):
        assert name == wanted
        assert words in reason
    assert load_pairs(location).count() == len(items)
    assert [item.id for item in load_pairs(location).scan()] == [item.id for item in items]


@pytest.mark.parametrize("document", [
    {"images": images(1), "annotations": [caption(1, 1, "a"), caption(1, 1, "b")]},
    {"images": images(1, 1), "annotations": [caption(1, 1, "a")]},
])  # fmt: skip
def test_numbers_that_repeat_are_refused(folder: Path, document: dict[str, Any]) -> None:
    with pytest.raises(ModalensError, match="one number"):
        load_pairs(f"coco:{folder / 'val, 2017'},{write(folder, document)}")


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("", "takes a folder of images and a file of captions"),
        ("{0}", "takes a folder of images and a file of captions"),
        ("{0}/none,{0}/captions.json", "no folder of images"),
        ("{0},{0}/none.json", "The annotation file .* does not exist"),
        ("{0},{0}/text.json", "is not valid JSON"),
        ("{0},{0}/list.json", "list.json. holds a list, not an object; give a COCO annotation file"),
        ("{0},{0}/instances.json", "holds no COCO captions"),
        ("{0},{0}/captions.json,{0}/captions.json", "holds no COCO instances .'categories' is missing"),
        ("{0},{0}", "is a folder, not a file"),
    ],
)
def test_bad_locations_get_one_sentence(tmp_path: Path, location: str, sentence: str) -> None:
    write(tmp_path, {"images": images(1), "annotations": [caption(1, 1, "x")]})
    write(tmp_path, {"annotations": [thing(1, 1, 1.0)], "categories": CATEGORIES}, "instances.json")
    write(tmp_path, [1], "list.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(ModalensError, match=sentence) as caught:
        load_pairs("coco:" + location.format(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_missing_area_is_that_of_the_box_and_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    cup, bus = thing(1, 1, 0.0), thing(1, 2, 0.0)
    for each, box in ((cup, [0, 0, 3, 4]), (bus, [0, 0, 30, 20])):
        del each["area"]
        each["bbox"] = box
    captions = write(folder, {"images": images(1), "annotations": [caption(1, 1, "x")]})
    for things in ([cup, bus], [bus, cup]):
        instances = write(folder, {"annotations": things, "categories": CATEGORIES}, "instances.json")
        (pair,) = load_pairs(f"coco:{folder / 'val, 2017'},{captions},{instances}")
        assert pair.label["category"] == "dog"
    assert "area is missing 2 times; that of the box is taken" in caplog.text
    del bus["bbox"]
    instances = write(folder, {"annotations": [cup, bus], "categories": CATEGORIES}, "instances.json")
    with pytest.raises(ModalensError, match=r"instances.json' holds no COCO instances \('area' is missing\)"):
        load_pairs(f"coco:{folder / 'val, 2017'},{captions},{instances}")


def test_texts_names_and_numbers_that_nothing_can_keep_are_mended_or_skipped(folder: Path) -> None:
    number = 2**63 + 5
    listed = [{"id": number, "file_name": "001.jpg"}, {"id": 7, "file_name": "x" * 300}, *images(2)]
    told = [
        caption(1, number, "so cute \ud83d"),
        caption(2, 7, "y"),
        caption(3, 2, "a\0b"),
        caption(4, 2, "\ud83d\0"),
    ]
    path = write(folder, {"images": listed, "annotations": told})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    first, long, nul, empty = load_pairs(f"coco:{folder / 'val, 2017'},{path}").scan()
    assert isinstance(first, Pair)
    assert (first.text, first.label) == ("so cute \ufffd", {"image_id": str(number)})
    assert isinstance(long, Skipped)
    assert "File name too long" in long.reason
    assert isinstance(nul, Pair)
    assert nul.text == "a\ufffdb"
    assert empty == Skipped("2#4", "The caption is empty.")


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "val, 2017" / "004.jpg").symlink_to(folder / "captions.json")
    (folder / "val, 2017" / "005.jpg").symlink_to("001.jpg")
    document = {"images": images(4, 5), "annotations": [caption(1, 4, "x"), caption(2, 5, "y")]}
    outside, inside = load_pairs(f"coco:{folder / 'val, 2017'},{write(folder, document)}").scan()
    assert isinstance(outside, Skipped)
    assert "is a link that leads outside the folder of images" in outside.reason
    assert isinstance(inside, Pair)
