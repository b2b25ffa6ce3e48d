"""The table of models: a row a run, baselines below, layers of a generative model in order."""

from pathlib import Path

import numpy as np
import pytest

from modalens.errors import ModalensError
from modalens.pairs import load_pairs
from modalens.runs import embed
from modalens.runs.layout import RunFolder
from modalens.runs.models_table import models_table
from modalens.runs.scoring import ScoreConfig, score_into
from modalens.towers import load_vlm
from tests.llava import save_llava
from tests.small_run import make_table


def test_layers_of_a_generative_model_are_rows(tmp_path: Path) -> None:
    """The loop that the docs show to whoever has LLaVA, on a tiny one."""
    model, source = save_llava(tmp_path / "llava"), f"csv:{make_table(tmp_path)}"
    runs = []
    for layer in range(3):
        runs.append(tmp_path / f"layer-{layer}")
        embed(
            load_pairs(source),
            load_vlm(f"hidden:{model}?layer={layer}", device="cpu"),
            runs[-1] / "embeddings",
        )
        score_into(
            RunFolder.find(runs[-1]).scores, RunFolder.find(runs[-1]).store(), ScoreConfig(resamples=5)
        )
    table = models_table(runs)
    assert list(table["layer"]) == [0, 1, 2]
    assert list(table["run"]) == ["layer-0", "layer-1", "layer-2"]
    assert (table["dimensions"] == 16).all()
    assert table["spread"].between(0, 0.5).all()
    counts = table[["twofold_image", "twofold_cross", "twofold_text"]]
    assert (counts.sum(axis=1) == 16).all()
    assert table["l2m"].nunique() == 3
    assert np.isfinite(table[["rmg_swapped", "spread_swapped", "recall_image_to_text", "chance"]]).all().all()


def test_it_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="no run to compare"):
        models_table([])
    with pytest.raises(ModalensError, match="There is no run at"):
        models_table([tmp_path])
