"""What a run is written as for other tools, opened by these tools where they are installed."""

import gzip
import io
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.errors import ModalensError
from modalens.runs.interpretation import Interpretation
from modalens.runs.layout import RunFolder

Interpreted = tuple[RunFolder, dict[str, Interpretation], list[object]]
# The columns of the three tables in Neuronpedia's export-data.py that are not a user's or another model's.
_FEATURE = {
    "modelId",
    "layer",
    "index",
    "maxActApprox",
    "frac_nonzero",
    "sourceSetName",
    "vector",
    "hasVector",
}
_ACTIVATION = {
    "id",
    "modelId",
    "layer",
    "index",
    "dataSource",
    "tokens",
    "values",
    "maxValue",
    "maxValueTokenIndex",
}


@pytest.fixture(scope="module")
def run(interpreted: Interpreted) -> ml.Run:
    return ml.Run.open(interpreted[0].folder)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def test_tables_of_features_and_pairs(run: ml.Run, tmp_path: Path) -> None:
    each = run.representations["sae"]
    paths = run.export("parquet", tmp_path, "sae")
    features, pairs = (pd.read_parquet(path) for path in paths)
    assert np.array_equal(features["score"], each.mds.score, equal_nan=True)
    assert {"mono_image", "verdict", "partner"} <= set(features)
    assert list(pairs["id"]) == [str(name) for name in each.store.ids[each.rows]]
    assert np.abs(pairs[["x", "y"]].mean()).max() < 1e-6
    first, _ = run.export("csv", tmp_path, "sae", max_pairs=3)
    assert len(pd.read_csv(first)) == len(features)
    assert len(pd.read_csv(tmp_path / "pairs.csv")) == 3


def test_neuronpedia(run: ml.Run, tmp_path: Path) -> None:
    paths = run.export("neuronpedia", tmp_path, "sae")
    assert {path.parent.name for path in paths} >= {"features", "activations"}
    each = run.representations["sae"]
    features, activations = (lines(path) for path in paths[:2])
    assert set(features[0]) >= _FEATURE
    assert set(activations[0]) >= _ACTIVATION
    assert len(features) == int((each.mds.labels != "dead").sum())
    assert {row["index"] for row in activations} <= {row["index"] for row in features}
    assert all(len(row["tokens"]) == len(row["values"]) == 1 for row in activations)


def test_saelens_and_what_is_refused(run: ml.Run, tmp_path: Path) -> None:
    config, weights = run.export("saelens", tmp_path, "sae")
    assert json.loads(config.read_text())["d_sae"] == 16
    assert weights.stat().st_size > 0
    with pytest.raises(ModalensError, match="ncl is no sparse autoencoder"):
        run.export("saelens", tmp_path, "ncl")
    with pytest.raises(ModalensError, match="no export to 'xml'; there are embedding-atlas"):
        run.export("xml", tmp_path, "raw")


def test_sae_lens_opens_it(run: ml.Run, tmp_path: Path) -> None:
    sae_lens = pytest.importorskip("sae_lens", reason="sae-lens is not installed")
    run.export("saelens", tmp_path, "sae")
    theirs = sae_lens.SAE.load_from_disk(tmp_path)
    assert theirs.cfg.d_sae == 16


def test_embedding_atlas_opens_it(run: ml.Run, tmp_path: Path) -> None:
    (path,) = run.export("embedding-atlas", tmp_path, "sae")
    frame = pd.read_parquet(path)
    assert {"id", "text", "x", "y", "image", "strongest_image_class"} <= set(frame)
    assert frame["image"].iloc[0]["bytes"][8:12] == b"WEBP"
    python = os.environ.get("MODALENS_ATLAS_PYTHON")
    if python is None:
        pytest.skip("MODALENS_ATLAS_PYTHON names no Python with embedding-atlas")
    made = tmp_path / "page.zip"
    words = ["--text", "text", "--image", "image", "--x", "x", "--y", "y", "--export-application", str(made)]
    subprocess.run([python, "-m", "embedding_atlas.cli", str(path), *words], check=True, capture_output=True)
    with zipfile.ZipFile(made) as files:
        (held,) = [name for name in files.namelist() if name.endswith(".parquet")]
        theirs = pd.read_parquet(io.BytesIO(files.read(held)))
    assert list(theirs["id"]) == list(frame["id"])
    assert np.array_equal(theirs["x"], frame["x"])
