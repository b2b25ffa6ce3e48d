"""Recall from one product in single precision, beside the plain measure."""

import numpy as np
import pytest
import scipy.sparse as sp

from modalens.arrays import normalize_rows
from modalens.dominance.retrieval import measure_retrieval
from modalens.studies.gap_closing import recall
from modalens.studies.gap_closing.recall import Recall


def sides(rng, n: int = 300, d: int = 24) -> tuple[np.ndarray, np.ndarray]:
    concept = rng.normal(size=(n, d))
    return tuple(concept + 1.2 * rng.normal(size=(n, d)) for _ in range(2))


def check(image, text, image_ids, groups=None) -> None:
    found = Recall.of(image_ids, groups).measure(normalize_rows(image)[0], normalize_rows(text)[0])
    plain = measure_retrieval(image, text, image_ids=image_ids, groups=groups)
    assert found == (plain.image_to_text, plain.text_to_image)


def test_recall_is_that_of_the_plain_measure(rng):
    check(*sides(rng), np.arange(300))


def test_images_with_several_texts_and_groups(rng):
    image, text = sides(rng)
    images = rng.integers(0, 90, 300)
    check(image[images], text, images, images // 3)
    check(image[images], text, np.array([f"photo {each}" for each in images], dtype=object))


@pytest.mark.parametrize("blocks", [1, 7, 512])
def test_blocks_do_not_matter(rng, monkeypatch, blocks):
    monkeypatch.setattr(recall, "_QUERY_ROWS", blocks)
    check(*sides(rng), np.arange(300))


def test_ties_count_against_the_query_and_what_lies_just_under_does_not(rng):
    """Copies of texts, some moved by more and some by less than a tie."""
    image, text = sides(rng)
    text[100:200] = text[:100] * 3
    text[200:] = text[:100] + rng.normal(size=(100, 24)) * np.geomspace(1e-8, 1e-4, 100)[:, None]
    check(image, text, np.arange(300))


def test_rows_without_direction_and_features_that_are_gone(rng):
    image, text = sides(rng)
    image[:, :10] = text[:, 5:15] = 0
    image[:40] = text[20:60] = 0
    check(image, text, np.arange(300))


def test_embeddings_that_have_collapsed(rng):
    image, text = sides(rng)
    check(image * 1e-7 + 1, text * 1e-7 + 1, np.arange(300))
    check(np.ones_like(image), np.ones_like(text), np.arange(300))
    check(image * 0, text, np.arange(300))


def test_sparse_codes_are_exact(rng):
    image, text = (np.maximum(side - 1, 0) for side in sides(rng))
    for make in (np.asarray, sp.csr_array):
        found = Recall.of(np.arange(300), None).measure(
            normalize_rows(make(image))[0], normalize_rows(make(text))[0]
        )
        plain = measure_retrieval(image, text, image_ids=np.arange(300))
        assert found == (plain.image_to_text, plain.text_to_image)


def test_single_precision_is_left_where_it_cannot_tell(rng, monkeypatch):
    """Nothing is computed in double but the few cosines near those to reach."""
    image, text = sides(rng)
    computed: list[int] = []
    products = recall.products

    def counted(first, second):
        computed.append(len(first))
        return products(first, second)

    monkeypatch.setattr(recall, "products", counted)
    check(image, text, np.arange(300))
    assert 300 <= sum(computed) < 3_000
