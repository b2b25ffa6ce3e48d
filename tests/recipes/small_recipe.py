"""A recipe of four steps on stand-ins, and one that sweeps."""

import json
from pathlib import Path

import yaml

from modalens.recipes.execute import run_recipe
from modalens.recipes.recipe import load_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


SMALL = {
    "name": "Small",
    "inputs": {"pairs": "csv:nowhere.csv", "model": "none"},
    "steps": {
        "embed": {"do": "embed", "run": "a", "pairs": "$pairs", "vlm": "$model", "batch_size": 16},
        "score": {"do": "score", "run": "a", "after": ["embed"], "resamples": 10},
        "sae": {
            "do": "train",
            "run": "a",
            "after": ["score"],
            "learner": "sae",
            "name": "sae",
            "n_features": 32,
            "k": 4,
            "steps": 8,
        },
        "again": {"do": "score", "run": "a", "after": ["embed"], "rule": "mu_sigma", "resamples": 10},
    },
    "smoke": {
        "inputs": {"pairs": "stand-in:pairs", "model": "stand-in:clip1"},
        "settings": {"sae": {"batch_size": 16}},
    },
}


def write(folder: Path, **changes: object) -> Path:
    """The small recipe with some parts or steps replaced."""
    document = json.loads(json.dumps(SMALL))
    for name, value in changes.items():
        (document["steps"] if name in document["steps"] else document)[name] = value
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def did(path: Path, out: Path) -> list[str]:
    """Names of the steps that were done now."""
    return [
        each.step.name for each in run_recipe(load_recipe(path, smoke=True), out) if each.seconds is not None
    ]


SWEPT = {
    "sweep": {"do": "sweep", "run": "a", "after": ["score"], "n": [16, 32], "k": [4], "seeds": 2, "steps": 6},
    "sae": {"do": "train", "run": "a", "after": ["sweep"], "learner": "sae", "recommended": True, "steps": 6},
    "baselines": {"do": "baselines", "run": "a", "after": ["sae"], "kind": ["pca", "soft_frozen"]},
}


def swept(folder: Path, **changes: object) -> Path:
    """A recipe with a sweep, features of the size that it recommends, and their baselines."""
    steps = {name: SMALL["steps"][name] for name in ("embed", "score")} | SWEPT
    return write(folder, steps=steps | changes, smoke={"inputs": SMALL["smoke"]["inputs"]})
