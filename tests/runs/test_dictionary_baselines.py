"""Dictionaries that learned features are held against, in a run and in its report."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from modalens.errors import InputError
from modalens.runs import interpreting
from modalens.runs.choice import all_of, one_of
from modalens.runs.dictionary_baselines import BaselinesConfig, train_baselines
from modalens.runs.interpretation import Interpretation
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from modalens.runs.learning import check_name
from modalens.runs.reporting import report_run
from modalens.runs.representations import find_representations
from modalens.runs.studying import _chosen, run_study
from modalens.studies.registry import find_study, study_names
from modalens.studies.top_sample_count.config import TopMConfig
from tests.interpreted import Part
from tests.small_run import CONFIG, Embedder, loader

SOME = BaselinesConfig(like="sae", kind=("frozen_decoder", "pca"))


@pytest.fixture(scope="module")
def beside(
    interpreted: tuple[RunFolder, dict[str, Interpretation], list[Embedder]],
    tmp_path_factory: pytest.TempPathFactory,
) -> RunFolder:
    """An interpreted run with two baselines of its autoencoder, and a study of all; not to be changed."""
    folder = tmp_path_factory.mktemp("beside") / "run"
    shutil.copytree(interpreted[0].folder, folder)
    run = RunFolder(folder)
    train_baselines(run, SOME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreting, "load_sample_embedder", loader([]))
        interpret_run(run, CONFIG)
    run_study(run, "close-gap", baselines=False)
    return run


def test_baselines_have_the_size_and_the_schedule_of_what_they_are_held_against(
    beside: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    found = {each.name: each for each in find_representations(beside, make=False).representations}
    assert list(found) == ["raw", "ncl", "sae", "sae+frozen_decoder", "sae+pca"]
    own, frozen, pca = (found[name] for name in ("sae", "sae+frozen_decoder", "sae+pca"))
    assert (own.baseline_of, frozen.baseline_of, pca.run.folder) == ("", "sae", beside.folder)
    assert frozen.learned is not None
    assert own.learned is not None
    shape, expected = frozen.learned.model.config, own.learned.model.config
    assert (shape.n_features, shape.k, shape.seed) == (expected.n_features, expected.k, expected.seed)  # type: ignore[attr-defined]
    assert [entry["step"] for entry in frozen.learned.log] == [entry["step"] for entry in own.learned.log]
    again = train_baselines(beside, SOME)
    assert again["pca"].model.config.n_features <= 2 * expected.d


def test_a_baseline_is_taken_where_it_is_named_and_with_all(beside: RunFolder) -> None:
    names = [
        each.name for each in find_representations(beside, make=False).representations if each.name != "raw"
    ]
    assert one_of(None, ["sae", "sae+pca"]) == "sae"
    assert one_of("sae+pca", names) == "sae+pca"
    assert all_of(None, names) == ["raw", *names]
    with pytest.raises(InputError, match="choose with --features: raw, ncl, sae\\."):
        one_of(None, names)
    with pytest.raises(InputError, match="without \\+"):
        check_name("a+b")


@pytest.mark.usefixtures("no_figures")
def test_every_table_of_the_report_has_them_and_the_head_says_what_training_adds(
    beside: RunFolder, tmp_path: Path
) -> None:
    page = report_run(beside, out=tmp_path).read_text(encoding="utf-8")
    assert "What training the dictionary adds" in page
    assert (
        "Beside two dictionaries of its size that are random in part or not trained, the trained SAE has"
        in page
    )
    table = pd.read_csv(tmp_path / "tables/dictionary_baselines.csv")
    assert table["features"].tolist() == ["SAE", "SAE, frozen decoder", "SAE, PCA", "Raw"]
    assert table[["mono_first", "split", "one_sided", "live", "l2m"]].notna().all(axis=None)
    for name, column in (
        ("learned_scores", "features"),
        ("learned_quality", "features"),
        ("monosemanticity", "representation"),
        ("verdicts", "features"),
        ("close-gap_sets", "representation"),
    ):
        assert {"SAE", "SAE, PCA"} <= set(pd.read_csv(tmp_path / f"tables/{name}.csv")[column]), name
    assert "In words: SAE, PCA" not in page
    assert '"name":"SAE, PCA"' not in page.replace(": ", ":")
    assert "SAE, PCA was not learned on" not in page
    assert 'id="not-shown"' not in page
    assert "Mono on images of SAE" in Part(page, "dictionary").text or "Mono on images of SAE" in page


def test_what_has_no_such_baselines_is_said(beside: RunFolder) -> None:
    with pytest.raises(InputError, match="ncl are no autoencoder's"):
        train_baselines(beside, BaselinesConfig(like="ncl"))
    with pytest.raises(InputError, match="no features 'none'"):
        train_baselines(beside, BaselinesConfig(like="none"))
    with pytest.raises(InputError, match="There is no kind 'svd'"):
        BaselinesConfig(kind=("svd",))


def test_a_run_without_learned_features_is_told_what_to_train(learned_run: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(learned_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("features"))
    with pytest.raises(
        InputError, match=r"No features were learned on this run.*run modalens train sae first"
    ):
        train_baselines(RunFolder(tmp_path / "run"))


def test_studies_are_made_of_them_too(beside: RunFolder) -> None:
    known = find_representations(beside, make=False).representations
    for name in study_names():
        study = find_study(name)
        chosen = {
            each.name for each in _chosen(study, known, None if not study.one_representation else "sae")
        }
        if study.one_representation:
            assert name in ("adversarial", "text-to-image"), (
                "minutes each; the how-to says how to add baselines"
            )
        elif study.together:
            assert name in ("top-m", "known-gap"), "these have baselines in their own tables"
        else:
            assert {"raw", "sae", "sae+frozen_decoder", "sae+pca"} <= chosen, name


def test_the_study_of_m_compares_features_with_them(beside: RunFolder, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreting, "load_sample_embedder", loader([]))
        config = TopMConfig(m=(3, 5), draws=1)
        result = run_study(beside, "top-m", config, out=tmp_path, baselines=False)["raw"]
    assert {"raw", "ncl", "sae", "sae+frozen_decoder", "sae+pca"} == set(result.tables["by_m"]["features"])
    compared = set(result.tables["comparisons"]["comparison"])
    assert {"sae over sae+pca", "raw over sae", "fidelity of sae+pca"} <= compared
    assert not {"raw over sae+pca", "sae+frozen_decoder over sae+pca"} & compared
    assert not result.tables["ranking"]["order"].str.contains("+", regex=False).any()
    for side in ("images", "texts"):
        (said,) = (
            each for each in result.statements if f"Mono on {side} of sae beside its dictionary" in each
        )
        assert "over sae+frozen_decoder, which" in said
        assert "over sae+pca, which" in said
