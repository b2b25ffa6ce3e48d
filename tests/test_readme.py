"""README is true: its commands parse, and run on stand-ins with its Python."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalens.cli.app import app
from modalens.recipes.stand_ins import with_stand_ins

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What no machine without a network, a server or a large model can do; these commands are parsed alone.
BEYOND = ("llava-hf/", "http://", "touchtech/", "sd2-community/", "laion/", "beyond_cross_modal.yaml")
# Settings that keep the stand-ins quick.
QUICK = {
    "train sae": ("--steps", "20", "--batch-size", "32"),
    "train sweep": ("--steps", "20", "--batch-size", "32", "--n", "64", "--k", "4,8", "--seeds", "2"),
    "interpret": ("--image-embedder", "own", "--text-embedder", "own", "--m", "5", "--shuffles", "100"),
}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def _commands() -> list[list[str]]:
    lines = "\n".join(_blocks("sh")).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words[:1] == ["modalens"]]


def _parse(command: Any, words: list[str], parent: Any = None) -> None:
    """Parse a command as the command line would, without doing it."""
    context = command.make_context(command.name, list(words), parent=parent)
    if hasattr(context.command, "resolve_command"):
        _, found, rest = context.command.resolve_command(context, list(words))
        _parse(found, rest, context)


def test_every_command_parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = _commands()
    assert len(commands) > 15
    for words in commands:
        _parse(app, words)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the README's names stand for small things: a table, a model's folder, embeddings."""
    (tmp_path / "openai").mkdir()
    Path(with_stand_ins("stand-in:clip1", tmp_path)).rename(tmp_path / "openai/clip-vit-base-patch32")
    with_stand_ins("stand-in:pairs", tmp_path)
    (tmp_path / "pairs").rename(tmp_path / "photos")
    (tmp_path / "photos/pairs.csv").rename(tmp_path / "photos/captions.csv")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "features.npy", rng.normal(size=(2, 40, 8)).astype(np.float32))
    for side in ("img_emb", "text_emb"):
        (tmp_path / "my-embeddings" / side).mkdir(parents=True)
        np.save(tmp_path / f"my-embeddings/{side}/{side}_0.npy", rng.normal(size=(40, 8)).astype(np.float32))
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_commands_run(place: Path) -> None:
    for words in _commands():
        if any(word in " ".join(words) for word in BEYOND):
            continue
        quick = next((more for name, more in QUICK.items() if " ".join(words).startswith(name)), ())
        app([*words, *quick], standalone_mode=False)
    assert (place / "runs/photos/report/report.html").is_file()
    assert (place / "runs/own_data-smoke").is_dir()


@pytest.mark.slow
def test_python_runs(place: Path) -> None:
    names: dict[str, Any] = {}
    for block in _blocks("python"):
        exec(compile(block.replace("k=8, seed=0", "k=8, seed=0, steps=20"), "README.md", "exec"), names)
    assert names["codes"].image.shape == (96, 512)
