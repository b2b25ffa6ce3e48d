"""What a run is written as for other tools, opened by these tools where they are installed."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import modalens as ml
from modalens.errors import ModalensError
from modalens.runs import exporting
from modalens.runs.interpretation import Interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.naming import Names

Interpreted = tuple[RunFolder, dict[str, Interpretation], list[object]]
# Of Neuronpedia's schema.prisma (commit 008d504): the types of the columns that are written, and those columns that may
# not be null and have no default, without which its importer fails.
_STRING, _FLOAT, _INT, _BOOL = (str,), (int, float), (int,), (bool,)
_WHERE = {"modelId": _STRING, "layer": _STRING, "index": _STRING}
_SCHEMA: dict[str, dict[str, Any]] = {
    "features": {
        **_WHERE,
        "creatorId": _STRING,
        "sourceSetName": _STRING,
        "maxActApprox": _FLOAT,
        "frac_nonzero": _FLOAT,
        "freq_hist_data_bar_heights": [_FLOAT],
        "freq_hist_data_bar_values": [_FLOAT],
        "logits_hist_data_bar_heights": [_FLOAT],
        "logits_hist_data_bar_values": [_FLOAT],
        "pos_str": [_STRING],
        "pos_values": [_FLOAT],
        "neg_str": [_STRING],
        "neg_values": [_FLOAT],
        "topkCosSimIndices": [_INT],
        "topkCosSimValues": [_FLOAT],
        "vector": [_FLOAT],
        "hasVector": _BOOL,
    },
    "activations": {
        **_WHERE,
        "id": _STRING,
        "creatorId": _STRING,
        "dataSource": _STRING,
        "tokens": [_STRING],
        "values": [_FLOAT],
        "maxValue": _FLOAT,
        "minValue": _FLOAT,
        "maxValueTokenIndex": _INT,
    },
    "explanations": {
        **_WHERE,
        "id": _STRING,
        "authorId": _STRING,
        "description": _STRING,
        "typeName": (type(None),),
        "explanationModelName": (type(None),),
    },
}
_NEEDED = {
    "features": {"modelId", "layer", "index"},
    "activations": {
        *("id", "modelId", "layer", "index", "creatorId"),
        *("maxValue", "minValue", "maxValueTokenIndex"),
    },
    "explanations": {"id", "modelId", "layer", "index", "authorId", "description"},
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


def test_metadata_take_no_columns_place_and_nothing_stays_nothing(
    interpreted: Interpreted, tmp_path: Path
) -> None:
    shutil.copytree(interpreted[0].folder / "embeddings", tmp_path / "source")
    store, bare = ml.EmbeddingStore.open(tmp_path / "source"), tmp_path / "bare"
    n = len(store)
    for part, side in (("img_emb", store.image), ("text_emb", store.text)):
        (bare / part).mkdir(parents=True)
        np.save(bare / part / f"{part}_0.npy", np.asarray(side[:], dtype=np.float32))
    (bare / "metadata").mkdir()
    known = {"x": ["here"] * n, "image": ["a.png"] * n, "seen": [None, *[True] * (n - 1)]}
    pd.DataFrame({"caption": ["tea"] * n, **known}).to_parquet(bare / "metadata" / "metadata_0.parquet")
    _, path = ml.Run.open(bare).export("parquet", tmp_path / "out", "raw")
    pairs = pd.read_parquet(path)
    assert pairs["x"].dtype.kind == "f"
    assert set(pairs["metadata_x"]) == {"here"}
    assert set(pairs["metadata_image"]) == {"a.png"}
    assert pairs["seen"].isna().sum() == 1
    assert set(pairs["seen"].dropna()) == {"True"}


def test_neuronpedia(run: ml.Run, tmp_path: Path) -> None:
    paths = run.export("neuronpedia", tmp_path, "sae")
    assert {path.parent.name for path in paths} >= {"features", "activations"}
    each = run.representations["sae"]
    features, activations = (lines(path) for path in paths[:2])
    for path in paths:
        _check_schema(path.parent.name, lines(path))
    assert len(features) == int((each.mds.labels != "dead").sum())
    assert {row["index"] for row in activations} <= {row["index"] for row in features}
    assert all(len(row["tokens"]) == len(row["values"]) == 1 for row in activations)


def test_names_are_explanations_of_neuronpedia(
    run: ml.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    each = run.representations["sae"]
    table = pd.DataFrame({"name": ["cat"] * len(each.mds.score), "stands": True})
    monkeypatch.setattr(exporting, "load_names", lambda _: Names(table, []))
    *_, path = run.export("neuronpedia", tmp_path, "sae")
    assert path.parent.name == "explanations"
    _check_schema("explanations", lines(path))
    assert {row["description"] for row in lines(path)} == {"cat"}


def _check_schema(table: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert list(row) == list(rows[0]), "the importer reads the columns off the first row"
        assert set(row) <= set(_SCHEMA[table])
        assert set(row) >= _NEEDED[table]
        for name, value in row.items():
            kinds = _SCHEMA[table][name]
            values = value if isinstance(kinds, list) else [value]
            assert all(type(part) in (kinds[0] if isinstance(kinds, list) else kinds) for part in values), (
                name
            )
        assert re.fullmatch("[a-z0-9_-]{1,128}", row["modelId"])


def test_saelens_and_what_is_refused(run: ml.Run, tmp_path: Path) -> None:
    config, weights = run.export("saelens", tmp_path, "sae")
    assert json.loads(config.read_text())["d_sae"] == 16
    assert weights.stat().st_size > 0
    with pytest.raises(ModalensError, match="ncl is no sparse autoencoder"):
        run.export("saelens", tmp_path, "ncl")
    with pytest.raises(ModalensError, match="no export to 'xml'; there are embedding-atlas"):
        run.export("xml", tmp_path, "raw")


def test_what_no_export_wrote_is_never_replaced(run: ml.Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("id,image,caption\n")
    with pytest.raises(ModalensError, match=r"pairs.csv is there already, and not as an export wrote it"):
        run.export("csv", tmp_path, "sae")
    assert (tmp_path / "pairs.csv").read_text() == "id,image,caption\n"
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"pairs.csv"}
    (tmp_path / "pairs.csv").unlink()
    first = run.export("csv", tmp_path, "sae")
    run.export("parquet", tmp_path, "sae")
    assert len(pd.read_csv(run.export("csv", tmp_path, "sae", max_pairs=3)[1])) == 3
    first[0].write_text("mine")  # edited since
    with pytest.raises(ModalensError, match=r"features.csv is there already"):
        run.export("csv", tmp_path, "sae")
    assert first[0].read_text() == "mine"


def test_an_export_that_died_on_the_way_is_replaced(
    run: ml.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run.export("csv", tmp_path, "sae")

    replace = Path.replace

    def die(self: Path, target: Path) -> None:
        if target.name == "pairs.csv" and self.parent.name == ".export.partial":
            raise KeyboardInterrupt
        replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            run.export("csv", tmp_path, "ncl", max_pairs=3)
    features, pairs = run.export("csv", tmp_path, "sae")
    assert len(pd.read_csv(features)) == 16
    assert len(pd.read_csv(pairs)) > 3
    assert not (tmp_path / ".export.partial").exists()


def test_no_export_goes_among_the_parts_of_a_run(run: ml.Run, tmp_path: Path) -> None:
    before = sorted(run.folder.rglob("*"))
    for out in (run.folder, run.folder / "embeddings" / "metadata", run.folder / "features" / "mine"):
        with pytest.raises(ModalensError, match="lies among the parts of the run"):
            run.export("parquet", out, "sae")
    (tmp_path / "link").symlink_to(run.folder)
    with pytest.raises(ModalensError, match="lies among the parts of the run"):
        run.export("parquet", tmp_path / "link" / "scores", "sae")
    twin = ml.Run.open(run.folder / "baselines" / "untrained")
    with pytest.raises(ModalensError, match="lies among the parts of the run"):
        twin.export("parquet", run.folder / "scores", "raw")
    assert sorted(run.folder.rglob("*")) == before


def test_sae_lens_opens_it(run: ml.Run, tmp_path: Path) -> None:
    sae_lens = pytest.importorskip("sae_lens", reason="sae-lens is not installed")
    run.export("saelens", tmp_path, "sae")
    theirs = sae_lens.SAE.load_from_disk(tmp_path)
    each = run.representations["sae"]
    assert each.learned is not None
    assert each.embeddings is not None
    for side, matrix in (("image", each.embeddings.image), ("text", each.embeddings.text)):
        x = np.asarray(matrix[:], dtype=np.float32)
        ours = each.learned.model.encode(x, side)
        with torch.no_grad():
            codes = theirs.encode(torch.from_numpy(x))
            decoded = theirs.decode(codes).numpy()
        assert ours.nnz > 0
        np.testing.assert_allclose(ours.toarray(), codes.numpy(), atol=1e-5)
        np.testing.assert_allclose(each.learned.model.decode(ours, side), decoded, atol=1e-5)


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
