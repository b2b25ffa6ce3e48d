"""The study of metrics on features of which it is known how they relate."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalens.dominance import Dominance, modality_dominance
from modalens.errors import InputError, ModalensError
from modalens.report.charts import PageCanvas
from modalens.report.rendering import drawing
from modalens.statistics.controls import LEVEL
from modalens.studies.metric_relations.figures import FIGURES
from modalens.studies.metric_relations.ratings import read_ratings
from modalens.studies.metric_relations.study import ONE_SIDED, R, metric_agreement
from modalens.studies.result import StudyResult

N, F, QUICK = 400, 40, {"resamples": 100, "m": 10}
SHARE = "Shapley share of images"


def planted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Dominance, np.ndarray]:
    """Features that fire for more or less of one concept: the share of strays falls from feature to feature."""
    concept = rng.integers(0, F, N)
    centres = rng.normal(size=(F, 16))
    embeddings = 1.5 * centres[concept] + rng.normal(size=(N, 16)) + 0.5
    pure = np.linspace(0, 1, F)
    codes = np.zeros((N, F))
    for feature in range(F):
        own = rng.permutation(np.flatnonzero(concept == feature))
        strays = rng.permutation(np.flatnonzero(concept != feature))
        taken = round(pure[feature] * min(len(own), 10))
        rows = np.concatenate([own[:taken], strays[: 10 - taken]])
        codes[rows, feature] = rng.uniform(1, 2, len(rows))
    image, text = codes * rng.uniform(0.2, 5, F), codes
    return image, text, modality_dominance(image, text, resamples=0), embeddings


@pytest.fixture(scope="module")
def found() -> StudyResult:
    rng = np.random.default_rng(0)
    image, text, mds, embeddings = planted(rng)
    scores = {"nothing": rng.normal(size=F), "people: image side": mds.score + 0.01 * rng.normal(size=F)}
    scores["people: image side"][::3] = np.nan
    return metric_agreement(image, text, mds, (image, text), (embeddings, embeddings), scores=scores, **QUICK)


def test_samples_of_other_modalities_are_called_by_their_plurals() -> None:
    image, text, mds, embeddings = planted(np.random.default_rng(0))
    mds = replace(mds, modalities=("audio", "text"))
    found = metric_agreement(image, text, mds, (image, text), (embeddings, embeddings), **QUICK)
    assert {"Mono on sounds", "Mono on texts", "Shapley share of sounds"} <= set(found.tables["features"])
    assert any("sounds" in each for each in found.statements)
    assert not any("audios" in each for each in found.statements)


def between(result: StudyResult, first: str, second: str) -> dict[Any, Any]:
    table = result.tables["correlations"]
    rows = table[table["first"].isin([first, second]) & table["second"].isin([first, second])]
    assert len(rows) == 1
    return rows.iloc[0].to_dict()


def test_metrics_of_one_thing_agree_and_others_do_not(found: StudyResult) -> None:
    for other in ("MonoSemanticity score on images", "clarity on images"):
        row = between(found, "Mono on images", other)
        assert row["spearman_low"] > 0.6
        assert row["q"] < LEVEL
    assert between(found, "Mono on images", "nothing")["q"] > LEVEL
    told = between(found, R, "people: image side")
    assert told["spearman"] > 0.9
    assert told["features"] == F - len(range(0, F, 3))
    assert ONE_SIDED in found.tables["features"].columns
    assert any(each.startswith("Mono on images with MonoSemanticity score ") for each in found.statements)
    assert any(each.startswith("People: image side with dominance R") for each in found.statements)


def test_shares_stand_beside_dominance(found: StudyResult) -> None:
    shares = found.tables["shares"].set_index("class")
    assert shares.loc["all", "features"] == F
    assert shares.loc["all", "weight"] == pytest.approx(1)
    assert (shares["share_low"] <= shares["share"]).all()
    assert (shares["share"] <= shares["share_high"]).all()
    pairs = found.tables["pairs"].iloc[0]
    assert pairs["share_low"] < pairs["share"] < pairs["share_high"]


def test_a_scaled_modality_moves_dominance_alone() -> None:
    image, text, mds, embeddings = planted(np.random.default_rng(0))
    scaled = modality_dominance(50 * image, text, resamples=0)
    results = [
        metric_agreement(a, text, each, (a, text), (embeddings, embeddings), **QUICK)
        .tables["shares"]
        .iloc[-1]
        for a, each in ((image, mds), (50 * image, scaled))
    ]
    assert results[1]["dominance"] > results[0]["dominance"] + 0.1
    assert results[1]["share"] == pytest.approx(results[0]["share"])


def test_figures(found: StudyResult) -> None:
    for figure in FIGURES:
        assert figure.fits(found)
        for narrow in (False, True):
            canvas = PageCanvas(narrow)
            with drawing():
                assert figure.draw({"raw": found, "sae": found}, (), ("image", "text"), canvas).axes


def write(path: Path, kind: str, **values: object) -> Path:
    path.write_text(json.dumps({"kind": kind, "schema_version": 1, **values}))
    return path


def test_answers_of_people_are_taken_by_their_key(tmp_path: Path) -> None:
    mds = planted(np.random.default_rng(0))[2]
    choices = ["image", "text", "both", "neither"]
    shown = [5, 0, 7, 9]
    items = [
        {"item": number, "feature": feature, "class": str(mds.labels[feature])}
        for number, feature in enumerate(shown)
    ]
    of_class = {"image": "image", "text": "text", "cross": "both"}
    page = {"page": "p", "choices": choices}
    key = write(
        tmp_path / "key.json", "modalens annotation key", items=items, answer_of_class=of_class, **page
    )
    sheets = [
        write(tmp_path / f"{rater}.json", "modalens answers", rater=rater, answers=given, **page)
        for rater, given in (
            ("a", {"0": "image", "1": "both", "2": "neither"}),
            ("b", {"0": "text", "2": "neither"}),
        )
    ]
    found = read_ratings(sheets, key, mds)
    assert found["people: image side"][[5, 0, 7, 9]] == pytest.approx([0.5, 0.5, np.nan, np.nan], nan_ok=True)
    assert found["people: shows something"][[5, 0, 7, 9]] == pytest.approx([1, 1, 0, np.nan], nan_ok=True)
    assert read_ratings((), None, mds) == {}
    with pytest.raises(InputError, match="with --key"):
        read_ratings(sheets, None, mds)
    items[0]["feature"] = F
    write(tmp_path / "key.json", "modalens annotation key", items=items, answer_of_class=of_class, **page)
    with pytest.raises(InputError, match="of other features"):
        read_ratings(sheets, key, mds)


def test_what_does_not_fit_is_refused() -> None:
    image, text, mds, embeddings = planted(np.random.default_rng(0))
    with pytest.raises(ModalensError, match="give the same"):
        metric_agreement(image[:, :9], text[:, :9], mds, (image, text), (embeddings, embeddings))
    few = metric_agreement(image, text, mds, (image, text), (embeddings, embeddings), max_pairs=50, **QUICK)
    assert few.config["pairs"] == 50
    assert "Of 400 pairs 50 were drawn" in few.statements[-1]


def test_features_that_never_meet_have_no_share() -> None:
    rng = np.random.default_rng(0)
    image, text, _, embeddings = planted(rng)
    image[:, F // 2 :] = 0
    text[:, : F // 2] = 0
    mds = modality_dominance(image, text, resamples=0)
    result = metric_agreement(image, text, mds, (image, text), (embeddings, embeddings), **QUICK)
    assert result.tables["pairs"]["pairs"].tolist() == [0]
    assert result.tables["pairs"]["share"].isna().all()
    assert "nothing has a Shapley share" in " ".join(result.statements)
