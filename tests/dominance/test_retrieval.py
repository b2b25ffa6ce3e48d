import numpy as np
import pytest

from modalens.dominance.retrieval import Retrieval, measure_retrieval
from modalens.errors import ModalensError


def naive_recall(queries, keys, right, k):
    hits = 0
    for i, query in enumerate(queries):
        cosines = [q @ query / np.linalg.norm(q) for q in keys]
        best = max(c for j, c in enumerate(cosines) if right[i][j])
        hits += sum(c >= best for j, c in enumerate(cosines) if not right[i][j]) < k
    return hits / len(queries)


def test_equals_a_plain_loop_with_shared_images(rng):
    images = rng.standard_normal((30, 8))
    owner = np.repeat(np.arange(30), 2)
    text = images[owner] + 1.5 * rng.standard_normal((60, 8))
    result = measure_retrieval(images[owner], text, image_ids=[f"i{o}" for o in owner])
    right = [[owner[j] == i for j in range(60)] for i in range(30)]
    for k in (1, 5, 10):
        assert result.image_to_text[k][0] == naive_recall(images, text, right, k)
        assert result.text_to_image[k][0] == naive_recall(text, images, np.transpose(right), k)
        low, high = result.text_to_image[k][1:]
        assert 0 <= low <= result.text_to_image[k][0] <= high <= 1
    assert result.n == 30
    assert result.chance == {1: 1 / 30, 5: 5 / 30, 10: 10 / 30}
    assert Retrieval.from_dict(result.to_dict()) == result


def test_constant_embeddings_win_nothing():
    result = measure_retrieval(np.ones((50, 4)), np.ones((50, 4)))
    assert result.image_to_text[10][0] == 0


def test_a_sample_is_drawn_from_many_pairs(rng):
    x = rng.standard_normal((300, 16))
    result = measure_retrieval(x, x, max_pairs=40, seed=3)
    assert result.n == 40
    assert result.image_to_text[1][0] == 1


def test_labels_must_fit():
    with pytest.raises(ModalensError, match="3 entries for 4 pairs"):
        measure_retrieval(np.ones((4, 2)), np.ones((4, 2)), image_ids=[1, 2, 3])
