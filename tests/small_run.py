"""A small run that can be interpreted: pictures and captions on disk, learned features, a twin beside it."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modalens.features import NCLConfig, SAEConfig, TrainConfig
from modalens.pairs import load_pairs
from modalens.runs import ScoreConfig, embed
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.layout import RunFolder
from modalens.runs.learning import train_on
from modalens.runs.representations import representations
from modalens.runs.scoring import score_into
from tests.fakes import FakeVLM

COLOURS = 60
SCRIPT = "<script>alert(1)</script>"
CONFIG = InterpretConfig(m=5, draws=2, shuffles=100)
SCORING = ScoreConfig(split="held-out", resamples=10)
TRAINING = TrainConfig(steps=20, batch_size=16, log_every=10, checkpoint_every=10)


class Embedder:
    """Mean colour of an image, counts of letters of a text, never all zeros; remembers what it was shown."""

    name, dim = "fake h", 3

    def __init__(self, modality: str, name: str = "fake h") -> None:
        self.modality, self.name = modality, name
        self.seen: list[Any] = []

    def embed(self, samples: Sequence[Any]) -> np.ndarray:
        self.seen += samples
        if self.modality == "text":
            return np.array([[1 + text.count(letter) for letter in "rgb"] for text in samples], np.float32)
        return np.stack([1 + np.asarray(image, np.float32).mean((0, 1)) for image in samples])

    def card(self) -> dict[str, Any]:
        return {"model": self.name, "size": (8, 8)}


def colour(number: int) -> tuple[int, int, int]:
    red, green, blue = np.random.default_rng(number).integers(0, 256, 3).tolist()
    return red, green, blue


def caption(number: int) -> str:
    red, green, blue = (level // 30 for level in colour(number))
    return (
        f"picture {number}: {'r' * red} {'g' * green} {'b' * blue} tea {'aeiou'[number % 5] * (number % 7)}"
    )


def make_table(folder: Path) -> Path:
    """A CSV of pictures in one colour each, two thirds of them held out.

    Picture 0 has a second caption, picture 3 a copy under another name, and the caption of picture 6 is a script.
    """
    rows = []
    for number in range(COLOURS):
        split = "train" if number % 3 == 1 else "held-out"
        Image.new("RGB", (8, 8), colour(number)).save(folder / f"{number}.png")
        rows.append((f"p{number}", f"{number}.png", caption(number) if number != 6 else SCRIPT, split))
    Image.new("RGB", (8, 8), colour(3)).save(folder / "copy.png")
    rows.append(("again", "0.png", "another caption of picture 0", "held-out"))
    rows.append(("copy", "copy.png", "a caption of the copy of picture 3", "held-out"))
    table = folder / "pairs.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "image", "caption", "split"), *rows])
    return table


def loader(models: list[Embedder]) -> Callable[[str, str], Embedder]:
    """What to put in the place of ``load_sample_embedder``; adds each model it gives to the list."""

    def load(name: str, modality: str) -> Embedder:
        models.append(Embedder(modality, name))
        return models[-1]

    return load


def make_run(folder: Path, table: Path) -> RunFolder:
    """Embeddings, an autoencoder and a projector on them, and an untrained twin with an autoencoder; all scored."""
    run = RunFolder(folder)
    for each, revision in ((run, "1"), (run.baseline("untrained"), "random")):
        vlm = FakeVLM(revision=revision)
        if revision == "random":
            vlm.weights = vlm.weights[::-1].copy()
        store = embed(load_pairs(f"csv:{table}"), vlm, each.embeddings)
        learn(each, "sae", SAEConfig(vlm.dim, n_features=16, k=2))
        if each is run:
            learn(run, "ncl", NCLConfig(vlm.dim, n_features=8))
        score_into(each.scores, store, SCORING)
        representations(each)
    return run


def learn(run: RunFolder, name: str, config: SAEConfig | NCLConfig) -> None:
    train_on(config, run.store(), TRAINING, run.learned(name).folder, split="train")
