import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modalens.errors import ModalensError
from modalens.store import EmbeddingStore
from modalens.store.columns import ShardedColumn


def write_shards(folder, name, matrices, start=0, digits=4):
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(matrices, start):
        np.save(folder / name / f"{name}_{number:0{digits}d}.npy", rows)


@pytest.fixture
def foreign(tmp_path, rng):
    """A store as clip-retrieval leaves it: two-digit names, float16, no manifest."""
    image, text = rng.standard_normal((2, 23, 5)).astype(np.float16)
    cuts = [10, 20]
    write_shards(tmp_path, "img_emb", np.split(image, cuts), digits=2)
    write_shards(tmp_path, "text_emb", np.split(text, cuts), digits=2)
    (tmp_path / "metadata").mkdir()
    frame = pd.DataFrame(
        {"image_path": [f"{i}.jpg" for i in range(23)], "caption": [f"c{i}" for i in range(23)]}
    )
    for number, part in enumerate(np.split(np.arange(23), cuts)):
        frame.iloc[part].to_parquet(tmp_path / "metadata" / f"metadata_{number:02d}.parquet")
    return tmp_path, image, text


def test_opens_a_store_made_elsewhere(foreign):
    folder, image, text = foreign
    store = EmbeddingStore.open(folder)
    assert store.manifest is None
    assert np.array_equal(store.image, image)
    assert np.array_equal(store.text, text)
    assert list(store.ids) == [f"{i}.jpg" for i in range(23)]
    assert list(store.metadata["caption"]) == [f"c{i}" for i in range(23)]
    assert len(store) == 23


def test_shards_come_in_numerical_order(tmp_path, rng):
    rows = rng.standard_normal((12, 3)).astype(np.float32)
    for name in ("img_emb", "text_emb"):
        (tmp_path / name).mkdir()
        for number in range(12):
            np.save(tmp_path / name / f"{name}_{number}.npy", rows[number : number + 1])
    store = EmbeddingStore.open(tmp_path)
    assert np.array_equal(store.image[:], rows)
    assert list(store.ids) == [str(i) for i in range(12)]


def test_a_column_slices_as_the_array_it_stands_for(foreign):
    folder, image, _ = foreign
    column = EmbeddingStore.open(folder).image
    mask = np.arange(23) % 3 == 0
    for rows in (
        slice(None),
        slice(3, 17),
        slice(9, 11),
        slice(20, 40),
        slice(5, 2),
        slice(None, None, -2),
        mask,
    ):
        assert np.array_equal(column[rows], image[rows])
    assert np.array_equal(column[[22, 0, -1, 10, 10]], image[[22, 0, -1, 10, 10]])
    assert np.array_equal(column[7], image[7])
    assert np.array_equal(column[2:12, [0, 4]], image[2:12, [0, 4]])
    picked = column.pick(np.array([21, 3, 4]))
    assert np.array_equal(picked[1:], image[[3, 4]])
    assert picked.shape == (3, 5)
    assert column.shape == image.shape
    assert column.dtype == np.float16
    with pytest.raises(IndexError):
        column[[23]]


def test_a_column_of_many_shards_keeps_few_files_open(tmp_path):
    write_shards(tmp_path, "x", [np.full((1, 2), i, dtype=np.float32) for i in range(40)])
    column = ShardedColumn(sorted((tmp_path / "x").iterdir()))
    assert column[:][:, 0].tolist() == list(range(40))
    assert len(column._open) <= 16


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda f: np.save(f / "text_emb" / "text_emb_02.npy", np.zeros((2, 5), np.float16)),
            "does not pair up",
        ),
        (
            lambda f: np.save(f / "text_emb" / "text_emb_02.npy", np.zeros((3, 4), np.float16)),
            "differ in width",
        ),
        (lambda f: np.save(f / "text_emb" / "text_emb_02.npy", np.zeros(3)), "not a matrix of floats"),
        (lambda f: (f / "img_emb" / "img_emb_01.npy").write_bytes(b"garbage"), "cannot be read"),
        (lambda f: [p.unlink() for p in (f / "text_emb").iterdir()], "no text_emb/text_emb_0000.npy"),
        (lambda f: (f / "manifest.json").write_text("{"), "is not valid JSON"),
        (lambda f: (f / "manifest.json").write_text('{"kind": "a cake"}'), "not the manifest"),
    ],
)
def test_damage_is_said_in_a_sentence(foreign, damage, sentence):
    folder, _, _ = foreign
    damage(folder)
    with pytest.raises(ModalensError, match=sentence):
        EmbeddingStore.open(folder)


def test_truncated_shard_is_noticed(foreign):
    folder, _, _ = foreign
    path = folder / "img_emb" / "img_emb_01.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModalensError, match="img_emb_01"):
        EmbeddingStore.open(folder)


def test_metadata_that_does_not_fit_is_noticed(foreign):
    folder, _, _ = foreign
    pd.DataFrame({"image_path": ["a"]}).to_parquet(folder / "metadata" / "metadata_02.parquet")
    with pytest.raises(ModalensError, match=r"metadata_02.parquet has 1 rows for 3 pairs"):
        _ = EmbeddingStore.open(folder).metadata


def test_a_missing_column_is_named(foreign):
    folder, _, _ = foreign
    with pytest.raises(ModalensError, match="no column 'colour'; it has image_path, caption"):
        EmbeddingStore.open(folder).read_metadata(["colour"])


def test_missing_folder(tmp_path):
    with pytest.raises(ModalensError, match="There is no store"):
        EmbeddingStore.open(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("moved", "sentence"),
    [
        (
            {"text_emb_02": "text_emb_03"},
            "img_emb_02.npy has no partner, since there is no text_emb/text_emb_2.npy",
        ),
        ({"metadata_01": "metadata_07"}, "no metadata/metadata_1.parquet"),
        ({"img_emb_01": "img_emb_2"}, "img_emb_02.npy and .*img_emb_2.npy are both shard 2"),
        ({f"{each}_02": f"{each}_09" for each in ("img_emb", "text_emb", "metadata")}, "shard 2 is missing"),
    ],
)
def test_shards_are_matched_by_number(foreign, moved, sentence):
    folder, _, _ = foreign
    for before, after in moved.items():
        (path,) = folder.glob(f"*/{before}.*")
        path.rename(path.with_stem(after))
    with pytest.raises(ModalensError, match=sentence):
        EmbeddingStore.open(folder)


def test_shards_of_one_number_pair_up(tmp_path):
    write_shards(tmp_path, "img_emb", [np.ones((2, 3)), np.ones((4, 3))])
    write_shards(tmp_path, "text_emb", [np.ones((4, 3)), np.ones((2, 3))])
    with pytest.raises(ModalensError, match=r"img_emb_0000.npy has 2 rows and .*text_emb_0000.npy 4"):
        EmbeddingStore.open(tmp_path)


@pytest.mark.parametrize("types", [("f4", "f2"), ("f2", ">f4"), ("f2", "f8")])
def test_the_widest_number_type_holds_all_shards(tmp_path, types):
    parts = [np.full((2, 3), 0.1).astype(each) for each in types]
    parts[1 if types[0] == "f2" else 0][0, 0] = 100_000  # beyond float16
    write_shards(tmp_path, "x", parts)
    column = ShardedColumn(sorted((tmp_path / "x").iterdir()))
    right = np.concatenate([part.astype(column.dtype) for part in parts])
    assert column.dtype.isnative
    for rows in (slice(0, 2), slice(2, 4), slice(None), [0, 1], [3, 0], slice(None, None, 2)):
        assert column[rows].dtype == column.dtype
        assert np.array_equal(column[rows], right[rows])


def test_pairs_without_an_image_path_are_images_of_their_own(tmp_path):
    write_shards(tmp_path, "img_emb", [np.eye(6)])
    write_shards(tmp_path, "text_emb", [np.eye(6)])
    (tmp_path / "metadata").mkdir()
    frame = pd.DataFrame({"image_path": ["a", None, "", "a", None, ""]})
    frame.to_parquet(tmp_path / "metadata" / "metadata_0000.parquet")
    groups = EmbeddingStore.open(tmp_path).groups
    assert len(set(groups)) == 5
    assert groups[0] == groups[3]


@pytest.mark.parametrize(
    ("values", "asked", "rows"),
    [
        ([0, 1, 1], "1", [1, 2]),
        ([0.0, 1.0, None], "1", [1]),
        ([0.5, 1.5, 0.5], "0.5", [0, 2]),
        ([True, False, None], "true", [0]),
        (["a", None, "a"], "a", [0, 2]),
        ([2**63 - 1, 2**63 - 2, None], str(2**63 - 1), [0]),
    ],
)
def test_a_split_of_any_type_is_found(tmp_path, values, asked, rows):
    write_shards(tmp_path, "img_emb", [np.eye(3)])
    write_shards(tmp_path, "text_emb", [np.eye(3)])
    (tmp_path / "metadata").mkdir()
    table = pa.table({"split": pa.array(values)})
    pq.write_table(table, tmp_path / "metadata" / "metadata_0000.parquet")
    store = EmbeddingStore.open(tmp_path)
    assert store.rows_of_split(asked).tolist() == rows
    with pytest.raises(ModalensError, match=r"No pair of .* has split 'nothing'; there are"):
        store.rows_of_split("nothing")


@pytest.mark.parametrize(
    "values",
    [[2**63 - 1, None, 2**63 - 2], [True, None, False], [["a"], None, ["a", "b"]], [b"a", None, b"b"]],
)
def test_values_stay_what_they_are_beside_nulls(tmp_path, values):
    write_shards(tmp_path, "img_emb", [np.eye(3)])
    write_shards(tmp_path, "text_emb", [np.eye(3)])
    (tmp_path / "metadata").mkdir()
    pq.write_table(pa.table({"label": pa.array(values)}), tmp_path / "metadata" / "metadata_0000.parquet")
    assert EmbeddingStore.open(tmp_path).values("label").tolist() == values


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-9],
        lambda raw: b"",
        lambda raw: raw.replace(b"PAR1", b"PAR2"),
    ],
)
def test_damaged_metadata_is_said_in_a_sentence(foreign, damage):
    folder, _, _ = foreign
    path = folder / "metadata" / "metadata_01.parquet"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModalensError, match=r"metadata_01.parquet"):
        EmbeddingStore.open(folder).labels("caption")


def header(text):
    """A .npy file with this header and eight bytes."""
    raw = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + bytes(8)


@pytest.mark.parametrize(
    "raw",
    [
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }")[:-3],
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**9, 2), }"),
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 2), }"),
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }"),
        header("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }"),
        header("{'descr': ['<f4'], 'fortran_order': False, 'shape': (1, 2), }"),
        header("{[]: 1}"),
        header("  (("),
        header("'" * 3),
        header("{'descr': '<c8', 'fortran_order': False, 'shape': (1, 1), }"),
        b"PK\x03\x04 no array but an archive",
        b"\x93NUMPY\x01\x00\xff\xff",
    ],
)
def test_a_damaged_array_is_said_in_a_sentence(tmp_path, raw):
    (tmp_path / "x.npy").write_bytes(raw)
    with pytest.raises(ModalensError, match=r"x\.npy"):
        ShardedColumn([tmp_path / "x.npy"])
