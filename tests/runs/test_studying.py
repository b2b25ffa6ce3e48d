"""Studies on a run: which representations, kept by what they read, and on pairs of sounds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig
from modalens.pairs.base import Pair
from modalens.runs import ScoreConfig, embed
from modalens.runs.layout import RunFolder
from modalens.runs.learning import train_on
from modalens.runs.representations import representations
from modalens.runs.scoring import score_into
from modalens.runs.studying import run_study
from modalens.runs.subjects import StudySubject
from modalens.studies.registry import find_study
from tests.fakes import ColourImage, FakePairs, FakeVLM

QUICK = TrainConfig(steps=5, batch_size=16, log_every=5, checkpoint_every=5)
SMALL: dict[str, dict[str, Any]] = {
    "removal": {"folds": 2},
    "stability": {"resamples": 5, "splits": 2},
    "gender": {"attribute": "kind", "folds": 2, "seeds": 1},
    "class-properties": {"draws": 100},
    "dictionary-bench": {"label": ("kind",), "folds": 2, "draws": 5, "least": 5, "k": (1, 2)},
    "close-gap": {"draws": 5, "folds": 2, "label": "kind"},
    "steer": {"label": "kind", "random_directions": 200, "draws": 5, "doses": (0.5,), "gains": (2.0,)},
    "known-gap": {"levels": 3, "resamples": 50},
}


class Sounds(FakePairs):
    modalities = ("audio", "text")


class SoundVLM(FakeVLM):
    modalities = ("audio", "text")

    def card(self) -> dict[str, Any]:
        return {**super().card(), "modalities": list(self.modalities)}


def pairs(count: int = 60) -> list[Pair]:
    labels = [{"category": f"c{i % 2}", "kind": f"k{i % 3}"} for i in range(count)]
    return [
        Pair(f"{i:03d}", ColourImage(f"image {i}"), f"{'aeiout'[i % 6] * (i % 5 + 1)} about {i}", labels[i])
        for i in range(count)
    ]


@pytest.fixture(scope="module", params=["images", "sounds"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    found = RunFolder(tmp_path_factory.mktemp(request.param))
    sounds = request.param == "sounds"
    store = embed(
        Sounds(pairs()) if sounds else FakePairs(pairs()),
        SoundVLM() if sounds else FakeVLM(),
        found.embeddings,
    )
    score_into(found.scores, store, ScoreConfig(rule="mu_sigma", resamples=5))
    for seed in (0, 1):
        training = replace(QUICK, seed=seed)
        train_on(SAEConfig(6, 12, 3, seed=seed), store, training, found.learned(f"sae-{seed}").folder)
    return found


def config(name: str, **options: Any) -> Any:
    kind = find_study(name).config
    has_rule = name not in ("stability", "known-gap")
    rule = {"rule": "mu_sigma"} if has_rule else {}
    return kind.of(None, {**SMALL.get(name, {}), **rule, **options})


def first_side(run: RunFolder) -> str:
    return "audio" if run.folder.name.startswith("sounds") else "image"


@pytest.mark.parametrize("name", list(SMALL))
def test_array_studies_take_images_and_sounds(run: RunFolder, name: str) -> None:
    found = run_study(run, name, config(name))["raw"]
    assert found.tables
    if name == "stability":
        again = run_study(run, name, config(name))
        assert "seed 1" in set(again["sae-0"].tables["stability"]["comparison"])
        assert "seed 0" in set(again["sae-1"].tables["stability"]["comparison"])
    if name == "gender":
        assert run.study("kind").is_dir()
        assert set(found.tables["samples"]["input"]) == {first_side(run), "text"}
        if first_side(run) == "audio":
            assert not found.pictures


@pytest.mark.parametrize("name", ["adversarial", "text-to-image"])
def test_studies_of_images_say_why_sounds_are_none(run: RunFolder, name: str) -> None:
    if first_side(run) == "image":
        pytest.skip("pairs of images")
    with pytest.raises(ModalensError, match="of images, and these pairs are of sounds and texts"):
        run_study(run, name, config(name), features="raw")


def test_studies_of_one_set_of_features_ask_which(run: RunFolder) -> None:
    with pytest.raises(ModalensError, match="choose with --features: raw, sae-0, sae-1"):
        run_study(run, "adversarial", config("adversarial"))
    with pytest.raises(ModalensError, match="no features 'x'; it has raw, sae-0, sae-1"):
        run_study(run, "removal", config("removal"), features="x")


def test_other_features_of_a_run_stand_beside(run: RunFolder) -> None:
    raw = StudySubject.of(representations(run)[0])
    learned = raw.beside("sae-0")
    assert learned.name == "sae-0"
    assert learned.beside("raw").about() == raw.about()
    for name in ("raw", "x"):
        with pytest.raises(
            ModalensError, match=f"no other features '{name}' to study: there are sae-0, sae-1"
        ):
            raw.beside(name)


def test_a_result_is_made_again_only_for_what_it_reads(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modalens.studies.class_removal import study

    calls: list[int] = []
    real = study.removal

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(1)
        return real(*given, **named)

    monkeypatch.setattr(study, "removal", counted)
    for _ in range(2):
        run_study(run, "removal", config("removal"), out=tmp_path, features="raw")
    assert len(calls) == 1
    run_study(run, "removal", config("removal", seed=1), out=tmp_path, features="raw")
    assert len(calls) == 2


def test_a_classifier_of_images_is_refused_for_sounds(run: RunFolder, tmp_path: Path) -> None:
    if first_side(run) == "image":
        pytest.skip("pairs of images")
    asked = config("gender", classifier="some/classifier")
    with pytest.raises(ModalensError, match="sees images and these pairs are of audio"):
        run_study(run, "gender", asked, out=tmp_path, features="raw")


def test_pairs_without_captions_are_steered_as_pairs_without_a_word(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ("dog", "house", "boat", "tree", "horse")  # each too common to be one of three
    kinds = rng.integers(0, len(names), 120)
    basis = rng.normal(size=(2, len(names), 8))
    embeddings = basis[:, kinds] + 0.3 * rng.normal(size=(2, 120, 8))
    words = np.array([f"one {name}" for name in names], dtype=object)[kinds]
    quick = {"random_directions": 200, "draws": 5, "doses": (0.5,), "gains": (2.0,), "rule": "mu_sigma"}
    tables = []
    for name, missing in (("null", None), ("empty", "")):
        captions = words.copy()
        captions[::10] = missing
        found = RunFolder(tmp_path / name)
        for part, values in zip(("img_emb", "text_emb"), embeddings, strict=True):
            (found.embeddings / part).mkdir(parents=True)
            np.save(found.embeddings / part / f"{part}_0.npy", values.astype(np.float32))
        (found.embeddings / "metadata").mkdir()
        table = pd.DataFrame({"caption": captions})
        table.to_parquet(found.embeddings / "metadata" / "metadata_0.parquet")
        score_into(found.scores, found.store(), ScoreConfig(rule="mu_sigma", resamples=5))
        result = run_study(found, "steer", find_study("steer").config.of(None, quick))["raw"]
        assert (
            "The pairs have no column 'category': the labels are the commonest words" in result.statements[-1]
        )
        tables.append(result.tables)
    assert set(tables[0]["features"]["label"]) <= set(names)
    for name, table in tables[0].items():
        pd.testing.assert_frame_equal(table, tables[1][name])
