"""The commands that are tortured, in the order of a run, and what they start from."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.clip import save_clip

PAIRS = 90
_RECIPE = """
name: tortured
inputs: {{pairs: "csv:{source}/pairs.csv", model: {source}/clip}}
steps:
  embed: {{do: embed, run: main, pairs: $pairs, vlm: $model, rows_per_shard: 8, batch_size: 4}}
  score: {{do: score, run: main, after: [embed], split: held-out, resamples: 50}}
  sae:
    {{do: train, run: main, after: [score], learner: sae, n_features: 32, k: 4, steps: 600, batch_size: 32,
      split: train}}
  stability: {{do: study, run: main, after: [sae], study: stability}}
"""
_CATEGORIES = ("red", "green", "blue")


def prepare(folder: Path) -> None:
    """Pictures with captions in a table, a tiny model to embed them with, and a recipe.

    One picture is broken and one caption is missing, so that something is skipped.
    """
    rng = np.random.default_rng(0)
    rows = []
    for number in range(PAIRS):
        kind = number % 3
        pixels = rng.integers(0, 160, (32, 32, 3), dtype=np.uint8)
        pixels[..., kind] += 90
        Image.fromarray(pixels).save(folder / f"{number}.png")
        words = "".join(rng.choice(list("abcdefgh"), 6))
        split = "train" if number % 2 else "held-out"
        caption = f"cat {_CATEGORIES[kind]} {words}" if number != 40 else ""
        rows.append((f"p{number}", f"{number}.png", caption, split, _CATEGORIES[kind]))
    (folder / "20.png").write_bytes((folder / "20.png").read_bytes()[:300])
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "image", "caption", "split", "category"), *rows])
    save_clip(folder / "clip")
    (folder / "recipe.yaml").write_text(_RECIPE.format(source=folder))


def commands(source: Path, steps: int = 1100) -> dict[str, list[object]]:
    """Words of each command, to be run in this order in one folder; ``source`` is a prepared folder.

    Training makes a checkpoint every 500 steps.
    """
    model = source / "clip"
    training = ("--split", "train", "--batch-size", 32)
    return {
        "embed": [
            *("embed", f"csv:{source / 'pairs.csv'}", "--vlm", model, "--out", "run/embeddings"),
            *("--rows-per-shard", 8, "--batch-size", 4),
        ],
        "train sae": [
            *("train", "sae", "run", "--n-features", 32, "--k", 4, "--steps", steps),
            *("--out", "run/features/sae", *training),
        ],
        "train ncl": [
            *("train", "ncl", "run", "--n-features", 16, "--steps", steps),
            *("--out", "run/features/ncl", *training),
        ],
        "score": ["score", "run", "--split", "held-out", "--resamples", 50],
        "interpret": [
            *("interpret", "run", "--image-embedder", f"vlm:{model}", "--text-embedder", f"vlm:{model}"),
            *("--m", 5, "--draws", 2, "--shuffles", 100),
        ],
        "study removal": ["study", "removal", "run", "--draws", 20],
        "study stability": ["study", "stability", "run"],
        "report": ["report", "run"],
        "run": ["run", source / "recipe.yaml", "--out", "recipe"],
    }
