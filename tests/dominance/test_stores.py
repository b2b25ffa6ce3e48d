"""A store alone is enough: its matrices, images and modalities are taken."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import modalens as ml
from modalens.errors import ModalensError
from modalens.runs.scoring import ScoreConfig, score_store


@pytest.fixture
def store(tmp_path: Path, rng: np.random.Generator) -> ml.EmbeddingStore:
    for name in ("img_emb", "text_emb"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}_0000.npy", rng.standard_normal((30, 5)).astype(np.float32))
    (tmp_path / "metadata").mkdir()
    images = pa.table({"image_path": [f"image-{row % 10}" for row in range(30)]})
    pq.write_table(images, tmp_path / "metadata" / "metadata_0000.parquet")
    return ml.EmbeddingStore.open(tmp_path)


def test_a_store_knows_its_groups(store: ml.EmbeddingStore) -> None:
    assert store.modalities == ("image", "text")
    assert store.groups is not None
    assert store.groups[[0, 10, 11]].tolist() == [0, 0, 1]
    scores = score_store(store, ScoreConfig())
    mds, gap, found = ml.modality_dominance(store), ml.modality_gap(store), ml.measure_retrieval(store)
    told = ml.modality_dominance(store.image, store.text, groups=store.groups)
    kept = scores.dominance["mean_ratio"]
    assert isinstance(kept, ml.Dominance)
    for name in ("score", "low", "high"):
        assert np.array_equal(getattr(mds, name), getattr(kept, name))
        assert np.array_equal(getattr(mds, name), getattr(told, name))
    assert (gap.l2m, gap.intervals) == (scores.gap.l2m, scores.gap.intervals)
    assert found == scores.retrieval
    assert found.n == 10
    assert repr(found).startswith("Retrieval(R@1/5/10 image to text ")
    assert repr(gap).startswith("ModalityGap(l2m_unbiased=")


def test_a_store_holds_both_sides(store: ml.EmbeddingStore) -> None:
    with pytest.raises(ModalensError, match="A store holds both sides"):
        ml.modality_gap(store, store.text)
    with pytest.raises(ModalensError, match="Give a store, or two paired matrices"):
        ml.measure_retrieval(store.image)
