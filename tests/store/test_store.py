import numpy as np
import pandas as pd
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
        (lambda f: (f / "manifest.json").write_text("{"), "cannot be read"),
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
    (folder / "metadata" / "metadata_02.parquet").unlink()
    with pytest.raises(ModalensError, match="20 rows for 23 pairs"):
        _ = EmbeddingStore.open(folder).metadata
    with pytest.raises(ModalensError, match="no column 'colour'; it has image_path, caption"):
        EmbeddingStore.open(folder).read_metadata(["colour"])


def test_missing_folder(tmp_path):
    with pytest.raises(ModalensError, match="There is no store"):
        EmbeddingStore.open(tmp_path / "nothing")
