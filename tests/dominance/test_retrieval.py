import numpy as np
import pytest

from modalens.dominance.retrieval import Retrieval, measure_retrieval
from modalens.errors import ModalensError
from modalens.statistics.intervals import share_interval


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
        _, low, high = result.text_to_image[k]
        assert 0 <= low <= result.text_to_image[k][0] <= high <= 1
    assert result.n == 30
    assert result.chance == {1: 1 / 30, 5: 5 / 30, 10: 10 / 30}
    assert Retrieval.from_dict(result.to_dict()) == result


def test_constant_embeddings_win_nothing():
    result = measure_retrieval(np.ones((50, 4)), np.ones((50, 4)))
    assert result.image_to_text[10][0] == 0


def test_whole_images_are_drawn_from_many_pairs(rng):
    owner = np.repeat(np.arange(100), 5)
    images = rng.standard_normal((100, 16))[owner]
    texts = images + 0.8 * rng.standard_normal((500, 16))
    whole = measure_retrieval(images, texts, image_ids=owner)
    result = measure_retrieval(images, texts, image_ids=owner, max_pairs=203, seed=3)
    assert (result.n, result.texts) == (40, 200)
    assert result == measure_retrieval(images, texts, image_ids=owner, max_pairs=203, seed=3)
    assert result.image_to_text[1][0] > whole.image_to_text[1][0], "fewer candidates are easier"
    assert measure_retrieval(images, texts, image_ids=owner, max_pairs=2).texts == 5


def test_equal_rows_are_one_image(rng):
    owner = np.repeat(np.arange(60), 5)
    images = rng.standard_normal((60, 8)).astype(np.float32)[owner]
    texts = images + rng.standard_normal((300, 8)).astype(np.float32)
    told = measure_retrieval(images, texts, image_ids=owner)
    assert measure_retrieval(images, texts) == told
    assert (told.n, told.texts) == (60, 300)
    assert measure_retrieval(images, texts, groups=owner) == told


def test_ties_count_against_the_query_and_are_told(rng):
    images = rng.standard_normal((40, 8))
    texts = images.copy()
    texts[1] = texts[0]
    texts[5] = texts[4] * (1 + 1e-9) + 1e-9  # equal but for rounding
    result = measure_retrieval(images, texts)
    assert result.ties == 4  # images 0, 1, 4 and 5
    assert result.image_to_text[1][0] == 36 / 40
    assert result.text_to_image[1][0] == 38 / 40


def test_intervals_are_those_of_groups(rng):
    owner = np.repeat(np.arange(40), 5)
    images = rng.standard_normal((40, 8))
    texts = np.repeat(images + rng.standard_normal((40, 8)), 5, axis=0)  # the captions of an image fare alike
    texts += 0.01 * rng.standard_normal(texts.shape)
    apart = share_interval(np.repeat(np.arange(40) < 20, 5))
    value, low, high = measure_retrieval(images[owner], texts, image_ids=owner).text_to_image[1]
    assert high - low > 1.7 * (apart.high - apart.low)
    concepts = owner // 4
    wider = measure_retrieval(images[owner], texts, image_ids=owner, groups=concepts).text_to_image[1]
    assert wider[0] == value
    assert wider != (value, low, high)


def test_labels_must_fit():
    with pytest.raises(ModalensError, match="3 entries for 4 pairs"):
        measure_retrieval(np.ones((4, 2)), np.ones((4, 2)), image_ids=[1, 2, 3])
