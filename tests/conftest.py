import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from tests.clip import save_clip

# How long an example takes says how busy the machine is.
settings.register_profile("modalens", deadline=None)
settings.load_profile("modalens")

REFERENCE = Path(
    os.environ.get("MODALENS_REFERENCE", Path(__file__).resolve().parents[2] / "shared" / "reference")
)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no GPU on this machine")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def clip_features() -> np.ndarray:
    """Real CLIP ViT-B/16 features of 500 image-caption pairs, shape (2, 500, 512), images first."""
    path = REFERENCE / "mind_the_gap" / "features_clip.npy"
    if not path.exists():
        pytest.skip("the reference features are not on this machine")
    return np.load(path)


@pytest.fixture
def flickr_features() -> np.ndarray:
    """Real CLIP ViT-B/32 features of 2,000 pairs, shape (2, 2000, 512), images first: test, then validation split."""
    path = REFERENCE / "clip_b32_flickr8k" / "flickr8k_openai_vit_b32_2x2000x512.npy"
    if not path.exists():
        pytest.skip("the reference features are not on this machine")
    return np.load(path)


@pytest.fixture
def flickr() -> Path:
    """600 real photos with 5 captions each: a folder with captions.csv and images/."""
    path = REFERENCE / "flickr8k_600"
    if not path.exists():
        pytest.skip("the reference photos are not on this machine")
    return path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that this test makes have no figures."""
    from tests.figures import leave_out_figures

    leave_out_figures(monkeypatch)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def photos() -> list[Image.Image]:
    """RGB images of several shapes, three pixels high and wide among them."""
    rng = np.random.default_rng(0)
    sizes = [(40, 30), (30, 50), (64, 64), (3, 20), (20, 3), (1, 1), (32, 32)]
    return [
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes
    ]


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a new interpreter, with further environment variables."""

    def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
