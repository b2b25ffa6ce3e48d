import numpy as np
import pytest
import scipy.sparse as sp

from modalens.dominance.retrieval import Retrieval, _ranks, measure_retrieval
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


def plain_ranks(queries, keys, right):
    """Ranks and ties from all cosines in double precision."""
    similar = queries @ keys.T
    best = np.where(right, similar, -np.inf).max(axis=1, keepdims=True)
    similar = np.where(right, -np.inf, similar)
    return 1 + (similar >= best - 1e-6).sum(axis=1), int((abs(similar - best) < 1e-6).any(axis=1).sum())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("spread", [1.0, 1e-4])
@pytest.mark.parametrize("cores", ["1", "3"])
def test_ranks_are_those_of_double_precision(sparse, spread, cores, rng, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    owner = np.sort(rng.integers(0, 1_100, 2_000))
    owner = np.unique(owner, return_inverse=True)[1]
    n = owner.max() + 1
    images, texts = (rng.normal(size=(rows, 40)) for rows in (n, 2_000))
    if sparse:
        images, texts = (
            side * (rng.random(side.shape) < 0.2) + np.eye(40)[np.arange(len(side)) % 40]
            for side in (images, texts)
        )
    else:  # with a small spread cosines are nearer each other than single precision tells
        images, texts = (3.0 + spread * side for side in (images, texts))
    texts += 0.3 * spread * images[owner] * (texts != 0)
    texts[1_000:1_100] = texts[100:200]  # exact ties
    images, texts = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (images, texts))
    right = np.arange(n)[:, None] == owner
    kind = sp.csr_array if sparse else np.asarray
    of_images, of_texts, ties = _ranks(kind(images), kind(texts), owner)
    expected, tied = plain_ranks(images, texts, right)
    expected_texts, tied_texts = plain_ranks(texts, images, right.T)
    np.testing.assert_array_equal(of_images, expected)
    np.testing.assert_array_equal(of_texts, expected_texts)
    assert ties == tied + tied_texts
    assert ties > 50


def test_sparse_codes_give_what_the_same_matrices_give_dense(rng):
    images, texts = rng.exponential(size=(2, 300, 50)) * (rng.random((2, 300, 50)) < 0.2)
    dense = measure_retrieval(images, texts)
    for other in (
        measure_retrieval(sp.csr_array(images), sp.csr_array(texts)),
        measure_retrieval(sp.csr_array(images), texts),
    ):
        assert other == dense


def test_labels_must_fit():
    with pytest.raises(ModalensError, match="3 entries for 4 pairs"):
        measure_retrieval(np.ones((4, 2)), np.ones((4, 2)), image_ids=[1, 2, 3])
