"""Heads trained by several recipes are measured on concepts that none of them saw."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from modalens.demo.encoder_training import FrozenFeatures
from modalens.demo.splits import split_of
from modalens.demo.temperatures import LENGTH, TEMPERATURE, measure_recipes
from modalens.demo.twins import RECIPES


def test_a_higher_temperature_closes_the_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODALENS_CACHE", str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    n = 240
    pairs: list[Any] = [
        SimpleNamespace(
            id=str(row),
            ref=SimpleNamespace(key=f"{row}.png"),
            text=f"text {row}",
            label={"concept": f"concept {row}"},
        )
        for row in range(n)
    ]
    shared = torch.randn(n, 12, generator=generator)
    image, text = (
        torch.cat([shared, torch.ones(n, 4)], dim=1) + 0.1 * torch.randn(n, 16, generator=generator)
        for _ in range(2)
    )
    rows = {f"{row}.png": row for row in range(n)}, {f"text {row}": row for row in range(n)}
    features = FrozenFeatures(image, text, *rows, digest="test")
    recipe = replace(RECIPES["demo"], dim=16, batch=64, epochs=30)
    recipes = [(TEMPERATURE, each, replace(recipe, logit_scale=1 / each)) for each in (0.01, 0.05, 0.3)]
    recipes.append((LENGTH, 30.0, replace(recipe, logit_scale=1 / 0.07, learn_scale=True)))
    following, levels, said = measure_recipes(features, pairs, recipes, resamples=50, seed=0)
    assert 0 < sum(split_of(pair.label["concept"]) == "held-out" for pair in pairs) < n
    assert list(levels["closed"]) == [0.01, 0.05, 0.3, 30.0]
    row = following.set_index(["move", "measure"]).loc[(TEMPERATURE, "l2m_unbiased")]
    assert row["spearman"] == -1
    assert row["start"] > row["end"]
    assert said[0].startswith("As the gap is closed by temperature: L2M follows")
