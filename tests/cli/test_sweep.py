"""``modalens train sweep``."""

from pathlib import Path
from typing import Any

import pytest

from modalens.runs import embed
from tests.fakes import FakePairs, FakeVLM, colour_pairs

QUICK = ("--steps", 8, "--batch-size", 16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    embed(FakePairs(colour_pairs(60)), FakeVLM(), tmp_path / "run" / "embeddings")
    return tmp_path / "run"


def test_sizes_are_listed_with_commas(run_json: Any, run: Any, folder: Path) -> None:
    words = ("train", "sweep", folder, "--n", "12,8", "--k", "2, 3", "--seeds", 2, *QUICK)
    found = run_json(*words)
    assert [(row["n"], row["k"]) for row in found["configurations"]] == [(8, 2), (8, 3), (12, 2), (12, 3)]
    assert len(found["rows"]) == 8
    assert found["pairs"] == {"trained": 48, "held_out": 12, "measured": 60}
    assert {"n", "k", "reason"} == found["choice"].keys()
    code, out, err = run(*words)
    assert code == 0, err
    assert f"Recommended: n = {found['choice']['n']}, k = {found['choice']['k']}: " in out
    # Training without a size takes it.
    trained = run_json("train", "sae", folder, *QUICK)
    assert f"n{found['choice']['n']}-k{found['choice']['k']}" in trained["model"]


def test_training_without_a_size_says_which_it_takes(
    run: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run("train", "sae", folder, *QUICK)[0] == 0
    assert "Taking the published size, n_features 1024 and k 32" in caplog.text
    caplog.clear()
    assert run("train", "sae", folder, *QUICK, "--k", 4)[0] == 0
    assert "Taking" not in caplog.text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--n", "12,many"), "--n: n is '12,many'; give whole numbers with commas between."),
        (("--n", "0"), "--n: n is 0; it must be at least 1"),
        (("--n", "4", "--k", "8"), "at least as large as a k"),
        (("--seeds", 1), "--seeds: seeds is 1; it must be at least 2"),
        (("--split", "test"), "split"),
    ],
)
def test_bad_sizes(run: Any, folder: Path, options: tuple[Any, ...], sentence: str) -> None:
    code, _, err = run("train", "sweep", folder, *options)
    assert code == 2
    assert sentence in err
