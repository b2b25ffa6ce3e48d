"""The study of m on planted features: some mean something in their few strongest samples alone, some in many."""

import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.report.charts import PageCanvas
from modalens.report.rendering import drawing
from modalens.studies.result import StudyResult
from modalens.studies.top_sample_count.curves import verdict
from modalens.studies.top_sample_count.figures import FIGURES
from modalens.studies.top_sample_count.study import Scored, top_m

CONCEPTS, EACH, TIGHT = 8, 50, 5
SIDES = ("image", "text")


def samples(rng: np.random.Generator) -> np.ndarray:
    """50 samples of each of 8 concepts, 5 of which are nearly the same."""
    loose, noise = rng.normal(size=(CONCEPTS, 32)), rng.normal(size=(CONCEPTS, EACH, 32))
    tight = rng.normal(size=(CONCEPTS, 32))
    found = 0.8 * loose[:, None] + noise
    found[:, :TIGHT] = 2 * tight[:, None] + 0.3 * noise[:, :TIGHT]
    return found.reshape(-1, 32).astype(np.float32) + 1.0


def codes(rng: np.random.Generator, sharp: bool) -> np.ndarray:
    """One feature a concept: its 5 tight samples and then any others, or all 45 others of the concept first."""
    found = rng.uniform(0, 0.5, (CONCEPTS * EACH, CONCEPTS))
    for concept in range(CONCEPTS):
        mine = np.arange(concept * EACH, (concept + 1) * EACH)
        found[mine[:TIGHT], concept] = rng.uniform(2, 3, TIGHT) if sharp else 0
        if not sharp:
            found[mine[TIGHT:], concept] = rng.uniform(1, 3, EACH - TIGHT)
    return found


def scored(rng: np.random.Generator, sharp: bool) -> Scored:
    image, text = codes(rng, sharp), codes(rng, sharp)
    image[:, : CONCEPTS // 2] *= 9
    text[:, CONCEPTS // 2 :] *= 9
    return Scored(image, text, modality_dominance(image, text, resamples=0))


@pytest.fixture(scope="module")
def found() -> StudyResult:
    rng = np.random.default_rng(0)
    embeddings = (samples(rng), samples(rng))
    representations = {"sharp": scored(rng, True), "broad": scored(rng, False), "again": scored(rng, False)}
    return top_m(representations, embeddings, m=(5, 40), draws=2)


def test_a_planted_ranking_turns_with_m(found: StudyResult) -> None:
    ranking = found.tables["ranking"].query("metric == 'mono' and modality == 'image'").set_index("m")
    assert ranking.index.tolist() == [5, 20, 40]
    assert ranking.loc[5, "order"].startswith("sharp > ")
    assert ranking.loc[40, "order"].endswith(" > sharp")
    assert ranking["same"].tolist()[1]
    assert not ranking["same"].tolist()[0]
    told = found.tables["comparisons"].query("metric == 'mono'").set_index(["comparison", "modality"])
    for side in SIDES:
        assert told.loc[("sharp over broad", side), "verdict"] == "turns"
        assert told.loc[("broad over again", side), "verdict"] == "open"
    assert any("the order of representations hangs on m: " in each for each in found.statements)
    assert any("what is decided of it follows" in each for each in found.statements)
    assert any(
        "sharp over broad" in each and "changes its sign with m, decided on both sides" in each
        for each in found.statements
    )


def test_values_stand_beside_random_samples(found: StudyResult) -> None:
    table = found.tables["by_m"]
    assert set(table["quantity"]) == {"mean", "fidelity"}
    assert (table["value_low"] <= table["value"]).all()
    assert (table["value"] <= table["value_high"]).all()
    means = table.query("metric == 'embsim' and quantity == 'mean'")
    assert means["chance"].abs().max() < 0.35
    assert (means["full"] == 1).all()


def test_a_ranking_that_does_not_hang_on_m_holds() -> None:
    rng = np.random.default_rng(1)
    embeddings = (samples(rng), samples(rng))
    noise = rng.uniform(0, 1, (2, CONCEPTS * EACH, CONCEPTS))
    nothing = Scored(noise[0], noise[1], modality_dominance(*noise, resamples=0))
    result = top_m({"broad": scored(rng, False), "noise": nothing}, embeddings, m=(5, 40), draws=2)
    told = result.tables["comparisons"].query("metric == 'mono'").set_index("comparison")
    assert (told.loc["broad over noise", "verdict"] == "holds").all()
    assert result.tables["ranking"]["same"].all()
    assert result.statements[0].endswith(
        "is broad > noise at every m, m from 5 to 40; what is decided of it follows."
    )


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(0.1, 0.2), (0.3, 0.4)], "holds"),
        ([(-0.2, -0.1), (-0.4, -0.3)], "holds"),
        ([(0.1, 0.2), (-0.1, 0.4)], "open"),
        ([(0.1, 0.2), (-0.1, 0.4), (-0.3, -0.1)], "turns"),
        ([(0.1, 0.2), (np.nan, np.nan)], "open"),
        ([(-0.1, 0.2)], "open"),
    ],
)
def test_the_rule_of_the_verdict(intervals: list[tuple[float, float]], expected: str) -> None:
    assert verdict(intervals) == expected


def test_features_that_fire_for_few_samples_are_told() -> None:
    rng = np.random.default_rng(2)
    few = scored(rng, True)
    image = np.where(few.image > 1, few.image, 0)
    result = top_m({"few": Scored(image, few.text, few.mds)}, (samples(rng), samples(rng)), m=(5,), draws=1)
    assert not len(result.tables["ranking"])
    assert any("At m = 20 not every feature fires for so many images" in each for each in result.statements)
    with pytest.raises(ModalensError, match="no representation"):
        top_m({}, (image, image))


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_draws_a_line_for_each_representation(found: StudyResult, narrow: bool) -> None:
    (figure,) = FIGURES
    assert figure.fits(found)
    with drawing():
        axes = figure.draw({"Raw": found}, [], SIDES, PageCanvas(narrow)).axes
    assert len(axes) == 2
    assert {line.get_label() for line in axes[0].lines} >= {"sharp", "broad", "again"}
