"""Recipes: done once, done again where something changed, and the same after a stop."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.errors import ModalensError
from modalens.features import SAEConfig, load_features
from modalens.interpret.sweep import Sweep
from modalens.recipes.execute import run_recipe
from modalens.recipes.recipe import load_recipe
from modalens.recipes.steps import STEPS, shuffled_pairs
from modalens.runs.layout import RunFolder
from modalens.runs.sweeping import find_sweep
from modalens.store.fingerprints import fingerprint
from tests.recipes.small_recipe import SMALL, SWEPT, did, swept, write
from tests.torture.rounds import contents


def test_steps_are_done_once_and_again_where_something_changed(tmp_path: Path) -> None:
    path, out = write(tmp_path), tmp_path / "out"
    assert did(path, out) == ["embed", "score", "sae", "again"]
    before = contents(out / "a")
    assert did(path, out) == []
    assert contents(out / "a") == before

    longer = {**SMALL["steps"]["sae"], "steps": 9}
    assert did(write(tmp_path, sae=longer), out) == ["sae"]
    (aside,) = (out / "replaced").iterdir()
    assert aside.name.startswith("sae-")
    assert (aside / "codes").is_dir()
    record = json.loads((out / "steps/sae.json").read_text())
    assert record["settings"]["steps"] == 9
    assert record["done"]

    table = out / "stand-ins/pairs/pairs.csv"
    table.write_text(table.read_text().replace("small", "tiny"))  # the data itself changes
    assert did(write(tmp_path, sae=longer), out) == ["embed", "score", "sae", "again"]


def test_a_stop_in_any_step_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)
    did(path, tmp_path / "whole")
    out = tmp_path / "broken"
    recipe = load_recipe(path, smoke=True)
    for name in ("embed", "train", "score"):
        real = STEPS[name]

        def stop_after(*words: object, real=real) -> None:
            real.do(*words)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setitem(STEPS, name, replace(real, do=stop_after))
            with pytest.raises(KeyboardInterrupt):
                list(run_recipe(recipe, out))
    assert did(path, out)[-1] == "again"
    assert did(path, out) == []
    one, other = (
        pd.read_parquet(each / "a/scores/dominance-mean_ratio.parquet") for each in (tmp_path / "whole", out)
    )
    pd.testing.assert_frame_equal(one, other)
    weights = [each / "a/features/sae/sae.safetensors" for each in (tmp_path / "whole", out)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_recipe_sweeps_takes_the_size_and_makes_baselines(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert did(swept(tmp_path), out) == ["embed", "score", "sweep", "sae", "baselines"]
    run = RunFolder(out / "a")
    found = find_sweep(run)
    assert isinstance(found, Sweep)
    assert set(found.summary["n"]) == {16, 32}
    config = load_features(run.learned("sae").folder).config
    assert isinstance(config, SAEConfig)
    assert (config.n_features, config.k) == (found.choice.n, found.choice.k)
    made = {each.name for each in run.learned("sae").baselines()}
    assert made == {"sae+pca", "sae+soft_frozen"}
    assert did(swept(tmp_path), out) == []
    wider = swept(tmp_path, baselines={**SWEPT["baselines"], "kind": ["pca", "nmf"]})
    assert did(wider, out) == ["baselines"]


def test_a_failing_step_is_named_and_finished_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ModalensError("No luck.")

    steps = STEPS
    with monkeypatch.context() as patch:
        patch.setitem(steps, "train", replace(steps["train"], do=fail))
        with pytest.raises(ModalensError, match=r"The step sae: No luck\."):
            did(write(tmp_path), tmp_path / "out")
    assert did(write(tmp_path), tmp_path / "out") == ["sae", "again"]


def test_what_the_pairs_lack_is_told_once_they_are_embedded(tmp_path: Path) -> None:
    """A split or a column that a later step names, before any other step is done."""
    changes: list[tuple[dict[str, object], str]] = [
        ({"sae": {**SMALL["steps"]["sae"], "split": "nowhere"}}, r"sae: No pair of .* has split 'nowhere'"),
        (
            {"again": {"do": "score", "run": "a", "groups": "none"}},
            "again: The metadata of .* has no column 'none'",
        ),
        (
            {"again": {"do": "study", "run": "a", "study": "removal", "label": "none"}},
            "again: .* no column 'none'",
        ),
        (
            {"again": {"do": "study", "run": "a", "study": "gender", "attribute": "none"}},
            "again: .* column 'none'",
        ),
        (
            {
                "again": {
                    "do": "interpret",
                    "run": "a",
                    "image_embedder": "labels:none",
                    "text_embedder": "own",
                }
            },
            "again: .* no column 'none'",
        ),
    ]
    out = tmp_path / "out"
    for change, sentence in changes:
        with pytest.raises(ModalensError, match=f"^The step {sentence}"):
            did(write(tmp_path, **change), out)
        assert [path.stem for path in (out / "steps").glob("*.json")] == ["embed"]


def test_texts_are_dealt_out_anew(tmp_path: Path) -> None:
    image, text = np.arange(8.0).reshape(4, 2), np.arange(8.0, 16.0).reshape(4, 2)
    folder = tmp_path / "store"
    for name, matrix in (("img_emb", image), ("text_emb", text)):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / f"{name}_0000.npy", matrix)
    first, second = shuffled_pairs(RunFolder(folder).store())
    np.testing.assert_array_equal(first[:], image)
    assert not np.array_equal(second[:], text)
    np.testing.assert_array_equal(np.sort(np.asarray(second[:]), axis=0), text)


def test_fingerprints_are_of_content(tmp_path: Path) -> None:
    table, shards = tmp_path / "a.csv", tmp_path / "shards"
    table.write_text("one")
    shards.mkdir()
    (shards / "x-0000.tar").write_bytes(b"12")
    first = fingerprint(f"csv:{table}")
    assert first == fingerprint(f"csv:{table}") != fingerprint(str(shards))
    copy = tmp_path / "b.csv"
    shutil.copy(table, copy)
    assert fingerprint(f"csv:{copy}") == first
    table.write_text("two")
    assert fingerprint(f"csv:{table}") != first
    pattern = f"wds:{shards}/x-{{0000..0001}}.tar"
    one = fingerprint(pattern)
    (shards / "x-0001.tar").write_bytes(b"34")
    assert None is not fingerprint(pattern) != one
    for nothing in ("openai/clip-vit-base-patch32", "wds:s3://bucket/x.tar", "{0..", 3, None, "", "."):
        assert fingerprint(nothing) is None
