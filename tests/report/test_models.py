"""Models side by side: rows as texts, and layers in their order."""

import pandas as pd
import pytest

from modalens.report.models import draw_layers, layers_of, shown_models, statements
from modalens.report.rendering import drawing

NUMBERS = {
    "l2m": 0.8,
    "rmg": 0.6,
    "rmg_swapped": 0.5,
    "separability": 1.0,
    "mean": 0.5,
    "spread_swapped": 0.01,
    "mu_sigma_image": 20,
    "mu_sigma_cross": 60,
    "mu_sigma_text": 20,
    "recall_image_to_text": 0.4,
    "recall_text_to_image": 0.3,
    "chance": 0.01,
}


def row(run: str, model: str, layer: float | None, one_sided: int = 10, **more: object) -> dict[str, object]:
    classes = {"image": one_sided // 2, "cross": 100 - one_sided, "text": one_sided - one_sided // 2}
    found: dict[str, object] = {"run": run, "baseline_of": "", "model": model, "layer": layer, "pairs": 500}
    found |= {"first": "image", "second": "text", "dimensions": 100, "spread": one_sided / 500, **NUMBERS}
    for name in ("l2m", "rmg", "separability"):
        found |= {f"{name}_low": NUMBERS[name] - 0.1, f"{name}_high": NUMBERS[name] + 0.1}
    for name, number in classes.items():
        found |= {
            f"twofold_{name}": number,
            f"twofold_{name}_low": number - 1,
            f"twofold_{name}_high": number + 1,
        }
    return found | more


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        row(f"llava-{layer}", f"hidden:llava?layer={layer}", layer, sided)
        for layer, sided in ((16, 20), (0, 60))
    ]
    rows += [
        row("clip", "openai/clip", None),
        row("untrained", "untrained:openai/clip", None, baseline_of="clip"),
    ]
    return pd.DataFrame([*rows, row("qwen-4", "hidden:qwen?layer=4", 4)])


def test_rows_name_their_baseline_beside_each_number(table: pd.DataFrame) -> None:
    shown = shown_models(table).set_index("run")
    assert list(shown.index) == ["llava-16", "llava-0", "clip", "clip: untrained", "qwen-4"]
    assert shown.loc["clip", "RMG"] == "0.600 (0.500 to 0.700) [0.500]"
    assert shown.loc["clip", "twofold"] == "text 5, cross 90, image 5"
    assert shown.loc["clip", "R@1 both ways"] == "0.400, 0.300 [0.010]"


def test_layers_are_those_of_one_model_in_their_order(table: pd.DataFrame) -> None:
    layers = layers_of(table)
    assert {name: list(rows["layer"]) for name, rows in layers.items()} == {"hidden:llava": [0, 16]}
    said = statements(table)[1]
    assert said.startswith(
        "From layer 0 to layer 16 of hidden:llava the spread of R goes from 0.120 to 0.040"
    )
    assert "by twofold from 60\u00a0% to 20\u00a0%" in said
    with drawing():
        for narrow in (False, True):
            assert len(draw_layers(layers, narrow=narrow).axes) == 3


def test_layers_on_other_pairs_are_lines_of_their_own(table: pd.DataFrame) -> None:
    other = table[table["layer"].notna()].assign(pairs=900)
    assert set(layers_of(pd.concat([table, other]))) == {"hidden:llava, 500 pairs", "hidden:llava, 900 pairs"}
    assert layers_of(table[table["layer"].isna()]) == {}
