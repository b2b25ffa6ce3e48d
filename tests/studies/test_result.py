"""A study's result on disk: what goes in comes out, and what is damaged says so."""

import json

import numpy as np
import pandas as pd
import pytest

import modalens
from modalens.errors import ModalensError
from modalens.studies import StudyResult


@pytest.fixture
def result(rng) -> StudyResult:
    return StudyResult(
        name="removal",
        title="What the classes carry",
        tables={
            "summary": pd.DataFrame(
                {"set": ["image", 'a, "b"\n<c>'], "accuracy": rng.random(2), "n": [1, 2]}
            ),
            "by_draw": pd.DataFrame({"p": [np.nan, 1 / 3, 1e-300], "skipped": [True, False, True]}),
            "empty": pd.DataFrame({"x": np.array([], dtype=np.float32)}),
        },
        statements=["Eins.", "Größer als 0,5."],
        config={
            "draws": np.int64(20),
            "rule": "twofold",
            "sizes": (np.float32(0.5), None),
            "low": float("nan"),
        },
        source={"run": "demo", "levels": np.arange(2)},
    )


def test_what_is_saved_is_loaded(result, tmp_path):
    result.save(tmp_path / "a" / "b")
    loaded = StudyResult.load(str(tmp_path / "a" / "b"))
    assert list(loaded.tables) == list(result.tables)
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(loaded.tables[name], table, check_exact=True)
        columns = pd.read_csv(tmp_path / "a" / "b" / "tables" / f"{name}.csv").columns
        assert list(columns) == list(table.columns)
    assert (loaded.name, loaded.title, loaded.statements) == (result.name, result.title, result.statements)
    assert loaded.config == {"draws": 20, "rule": "twofold", "sizes": [0.5, None], "low": None}
    assert loaded.source == {"run": "demo", "levels": [0, 1]}
    assert loaded.version == modalens.__version__


def test_the_file_says_what_it_is(result, tmp_path):
    result.save(tmp_path)
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["kind"] == "modalens.StudyResult"
    assert document["version"] == modalens.__version__
    assert document["tables"] == ["summary", "by_draw", "empty"]
    assert not list(tmp_path.rglob("*.partial"))


def test_a_version_is_the_one_that_made_it(result, tmp_path, monkeypatch):
    result.save(tmp_path)
    path = tmp_path / "result.json"
    path.write_text(path.read_text().replace(f'"version": "{modalens.__version__}"', '"version": "0.0.7"'))
    assert StudyResult.load(tmp_path).version == "0.0.7"


@pytest.mark.parametrize("name", ["", "../up", "a b", "A", "a.b", "-a", "a\n"])
def test_names_are_fit_for_files(name):
    with pytest.raises(ModalensError, match="cannot name a study or a table"):
        StudyResult("removal", "", {name: pd.DataFrame()}, [], {})
    with pytest.raises(ModalensError, match="cannot name a study or a table"):
        StudyResult(name, "", {}, [], {})


def test_damage_gets_one_sentence(result, tmp_path):
    with pytest.raises(ModalensError, match="There is no file"):
        StudyResult.load(tmp_path)
    result.save(tmp_path)
    table, document = tmp_path / "tables" / "summary.parquet", tmp_path / "result.json"
    good = document.read_text()
    document.write_text(good.replace('"summary"', '"../../summary"'))
    with pytest.raises(ModalensError, match="cannot name"):
        StudyResult.load(tmp_path)
    document.write_text(good.replace('"statements"', '"sentences"'))
    with pytest.raises(ModalensError, match=r"damaged .*run the study again"):
        StudyResult.load(tmp_path)
    document.write_text(good.replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(ModalensError, match="upgrade modalens"):
        StudyResult.load(tmp_path)
    document.write_text(good)
    table.write_bytes(b"PAR1" + bytes(20))
    with pytest.raises(ModalensError, match=r"summary\.parquet is missing or cannot be read"):
        StudyResult.load(tmp_path)
    table.unlink()
    with pytest.raises(ModalensError, match=r"summary\.parquet is missing or cannot be read"):
        StudyResult.load(tmp_path)
