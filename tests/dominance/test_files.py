import json

import numpy as np
import pandas as pd
import pytest

from modalens.dominance import Dominance, modality_dominance
from modalens.errors import ModalensError


@pytest.fixture
def result(rng: np.random.Generator) -> Dominance:
    image, text = rng.normal(size=(2, 40, 9))
    image[:, 4] = text[:, 4] = 0
    return modality_dominance(
        image, text, "energy_ratio", "twofold", True, resamples=15, seed=np.int64(7),
        modalities=("audio", "caption"), source={"model": "toy", "pairs": ["a", 1]},
    )  # fmt: skip


def same_bits(one: np.ndarray, other: np.ndarray) -> None:
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)  # takes NaN as equal to NaN


@pytest.mark.parametrize("name", ["scores.json", "scores.parquet", "made/for/it/SCORES.JSON"])
@pytest.mark.parametrize("resamples", [0, 15])
def test_saved_scores_come_back_bit_for_bit(name, resamples, result, rng, tmp_path):
    if resamples == 0:
        result = modality_dominance(*rng.normal(size=(2, 40, 9)), resamples=0)
    result.save(tmp_path / name)
    back = Dominance.load(str(tmp_path / name))
    for field in ("score", "low", "high", "pairs", "labels", "probability"):
        same_bits(getattr(back, field), getattr(result, field))
    for field in (
        "estimator",
        "rule",
        "normalize",
        "modalities",
        "n_pairs",
        "resamples",
        "seed",
        "source",
        "version",
    ):
        assert getattr(back, field) == getattr(result, field), field
    assert (back.mean, back.std) == (result.mean, result.std)
    for rule in ("mu_sigma", "twofold"):
        same_bits(back.class_probability(rule), result.class_probability(rule))
        assert back.counts(rule) == result.counts(rule)
        np.testing.assert_array_equal(
            list(back.count_intervals(rule).values()), list(result.count_intervals(rule).values())
        )
    if resamples == 0:
        assert back.null is None
    else:
        same_bits(back.null.scores, result.null.scores)
        same_bits(back.null.stds, result.null.stds)
        assert back.null.class_counts == result.null.class_counts
    pd.testing.assert_frame_equal(back.to_frame(), result.to_frame())


def test_files_open_without_modalens(result, tmp_path):
    result.save(tmp_path / "scores.parquet")
    result.save(tmp_path / "scores.json")
    frame = pd.read_parquet(tmp_path / "scores.parquet")
    np.testing.assert_array_equal(frame["score"], result.score)
    assert frame["label"].tolist() == result.labels.tolist()

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    document = json.loads((tmp_path / "scores.json").read_text(), parse_constant=no_constant)
    assert document["schema_version"] == 2
    assert document["columns"]["score"][4] is None


@pytest.mark.parametrize(
    "act", [lambda result, path: result.save(path), lambda result, path: Dominance.load(path)]
)
@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_other_suffixes_are_refused(act, name, result, tmp_path):
    with pytest.raises(ModalensError, match=r"kept in \.json or \.parquet files"):
        act(result, tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_files_that_hold_something_else_are_refused(suffix, result, tmp_path):
    path = tmp_path / f"scores.{suffix}"
    with pytest.raises(ModalensError, match="There is no file"):
        Dominance.load(path)
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(ModalensError, match="is not UTF-8" if suffix == "json" else "is not a Parquet file"):
        Dominance.load(path)
    if suffix == "json":
        path.write_text('{"kind": "modalens.ModalityGap", "schema_version": 1}')
    else:
        pd.DataFrame({"score": [0.5]}).to_parquet(path)
    with pytest.raises(ModalensError, match=r"does not hold what modalens\.Dominance saves"):
        Dominance.load(path)


def test_a_newer_schema_is_refused(result, tmp_path):
    path = tmp_path / "scores.json"
    result.save(path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "schema_version": 3}))
    with pytest.raises(ModalensError, match="has schema version 3 and this modalens reads up to 2; upgrade"):
        Dominance.load(path)


def test_a_damaged_file_is_refused(result, tmp_path):
    path = tmp_path / "scores.json"
    result.save(path)
    document = json.loads(path.read_text())
    for broken in (
        {**document, "columns": {**document["columns"], "pairs": None}},
        {**document, "columns": {**document["columns"], "pairs": [10**30] * 9}},
        {**document, "columns": {"score": []}},
        {**document, "columns": 3},
        {name: value for name, value in document.items() if name != "seed"},
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(ModalensError, match="is damaged"):
            Dominance.load(path)
