"""The commands that are tortured, in the order of a run, and what they start from."""

import csv
import json
import os
import signal
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from modalens.explore.config import ExploreConfig
from modalens.features import TrainConfig
from modalens.runs.interpretation import InterpretConfig
from tests.clip import save_clip
from tests.diffusion import save_stable_diffusion

PAIRS = 90
_WIDTH, _FOREIGN = 24, 16
_RECIPE = """
name: tortured
inputs: {{pairs: "csv:{source}/pairs.csv", model: {source}/clip}}
steps:
  embed: {{do: embed, run: main, pairs: $pairs, vlm: $model, rows_per_shard: 8, batch_size: 4}}
  score: {{do: score, run: main, after: [embed], split: held-out, resamples: 50}}
  sae:
    {{do: train, run: main, after: [score], learner: sae, n_features: 32, k: 4, steps: 200, batch_size: 32,
      checkpoint_every: 80, split: train}}
  stability: {{do: study, run: main, after: [sae], study: stability}}
"""
_CATEGORIES = ("red", "green", "blue")
_GENDERS = ("man", "woman")


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
        gender = _GENDERS[number // 3 % 2]
        rows.append((f"p{number}", f"{number}.png", caption, split, _CATEGORIES[kind], gender))
    (folder / "20.png").write_bytes((folder / "20.png").read_bytes()[:300])
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "image", "caption", "split", "category", "gender"), *rows])
    # Pictures large enough for the requests that the adversarial study writes into them.
    save_clip(folder / "clip", side=112)
    (folder / "recipe.yaml").write_text(_RECIPE.format(source=folder))


def prepare_uses(folder: Path) -> None:
    """What :func:`uses` needs beside that: a tiny Stable Diffusion, and the answers of two raters."""
    save_stable_diffusion(folder / "diffusion", folder / "clip")
    _save_foreign(folder / "foreign")
    rng = np.random.default_rng(0)
    choices = ("image", "text", "both", "neither")
    for rater in ("ann", "bob"):
        answers = {str(item): str(rng.choice(choices)) for item in range(20)}
        sheet = {"kind": "modalens answers", "schema_version": 1, "rater": rater, "page": "page"}
        (folder / f"{rater}.json").write_text(json.dumps({**sheet, "choices": choices, "answers": answers}))


def _save_foreign(folder: Path) -> None:
    """A dictionary as sparsify saves one, of embeddings of the tiny model."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    encoder, decoder = rng.standard_normal((2, _FOREIGN, _WIDTH)).astype(np.float32)
    state = {"encoder.weight": encoder, "encoder.bias": np.zeros(_FOREIGN, np.float32)}
    state |= {"W_dec": decoder, "b_dec": np.zeros(_WIDTH, np.float32)}
    save_file(state, folder / "sae.safetensors")
    config = {"activation": "topk", "num_latents": _FOREIGN, "k": 4, "d_in": _WIDTH, "transcode": False}
    (folder / "cfg.json").write_text(json.dumps(config))


# Few steps, since a kill is as good among them, and a checkpoint every third of them.
_TRAINING = (
    *("--split", "train", "--batch-size", 32),
    *("--steps", 320, "--checkpoint-every", 100, "--log-every", 80),
)


def commands(source: Path) -> dict[str, list[object]]:
    """Words of each command, to be run in this order in one folder; ``source`` is a prepared folder."""
    model = source / "clip"
    return {
        "embed": [
            *("embed", f"csv:{source / 'pairs.csv'}", "--vlm", model, "--out", "run/embeddings"),
            *("--rows-per-shard", 8, "--batch-size", 4),
        ],
        "train sae": [
            *("train", "sae", "run", "--n-features", 32, "--k", 4),
            *("--out", "run/features/sae", *_TRAINING),
        ],
        "train ncl": [
            *("train", "ncl", "run", "--n-features", 16),
            *("--out", "run/features/ncl", *_TRAINING),
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


def uses(source: Path) -> dict[str, list[object]]:
    """The other commands that write, to be run after all of :func:`commands`."""
    model = source / "clip"
    return {
        "study gender": ["study", "gender", "run", "--draws", 20],
        "study adversarial": [
            *("study", "adversarial", "run", "--features", "raw", "--images", 1, "--runs", 2, "--tries", 2),
            *("--attack-steps", 10, "--defence-steps", 5),
        ],
        "study text-to-image": [
            *("study", "text-to-image", "run", "--features", "raw", "--generator", source / "diffusion"),
            *("--prompt", "a cat", "--reference", source / "1.png", "--judge", f"vlm:{model}"),
            *("--strengths", 0, "--strengths", 1, "--seeds", 1, "--draws", 2),
        ],
        "study close-gap": ["study", "close-gap", "run", "--draws", 5, "--folds", 2],
        "annotate": ["annotate", "run", "--features", "sae", "--max-features", 5, "--top", 4],
        "annotate another": [
            *("annotate", "run", "--features", "sae", "--max-features", 4, "--top", 4, "--seed", 1)
        ],
        "agreement": ["agreement", source / "ann.json", source / "bob.json", "--out", "agreement"],
        "report studies": ["report", "run", "--out", "report"],
    }


def more_features(source: Path) -> dict[str, list[object]]:
    """Commands that add, name, explain, compare, export and explore features, to be run after all of :func:`uses`."""
    sae = ("--features", "sae")
    sweep = (
        "--n",
        "8,16",
        "--k",
        4,
        "--seeds",
        2,
        "--steps",
        60,
        "--batch-size",
        32,
        "--checkpoint-every",
        20,
    )
    return {
        "study top-m": ["study", "top-m", "run", "--m", "3,5"],
        "study class-properties": ["study", "class-properties", "run", *sae, "--draws", 100],
        "name": ["name", "run", *sae, "--shuffles", 20],
        "explain": ["explain", "run", *sae, "--text", "cat red", "--picture", "explained.png"],
        "train baselines": [
            "train",
            "baselines",
            "run",
            "--like",
            "sae",
            "--kind",
            "frozen_decoder",
            "--kind",
            "pca",
        ],
        "train sweep": ["train", "sweep", "run", *sweep],
        "compare": ["compare", "run", "recipe/main", "--out", "compared", "--latex"],
        "export": ["export", "run", *sae, "--to", "parquet", "--out", "exported"],
        "explore": ["explore", "run", "--port", 0, "--no-browser"],
        "study known-gap": ["study", "known-gap", "run"],
        "score foreign": ["score", "run", "--features", source / "foreign", "--name", "theirs"],
    }


def slow_commands(source: Path) -> dict[str, list[object]]:
    """Commands that start processes, which takes them seconds; to be run after all of :func:`commands`."""
    embed = commands(source)["embed"][:-5]
    small = ("--rows-per-shard", 16, "--batch-size", 4)
    return {
        "embed --workers": [*embed, "workers/embeddings", *small, "--workers", 2],
        "score --workers": ["score", "workers/embeddings", "--out", "workers/scores", "--workers", 2],
        "embed --engine ray": [*embed, "ray/embeddings", *small, "--workers", 2, "--engine", "ray"],
        "torchrun train": [
            *("torchrun", "--nproc-per-node", 2, "--no-python", "modalens", "train", "sae", "run"),
            *("--n-features", 32, "--k", 4, "--out", "run/features/distributed", *_TRAINING),
        ],
        "demo": ["demo", "--out", "demo"],
    }


def shorten_demo() -> None:
    """Let the demo take few emoji, few steps and few draws."""
    from modalens.demo import run

    brief = {"batch_size": 64, "log_every": 20, "checkpoint_every": 20, "evaluation_pairs": 50}
    plan = run.DemoPlan(
        sae=TrainConfig(steps=60, **brief),
        ncl=TrainConfig(steps=40, **brief),
        interpretation=InterpretConfig(draws=2, shuffles=100),
        studies=("stability",),
        names=False,  # so few emoji share no words
        pairs=300,
    )
    run_demo = run.run_demo
    run.run_demo = lambda out, _: run_demo(out, plan)


def ask_explorer() -> None:
    """Let the explorer be asked for all that it keeps (indexes, maps, ratings, an edit), and be told to end."""
    from modalens.explore import server

    serve = server.serve

    def asked(runs: Sequence[Path], config: ExploreConfig, *, ready: Callable[[str], None]) -> None:
        failed: list[BaseException] = []

        def walk(address: str) -> None:
            ready(address)
            try:
                _walk(address, Path(runs[0]))
            except Exception as error:
                failed.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        serve(runs, config, ready=walk)
        if failed:
            raise failed[0]

    server.serve = asked


def _walk(address: str, run: Path) -> None:
    where = urlsplit(address)
    token = parse_qs(where.query)["token"][0]

    def ask(path: str, values: dict[str, object] | None = None) -> dict:
        connection = HTTPConnection(where.netloc, timeout=120)
        body = None if values is None else json.dumps(values)
        method = "GET" if values is None else "POST"
        connection.request(method, f"/api/{run.name}/sae/{path}", body, {"x-modalens-token": token})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {data.decode()}")
        return json.loads(data)

    features = [row["feature"] for row in ask("features")["features"]]
    for of in ("features", "pairs"):
        ask(f"map/{of}")
    for feature, answer in zip(features, ("image", "both", "text"), strict=False):
        ask(f"features/{feature}/rating", {"answer": answer, "rater": "Ada"})
    if not (run / "edits" / "edit-1.safetensors").exists():
        ask("edits", {"features": features[:2], "gain": 0, "side": "text"})
