"""Readers of recipes, and of annotation keys and answers."""

import json
from pathlib import Path
from random import Random
from typing import Any

from modalens.recipes.recipe import load_recipe
from modalens.studies.rater_agreement.study import agreement
from tests.fuzz.target import Target

_RECIPE = """\
name: Small
about: >
  What it is for.
needs: {hours: 1, disk_gb: 2.5}
inputs: {pairs: "csv:photos/captions.csv", model: some/clip}
steps:
  embed: {do: embed, run: a, pairs: $pairs, vlm: $model, batch_size: 16, device: cpu}
  score: {do: score, run: a, after: [embed], rule: mu_sigma, resamples: 10}
  sae: &sae {do: train, run: a, after: [score], learner: sae, name: sae, n_features: 32, k: 4, lr: 1e-3, steps: 8}
  again: {<<: *sae, name: again, split: train, tracker: [tensorboard]}
  gender: {do: study, run: a, after: [sae], study: gender, features: sae, baselines: false}
  compare: {do: compare, run: a, after: [gender], declip: a}
smoke:
  inputs: {pairs: "stand-in:pairs", model: "stand-in:clip1"}
  settings: {sae: {batch_size: 16}, score: {resamples: 5}}
"""
_PIECES = (
    b"&a ", b"*a", b"*sae", b"<<: *sae\n", b"!!int ", b"!!python/name:os.system ", b"- ", b"? ", b": ", b"|\n", b">\n",
    b"---\n", b"...\n", b"%YAML 1.2\n", b"\t", b"  ", b"{", b"}", b"[", b"]", b"~", b".inf", b".nan", b"0x", b"'", b"#",
)  # fmt: skip


def _piece(data: bytes, random: Random) -> bytes:
    """What means something in YAML, where it did not stand."""
    place = random.randint(0, len(data))
    return data[:place] + random.choice(_PIECES) + data[place:]


def _line(data: bytes, random: Random) -> bytes:
    """A line of the text once more, elsewhere."""
    lines = data.splitlines(keepends=True)
    lines.insert(random.randrange(len(lines)), random.choice(lines))
    return b"".join(lines)


def _make_recipe(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(_RECIPE)


def _read_recipe(folder: Path) -> Any:
    for smoke in (False, True):
        recipe = load_recipe(folder / "recipe.yaml", smoke=smoke)
        assert recipe.steps
        assert recipe.needs_sentence()
        for step in recipe.steps:
            step.all_settings()
            json.dumps(dict(step.settings))
    return [step.name for step in recipe.steps]


def _make_answers(folder: Path) -> None:
    choices = ["image", "text", "both", "neither"]
    for rater in range(2):
        sheet = {
            "kind": "modalens answers",
            "schema_version": 1,
            "rater": f"rater {rater}",
            "page": "abc",
            "choices": choices,
            "answers": {str(item): choices[(item * (rater + 1)) % 4] for item in range(1, 13)},
        }
        (folder / f"{rater}.json").write_text(json.dumps(sheet, indent=1))
    classes = ("image", "text", "cross")
    key = {
        "kind": "modalens annotation key",
        "schema_version": 1,
        "page": "abc",
        "choices": choices,
        "answer_of_class": {"image": "image", "text": "text", "cross": "both"},
        "items": [{"item": item, "feature": 7 * item, "class": classes[item % 3]} for item in range(1, 13)],
    }
    (folder / "key.json").write_text(json.dumps(key, indent=1))


def _read_answers(folder: Path) -> Any:
    result = agreement([folder / "0.json", folder / "1.json"], folder / "key.json", resamples=10)
    result.save(folder / "tables")
    return result.statements


TARGETS = {
    "recipe": Target(_make_recipe, _read_recipe, mutators=(_piece, _line)),
    "answers": Target(_make_answers, _read_answers, files="*.json"),
}
