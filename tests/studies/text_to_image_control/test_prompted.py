import numpy as np
import pytest
import scipy.sparse as sp
from PIL import Image

from modalens.errors import ModalensError
from modalens.studies.text_to_image_control.prompted import Edit, PromptedEmbedding
from modalens.studies.text_to_image_control.retrieval import RetrievalGenerator
from modalens.towers import load_vlm
from tests.studies.text_to_image_control.planted import F, PlantedGenerator, PlantedVLM


class Doubling:
    """Features learned on embeddings: each feature's positive and negative part; some of the embedding is lost."""

    def encode(self, x, modality=None):
        x = np.asarray(x)[:, :50]
        return sp.csr_array(np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=1))

    def decode(self, codes, modality=None):
        dense = codes.toarray()
        decoded = dense[:, :50] - dense[:, 50:]
        return np.pad(decoded, ((0, 0), (0, F - 50)))


def test_edits_move_the_chosen_features_alone(prompted, rng):
    reference = rng.standard_normal(F).astype(np.float32)
    start = prompted.vlm.embed_texts(["an animal"])[0]
    moved = prompted.edited(Edit(reference, np.array([3, 7]), 0.25))
    expected = start.copy()
    for feature in (3, 7):
        expected[feature] = 0.75 * start[feature] + 0.25 * reference[feature]
    np.testing.assert_allclose(moved, expected, rtol=1e-6)
    for indices, strength in ((np.arange(F), 0.0), (np.arange(0), 0.9)):
        assert prompted.edited(Edit(reference, indices, strength)).tobytes() == start.tobytes()
    with pytest.raises(ModalensError, match="no feature 60"):
        prompted.draw([Edit(reference, np.array([60]), 0.5)])
    assert prompted.draw([]) == []


def test_edits_of_learned_features_keep_what_these_do_not_hold(rng):
    prompted = PromptedEmbedding(PlantedGenerator(), PlantedVLM(), "an animal", space=Doubling())
    assert prompted.n_features == 100
    reference = rng.standard_normal(F).astype(np.float32)
    start = prompted.vlm.embed_texts(["an animal"])[0]
    assert prompted.edited(Edit(reference, np.arange(100), 0.0)).tobytes() == start.tobytes()
    moved = prompted.edited(Edit(reference, np.arange(100), 1.0))
    np.testing.assert_allclose(moved[:50], reference[:50], atol=1e-6)
    assert (moved[50:] == start[50:]).all()
    half = prompted.edited(Edit(reference, np.array([0, 50]), 0.5))
    assert half[0] == pytest.approx((start[0] + reference[0]) / 2)
    assert (half[1:] == start[1:]).all()


def test_generator_and_encoder_must_fit(tiny_clip):
    with pytest.raises(ModalensError, match=r"60 features and .* gives 24"):
        PromptedEmbedding(PlantedGenerator(), load_vlm(str(tiny_clip)), "a cat")


def test_prompts_must_fit_the_text_tower(tiny_clip):
    vlm = load_vlm(str(tiny_clip))
    generator = RetrievalGenerator.from_pictures(np.eye(24), [Image.new("RGB", (8, 8))] * 24)
    assert PromptedEmbedding(generator, vlm, "cat cat").n_features == 24
    with pytest.raises(ModalensError, match="20 words, as many as"):
        PromptedEmbedding(generator, vlm, " ".join(["cat"] * 20))
    with pytest.raises(ModalensError, match="blank"):
        PromptedEmbedding(generator, vlm, " ")
