"""OpenAI CLIP ViT-B/32 on 2,000 pairs of Flickr8k: numbers that others measured on the same embeddings."""

import numpy as np
import pytest

import modalens as ml

# Recall at 1 of each official split of 1,000 pairs: image to text, text to image.
RECALL = {"test": (0.550, 0.527), "validation": (0.558, 0.559)}


def test_scores_and_classes(flickr_features: np.ndarray) -> None:
    mds = ml.modality_dominance(*flickr_features, rule="mu_sigma")
    assert round(mds.mean, 3) == 0.478
    assert mds.counts() == {"text": 37, "cross": 433, "image": 42, "dead": 0}
    np.testing.assert_allclose(mds.score[[92, 133, 312]], [0.8477, 0.1855, 0.1855], rtol=0, atol=1e-4)
    assert (mds.groups, mds.effective_groups) == (2_000, 2_000)
    halves = [
        ml.modality_dominance(*flickr_features[:, rows], resamples=0).score
        for rows in (slice(1_000), slice(1_000, None))
    ]
    for half in halves:
        assert round(half[92], 3) == 0.848
        assert all(0.184 <= score <= 0.187 for score in half[[133, 312]].round(3))
    assert round(np.corrcoef(*halves)[0, 1], 2) == 0.99


def test_the_gap(flickr_features: np.ndarray) -> None:
    gap = ml.modality_gap(*flickr_features, resamples=20)
    assert [round(value, 4) for value in (gap.l2m, gap.l2i, gap.rmg)] == [0.8223, 1.1675, 0.5818]
    # Noise adds tr(Sigma) / M to the square of the published value: little at 2,000 pairs.
    assert 0 < gap.l2m**2 - gap.l2m_unbiased**2 < 1e-3
    low, high = gap.intervals["l2m_unbiased"]
    assert low < gap.l2m_unbiased < high
    assert gap.separability == 1


@pytest.mark.parametrize("split", RECALL)
def test_recall_of_each_split(split: str, flickr_features: np.ndarray) -> None:
    rows = slice(1_000) if split == "test" else slice(1_000, None)
    found = ml.measure_retrieval(*flickr_features[:, rows])
    assert (found.image_to_text[1][0], found.text_to_image[1][0]) == RECALL[split]
    assert (found.n, found.texts) == (1_000, 1_000)


def test_recall_of_both_splits(flickr_features: np.ndarray) -> None:
    found = ml.measure_retrieval(*flickr_features)
    assert (found.image_to_text[1][0], found.text_to_image[1][0]) == (0.4595, 0.4595)
