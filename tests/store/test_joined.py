"""Stores of pairs joined by id into more than two modalities."""

import json

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.errors import ModalensError


def store_of(folder, ids, rng, columns=(), d=6):
    """A store as clip-retrieval leaves it, with an id for each pair; values follow from the ids."""
    numbers = np.array([int(str(each).removeprefix("s")) for each in ids])
    for name in ("img_emb", "text_emb"):
        (folder / name).mkdir(parents=True)
        values = rng.standard_normal((100, d)).astype(np.float32)
        np.save(folder / name / f"{name}_0000.npy", values[numbers])
    (folder / "metadata").mkdir()
    frame = pd.DataFrame({"id": ids, **dict(columns)})
    frame.to_parquet(folder / "metadata" / "metadata_0000.parquet")
    return ml.EmbeddingStore.open(folder)


@pytest.fixture
def two(tmp_path, rng):
    first = [f"s{i}" for i in range(40)]
    second = [f"s{i}" for i in rng.permutation(np.arange(10, 60))]
    groups = {"image_path": [f"{i // 2}.jpg" for i in range(40)]}
    return store_of(tmp_path / "photos", first, rng, groups.items()), store_of(
        tmp_path / "sounds", second, rng
    )


def test_samples_are_joined_by_id(two, caplog):
    photos, sounds = two
    joined = ml.JoinedStore.join({"image": photos, "text": photos, "sound": (sounds, "image")})
    assert joined.modalities == ("image", "text", "sound")
    assert joined.ids.tolist() == [f"s{i}" for i in range(10, 40)]
    assert joined.missing == {"image": 10, "text": 10, "sound": 20}
    assert "20 of the ids of sound" in caplog.text
    rows = [sounds.ids.tolist().index(each) for each in joined.ids]
    np.testing.assert_array_equal(joined["sound"][:], sounds.image[rows])
    np.testing.assert_array_equal(joined["text"][3:7], photos.text[13:17])
    # Two captions of one image stay together.
    np.testing.assert_array_equal(joined.groups, np.arange(30) // 2)
    assert "sound: 20" in repr(joined)
    with pytest.raises(ModalensError, match="no modality 'video'"):
        joined["video"]


def test_groups_of_several_stores_are_merged(tmp_path, rng):
    ids = [f"s{i}" for i in range(6)]
    a = store_of(tmp_path / "a", ids, rng, {"image_path": list("AABCDE")}.items())
    b = store_of(tmp_path / "b", ids, rng, {"image_path": list("ABBCDD")}.items())
    joined = ml.JoinedStore.join({"image": a, "text": a, "sound": (b, "text")})
    np.testing.assert_array_equal(joined.groups, [0, 0, 0, 1, 2, 2])


def test_it_is_measured_as_its_matrices(two):
    photos, sounds = two
    joined = ml.JoinedStore.join({"image": photos, "text": photos, "sound": (sounds, "image")})
    arrays = tuple(np.asarray(each[:]) for each in joined.matrices)
    names, how = joined.modalities, {"resamples": 20}
    one = ml.modality_dominance(joined, **how)
    other = ml.modality_dominance(arrays, modalities=names, groups=joined.groups, **how)
    np.testing.assert_array_equal(one.shares, other.shares)
    np.testing.assert_array_equal(one.low, other.low)
    assert one.modalities == names
    assert ml.gap_matrix(joined, **how) == ml.gap_matrix(
        arrays, modalities=names, groups=joined.groups, **how
    )


def test_a_file_opens_again_and_moves_with_its_stores(two, tmp_path):
    photos, sounds = two
    joined = ml.JoinedStore.join({"image": photos, "text": photos, "sound": (sounds, "image")})
    joined.save(tmp_path / "joined.json")
    sound = joined["sound"][:]
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    opened = ml.JoinedStore.open(moved / "joined.json")
    np.testing.assert_array_equal(opened["sound"][:], sound)
    assert opened.ids.tolist() == joined.ids.tolist()
    assert opened.missing == joined.missing
    assert json.loads((moved / "joined.json").read_text())["modalities"]["sound"] == {
        "store": "sounds",
        "side": "image",
    }


def test_what_cannot_be_joined_is_a_sentence(two, tmp_path, rng):
    photos, sounds = two
    far = store_of(tmp_path / "far", ["s80", "s81"], rng)
    wide = store_of(tmp_path / "wide", photos.ids.tolist(), rng, d=7)
    twice = store_of(tmp_path / "twice", ["s1", "s1"], rng, {"key": ["a", "a"]}.items())
    for stores, message in (
        ({"image": photos}, "two modalities or more"),
        ({"image": photos, "sound": sounds}, "no side 'sound'"),
        (
            {"image": photos, "text": photos, "sound": (photos, "text")},
            "text and sound are both the text side",
        ),
        ({"image": photos, "text": photos, "sound": (far, "image")}, "no id in common"),
        ({"image": photos, "text": photos, "sound": (wide, "image")}, "differ in width"),
        ({"image": photos, "text": photos, "sound": (twice, "image")}, "no unique id"),
    ):
        with pytest.raises(ModalensError, match=message):
            ml.JoinedStore.join(stores)
    with pytest.raises(ModalensError, match="not one id for each pair"):
        ml.JoinedStore.join({"image": photos, "sound": (photos, "text")}, id_column="image_path")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"modalities": []},
        {"modalities": {"image": "photos"}},
        {"modalities": {"image": {"store": 3, "side": "image"}}},
        {"modalities": {"image": {"store": "photos", "side": ["image"]}}},
    ],
)
def test_a_damaged_file_is_a_sentence(two, tmp_path, content):
    whole = {"kind": "modalens.JoinedStore", "schema_version": 1, "id_column": None, **content}
    (tmp_path / "joined.json").write_text(json.dumps(whole))
    with pytest.raises(ModalensError, match="damaged"):
        ml.JoinedStore.open(tmp_path / "joined.json")


def test_a_store_whose_name_no_file_can_have_is_a_sentence(two, tmp_path):
    photos, sounds = two
    path = tmp_path / "joined.json"
    ml.JoinedStore.join({"image": photos, "text": photos, "sound": (sounds, "image")}).save(path)
    path.write_text(path.read_text().replace("sounds", "x" * 300))
    with pytest.raises(ModalensError, match=r"^The store \S+ cannot be read: File name too long\.$"):
        ml.JoinedStore.open(path)
