import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.studies.text_to_image_control.prompted import PromptedEmbedding
from modalens.studies.text_to_image_control.stable_diffusion import load_stable_diffusion
from modalens.towers import load_vlm
from tests.diffusion import save_stable_diffusion, save_unclip
from tests.studies.text_to_image_control.planted import F, PlantedGenerator, PlantedVLM, draw_planted


@pytest.fixture(scope="module")
def references():
    rng = np.random.default_rng(5)
    return [draw_planted(rng.uniform(0, 1, 4), rng.uniform(0, 1, 3)) for _ in range(8)]


@pytest.fixture(scope="module")
def planted_features():
    """The first 20 features are the image's, the next the text's, the rest both's."""
    rng = np.random.default_rng(0)
    image, text = rng.uniform(0.5, 1, (2, 200, F))
    image[:, 20:40] *= 0.1
    text[:, :20] *= 0.1
    return image, text


@pytest.fixture(scope="module")
def planted_mds(planted_features):
    return modality_dominance(*planted_features, rule="twofold", resamples=0)


@pytest.fixture
def prompted():
    return PromptedEmbedding(PlantedGenerator(), PlantedVLM(), "an animal")


@pytest.fixture(scope="module")
def tiny_diffusion(tmp_path_factory, tiny_clip):
    return save_stable_diffusion(tmp_path_factory.mktemp("diffusion"), tiny_clip)


@pytest.fixture(scope="module")
def tiny_unclip(tmp_path_factory, tiny_clip):
    return save_unclip(tmp_path_factory.mktemp("unclip"), tiny_clip)


@pytest.fixture(scope="module")
def clip(tiny_clip):
    return load_vlm(str(tiny_clip))


@pytest.fixture(scope="module")
def diffusion(tiny_diffusion, clip):
    return load_stable_diffusion(str(tiny_diffusion), vlm=clip, prompt="a cat", space="token", steps=2)
