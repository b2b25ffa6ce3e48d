"""Hugging Face datasets as pairs, from folders on this machine."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import Pair, Skipped, load_pairs
from modalens.runs import embed
from tests.fakes import FakeVLM

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path_factory.mktemp("cache")
    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
        monkeypatch.setattr(datasets.config, name, cache)


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder: Path, rows: dict[str, list[Any]], name: str = "test-00000-of-00001.parquet") -> Path:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(rows), folder / name)
    return folder


def pictures(shades: list[int]) -> list[dict[str, Any]]:
    return [{"bytes": png(shade), "path": None} for shade in shades]


def red(pair: Pair) -> int:
    value: int = pair.image.getpixel((0, 0))[0]
    return value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = {"image": pictures([10, 20, 30]), "caption": ["one", " two ", "three"], "kind": ["a", "b", "a"]}
    return write(tmp_path / "set", {**rows, "size": [1, 2, 3]})


def test_rows_of_parquet_become_pairs(folder: Path) -> None:
    source = load_pairs(f"hf:{folder}:test")
    pairs = list(source.scan())
    assert [(red(pair), pair.text) for pair in pairs] == [(10, "one"), (20, "two"), (30, "three")]
    assert [dict(pair.label) for pair in pairs] == [
        {"kind": kind, "size": size} for kind, size in (("a", 1), ("b", 2), ("a", 3))
    ]
    assert [pair.id for pair in source] == [pair.id for pair in pairs]
    assert source.count() is None
    columns = {"image": "image", "text": "caption", "id": None}
    assert source.card() == {"source": f"hf:{folder}:test", "columns": columns}


def test_a_saved_dataset_is_read_with_the_image_feature(tmp_path: Path) -> None:
    made = datasets.Dataset.from_dict(
        {"pic": pictures([1, 2]), "words": ["a", "b"], "y": [0, 1]},
        features=datasets.Features(
            pic=datasets.Image(), words=datasets.Value("string"), y=datasets.ClassLabel(names=["no", "yes"])
        ),
    )
    datasets.DatasetDict(train=made).save_to_disk(tmp_path / "saved")
    pairs = list(load_pairs(f"hf:{tmp_path / 'saved'}:train"))
    assert [(red(pair), pair.text, pair.label["y"]) for pair in pairs] == [(1, "a", 0), (2, "b", 1)]


def test_columns_are_guessed_by_name_and_overridden(tmp_path: Path) -> None:
    rows = {"thumb": pictures([1]), "img": pictures([2]), "note": ["a note"], "text": ["a text"], "uid": [7]}
    folder = write(tmp_path / "set", rows)
    (guessed,) = load_pairs(f"hf:{folder}:test")
    assert (red(guessed), guessed.text) == (2, "a text")
    assert guessed.label == {"note": "a note", "uid": 7}
    (named,) = load_pairs(f"hf:{folder}:test?image=thumb&text=note&id=uid")
    assert (red(named), named.text, named.id) == (1, "a note", "7")


def test_several_captions_of_one_image_share_it(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "set", {"image": pictures([5, 6]), "sentences": [["a", "b"], []], "n": ["x", "y"]}
    )
    pairs = list(load_pairs(f"hf:{folder}:test?id=n").scan())
    assert [item.id for item in pairs] == ["x#0", "x#1", "row 1"]
    assert pairs[0].ref.key == pairs[1].ref.key  # type: ignore[union-attr]
    assert pairs[2] == Skipped("row 1", "The caption is an empty list.")


def test_ids_survive_another_order_and_other_shards(tmp_path: Path) -> None:
    shades, texts = list(range(0, 200, 10)), [f"caption {number}" for number in range(20)]
    one = write(tmp_path / "one", {"image": pictures(shades), "caption": texts})
    first = {pair.id: (red(pair), pair.text) for pair in load_pairs(f"hf:{one}:test")}
    order = np.random.default_rng(0).permutation(20)
    two = tmp_path / "two"
    for part, rows in enumerate(np.split(order, 2)):
        table = {"image": pictures([shades[row] for row in rows]), "caption": [texts[row] for row in rows]}
        write(two, table, f"test-0000{part}-of-00002.parquet")
    again = {pair.id: (red(pair), pair.text) for pair in load_pairs(f"hf:{two}:test")}
    assert len(first) == 20
    assert first == again
    assert list(first) != list(again)


def test_bad_rows_are_skipped_with_a_reason(tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(png(9))
    images = [*pictures([1, 1]), None, {"bytes": None, "path": str(outside)}, *pictures([2, 3])]
    texts = ["good", " good ", "no image", "elsewhere", "", None]
    folder = write(tmp_path / "set", {"image": images, "caption": texts})
    items = list(load_pairs(f"hf:{folder}:test").scan())
    assert isinstance(items[0], Pair)
    assert [item.id for item in items[1:]] == [f"row {number}" for number in range(1, 6)]
    for item, words in zip(
        items[1:], ["same image and caption", "no image", "outside", "is empty", "not text"], strict=True
    ):
        assert isinstance(item, Skipped)
        assert words in item.reason


def test_damaged_bytes_cost_one_pair(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"jpg": [b"no image", png(4)], "txt": ["a", "b"]})
    bad, good = load_pairs(f"hf:{folder}:test")
    assert red(good) == 4
    with pytest.raises(ModalensError, match="not an image"):
        _ = bad.image


def test_a_repeated_id_is_skipped(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"image": pictures([1, 2]), "text": ["a", "b"], "id": ["x", "x"]})
    first, second = load_pairs(f"hf:{folder}:test?id=id&text=text").scan()
    assert first.id == "x"
    assert second == Skipped("row 1", "An earlier row has the id 'x'.")


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("name", "takes a dataset and a split"),
        (":test", "takes a dataset and a split"),
        ("{}:", "takes a dataset and a split"),
        ("{}:train", "has no split 'train'; its splits are: test"),
        ("{}:test?image", "must be written as in"),
        ("{}:test?picture=x", "no setting 'picture'; the settings are: image, text, id, config, revision"),
        ("{}:test?image=x", "no column 'x'; its columns are: image, caption, kind, size"),
        ("{}:test?image=caption", "'caption' of the dataset .* cannot be the image: it holds text values"),
        ("{}:test?text=size", "cannot be the text: it holds number values"),
        ("{}:test?id=image", "cannot be the id: it holds image values"),
    ],
)
def test_bad_locations_get_one_sentence(folder: Path, location: str, sentence: str) -> None:
    with pytest.raises(ModalensError, match=sentence) as caught:
        load_pairs("hf:" + location.format(folder))
    assert "\n" not in str(caught.value)


def test_no_guess_among_equals(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"a": pictures([1]), "b": pictures([2]), "caption": ["x"]})
    with pytest.raises(
        ModalensError, match=r"plainly the image .several could be: a, b.; name it with image="
    ):
        load_pairs(f"hf:{folder}:test")
    folder = write(tmp_path / "none", {"a": pictures([1]), "n": [1]})
    with pytest.raises(
        ModalensError, match=r"plainly the text .its columns are: a .image., n .number..; name it with text="
    ):
        load_pairs(f"hf:{folder}:test")


def test_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="cannot be opened"):
        load_pairs(f"hf:{tmp_path}:test")


def test_a_file_cut_short(folder: Path) -> None:
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ModalensError, match=r"cannot be (opened|read)"):
        list(load_pairs(f"hf:{folder}:test"))


def test_a_store_is_made_of_it_and_gone_on_with(folder: Path, tmp_path: Path) -> None:
    location = f"hf:{folder}:test"
    store = embed(load_pairs(location), FakeVLM(), tmp_path / "store", rows_per_shard=2)
    again = embed(load_pairs(location), FakeVLM(), tmp_path / "store", rows_per_shard=2)
    assert again.ids.tolist() == store.ids.tolist() == [pair.id for pair in load_pairs(location)]
    assert store.metadata["kind"].tolist() == ["a", "b", "a"]
    with pytest.raises(ModalensError):
        embed(load_pairs(f"{location}?id=size"), FakeVLM(), tmp_path / "store", rows_per_shard=2)


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    def fail(*args: object, **kwargs: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(HfApi, "dataset_info", fail)
    with pytest.raises(
        ModalensError, match=r"could not be fetched .*ConnectionError.; without network, name a local"
    ):
        load_pairs("hf:someone/pairs:train")


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ModalensError, match=r"pip install 'modalens\[hf\]'"):
        load_pairs(f"hf:{folder}:test")


def test_large_lists_and_views_are_texts_and_images(tmp_path: Path) -> None:
    image = pa.struct({"bytes": pa.large_binary(), "path": pa.large_string()})
    rows = {
        "image": pa.array(pictures([1, 2]), image),
        "captions": pa.array([["a", "b"], ["c"]], pa.large_list(pa.large_string())),
    }
    folder = write(tmp_path / "polars", rows)
    for location in (f"hf:{folder}:test", f"hf:{folder}:test?text=captions"):
        assert [pair.text for pair in load_pairs(location)] == ["a", "b", "c"]
    rows = {"jpg": pa.array([png(1)], pa.binary_view()), "caption": pa.array(["a"], pa.string_view())}
    (pair,) = load_pairs(f"hf:{write(tmp_path / 'views', rows)}:test")
    assert (red(pair), pair.text) == (1, "a")


def test_columns_that_nobody_uses_may_be_anything(tmp_path: Path) -> None:
    odd = {
        "span": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
        "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
        "cut": pa.array([1, 2], pa.duration("s")),
        "phash": pa.array([2**63 + 5, 7], pa.uint64()),
        "class": pa.array(["x", "y"]).dictionary_encode(),
        "none": pa.nulls(2),
    }
    table = pa.table({"image": pictures([1, 2]), "caption": ["a", "b"], **odd})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as file:
        file.write_table(table)
    pq.write_table(table.drop_columns(["span"]), tmp_path / "a.parquet")
    for name in ("a.parquet", "a.arrow"):
        pairs = list(load_pairs(f"hf:{tmp_path / name}"))
        assert [dict(pair.label) for pair in pairs] == [
            {"phash": str(2**63 + 5), "class": "x"},
            {"phash": 7, "class": "y"},
        ]


def test_a_damaged_column_of_labels_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marks = [f"mark of row {number:05d}" for number in range(2000)]
    table = pa.table({"image": pictures([n % 250 for n in range(2000)]), "caption": marks, "kind": marks})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, compression="snappy", use_dictionary=False, write_statistics=False)
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(3)
    data[column.data_page_offset : column.data_page_offset + 200] = b"\xff" * 200
    path.write_bytes(data)
    pairs = list(load_pairs(f"hf:{path}"))
    assert len(pairs) == 2000
    assert not pairs[-1].label
    assert "The column kind is left out from here on" in caplog.text


def test_a_text_that_is_not_utf8_costs_its_row(tmp_path: Path) -> None:
    texts = pa.array([b"a", b"\xff\xfe", b"c"])
    table = pa.table({"image": pictures([1, 2, 3]), "caption": texts.view(pa.string())})
    pq.write_table(table, tmp_path / "a.parquet")
    first, second, third = load_pairs(f"hf:{tmp_path / 'a.parquet'}").scan()
    assert isinstance(second, Skipped)
    assert "The caption cannot be read (UnicodeDecodeError" in second.reason
    assert isinstance(first, Pair)
    assert isinstance(third, Pair)


def test_images_that_rows_name_lie_beside_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    for place, shade in ((folder, 7), (tmp_path / "elsewhere", 9)):
        (place / "0.png").write_bytes(png(shade))
    (tmp_path / "set" / "pics").mkdir()
    (tmp_path / "set" / "pics" / "1.png").write_bytes(png(8))
    image = [{"bytes": None, "path": path} for path in ("0.png", "pics/1.png", "../../elsewhere/0.png")]
    write(folder, {"image": image, "caption": ["a", "b", "c"]})
    for place in (tmp_path / "elsewhere", folder, Path("/")):
        monkeypatch.chdir(place)
        first, second, third = load_pairs(f"hf:{tmp_path / 'set'}:test").scan()
        assert isinstance(first, Pair)
        assert isinstance(second, Pair)
        assert (red(first), first.ref.key, red(second), second.ref.key) == (7, "data/0.png", 8, "pics/1.png")
        assert isinstance(third, Skipped)
        assert "outside" in third.reason


def test_a_file_or_a_folder_named_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = folder.iterdir()
    assert len(list(load_pairs(f"hf:{folder}"))) == 3
    monkeypatch.setitem(sys.modules, "datasets", None)  # one file needs no library
    for location in (f"hf:{file}", f"hf:{file}:train", f"hf:{file}:test", f"hf:{file}?text=kind"):
        assert len(list(load_pairs(location).scan())) == 3
    with pytest.raises(ModalensError, match="is one table; leave the split 'validation' out"):
        load_pairs(f"hf:{file}:validation")


def test_columns_of_any_type_in_a_saved_dataset(tmp_path: Path) -> None:
    """Beside the images and captions, and with a split that is empty."""
    value, count = datasets.Value, 3
    columns: dict[str, tuple[Any, list[Any]]] = {
        "image": (datasets.Image(), [*pictures([10, 20]), None]),
        "caption": (datasets.LargeList(value("large_string")), [["one", "two"], ["three"], ["four"]]),
        "meta": ({"a": {"b": value("int32")}}, [{"a": {"b": 1}}] * count),
        "many": (datasets.Sequence(datasets.Image()), [pictures([1, 2]), [], pictures([3])]),
        "boxes": (datasets.Sequence({"x": value("int32")}), [{"x": [1]}, {"x": []}, {"x": [2, 3]}]),
        "kind": (datasets.ClassLabel(names=["cat", "dog"]), [0, 1, None]),
        "nothing": (value("null"), [None] * count),
        "array": (datasets.Array2D((2, 2), "float32"), [np.zeros((2, 2), np.float32)] * count),
        "time": (value("timestamp[s]"), [1, 2, None]),
        "half": (value("float16"), [1.0, 2.0, None]),
    }
    features = datasets.Features({name: kind for name, (kind, _) in columns.items()})
    full = datasets.Dataset.from_dict({name: rows for name, (_, rows) in columns.items()}, features=features)
    empty = datasets.Dataset.from_dict({name: [] for name in columns}, features=features)
    datasets.DatasetDict(train=full, test=empty).save_to_disk(tmp_path / "saved")
    items = list(load_pairs(f"hf:{tmp_path / 'saved'}:train").scan())
    pairs = [item for item in items if isinstance(item, Pair)]
    assert [(red(pair), pair.text, dict(pair.label)) for pair in pairs] == [
        (10, "one", {"kind": 0, "half": 1.0}),
        (10, "two", {"kind": 0, "half": 1.0}),
        (20, "three", {"kind": 1, "half": 2.0}),
    ]
    assert [item.reason for item in items if isinstance(item, Skipped)] == ["The row has no image."]
    with pytest.raises(
        ModalensError, match=r"^The split 'test' of .* cannot be opened \(it has no rows\)\.$"
    ):
        load_pairs(f"hf:{tmp_path / 'saved'}:test")


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([[each] for each in pictures([1])], "The row's image is a list, not bytes."),
        (["a.png"], "The row's image is a str, not bytes."),
        ([7], "The row's image is a int, not bytes."),
        ([{"bytes": "text", "path": "a"}], "The row's image is not bytes."),
        ([{"bytes": None, "path": "none.png"}], "The image 'none.png' does not exist."),
        ([{"bytes": None, "path": None}], "The row has no image."),
    ],
)
def test_a_file_with_other_images_costs_its_rows(tmp_path: Path, images: list[Any], reason: str) -> None:
    write(tmp_path / "set", {"image": pictures([10]), "caption": ["one"]}, "train-00000-of-00002.parquet")
    write(tmp_path / "set", {"image": images, "caption": ["two"]}, "train-00001-of-00002.parquet")
    first, second = load_pairs(f"hf:{tmp_path / 'set'}:train").scan()
    assert isinstance(first, Pair)
    assert isinstance(second, Skipped)
    assert second.reason == reason


def test_images_with_further_fields_are_images(tmp_path: Path) -> None:
    images = [{"bytes": png(10), "path": "a.png", "width": 4}]
    write(tmp_path / "set", {"image": images, "caption": ["one"]})
    (pair,) = load_pairs(f"hf:{tmp_path / 'set'}:test").scan()
    assert isinstance(pair, Pair)
    assert red(pair) == 10


def test_columns_that_do_not_fit_are_named_with_what_they_hold(tmp_path: Path) -> None:
    write(tmp_path / "set", {"images": [pictures([1, 2])], "caption": ["one"]})
    with pytest.raises(ModalensError, match=r"its columns are: images \(nested\), caption \(text\)"):
        load_pairs(f"hf:{tmp_path / 'set'}:test")
