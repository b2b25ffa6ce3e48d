"""Measures beside a gap that is closed by known means: planted ones follow, and one that cannot does not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from modalens.dominance import modality_dominance, modality_gap
from modalens.errors import ModalensError
from modalens.studies import StudyResult
from modalens.studies.gap_validation.figures import FIGURES
from modalens.studies.gap_validation.following import spearman, verdict_of
from modalens.studies.gap_validation.measures import L2M, MEASURES, RMG, SPREAD, resampled_measures
from modalens.studies.gap_validation.moves import MOVES
from modalens.studies.gap_validation.study import known_gap

N, D = 200, 24
QUICK = {"levels": 4, "resamples": 50}


def planted(sized: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs around two means, one of them at 0; with ``sized`` some dimensions also vary more on one side."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(N, D))
    image, text = (shared + 0.5 * rng.normal(size=(N, D)) for _ in range(2))
    gap = rng.normal(size=D)
    scale = np.ones(D)
    scale[:8] += sized
    return image * scale + 2 * gap, text * scale[::-1]


def of(result: StudyResult, move: str, measure: str) -> dict[str, Any]:
    table = result.tables["following"]
    row: dict[str, Any] = table[(table["move"] == move) & (table["measure"] == measure)].iloc[0].to_dict()
    return row


def test_measures_follow_a_gap_of_means_alone() -> None:
    result = known_gap(*planted(), **QUICK)
    for move in MOVES:
        for measure in (L2M, RMG, SPREAD):
            row = of(result, move, measure)
            assert row["verdict"] == "follows", (move, measure)
            assert row["spearman_low"] <= row["spearman"] <= row["spearman_high"] < 0
    for move in ("mean", "moments"):
        assert of(result, move, SPREAD)["end"] < of(result, move, SPREAD)["start"] / 3
    assert of(result, "swap", SPREAD)["end"] == pytest.approx(of(result, "swap", SPREAD)["floor"], rel=0.5)
    levels = result.tables["levels"]
    assert len(levels) == 5 * len(MOVES)
    for measure in MEASURES:
        assert (levels[f"{measure}_low"] <= levels[measure]).all()
        assert (levels[measure] <= levels[f"{measure}_high"]).all()
    assert any("the spread of R follows: " in each for each in result.statements)


def test_a_spread_that_is_no_matter_of_means_stays() -> None:
    result = known_gap(*planted(sized=4.0), **QUICK)
    by_means, by_moments = of(result, "mean", SPREAD), of(result, "moments", SPREAD)
    assert by_means["end"] > 3 * by_means["floor"]
    assert by_moments["end"] < by_means["end"] / 2
    assert by_moments["verdict"] == "follows"


def test_the_measures_are_those_of_the_package() -> None:
    image, text = planted()
    groups = np.arange(N) // 4
    found = resampled_measures(image, text, groups, np.ones((N // 4, 1)))[:, 0]
    gap = modality_gap(image, text, groups=groups, resamples=0)
    mds = modality_dominance(image, text, resamples=0)
    values = dict(zip(MEASURES, found, strict=True))
    assert values[L2M] == pytest.approx(gap.l2m_unbiased)
    assert values[RMG] == pytest.approx(gap.rmg)
    assert values[SPREAD] == pytest.approx(np.std(mds.score))
    for rule in ("twofold", "mu_sigma"):
        labels = mds.with_rule(rule).labels
        assert values[f"one_sided_{rule}"] == pytest.approx(np.isin(labels, ["image", "text"]).mean())


@pytest.mark.filterwarnings("error")
def test_samples_that_are_all_alike_have_no_share_of_gap() -> None:
    same = np.ones((6, 3))
    found = resampled_measures(same, same, np.arange(6), np.ones((6, 2)))
    assert np.isnan(found[MEASURES.index(RMG)]).all()
    assert np.array_equal(found[MEASURES.index(L2M)], [0, 0])


def test_a_resample_is_the_data_with_groups_repeated() -> None:
    image, text = planted()
    groups = np.arange(N) // 2
    weights = np.random.default_rng(0).multinomial(N // 2, np.full(N // 2, 2 / N), size=1).T.astype(float)
    taken = np.repeat(np.arange(N), weights[groups, 0].astype(int))
    found = resampled_measures(image, text, groups, weights)[:, 0]
    mds = modality_dominance(image[taken], text[taken], resamples=0)
    assert found[MEASURES.index(SPREAD)] == pytest.approx(np.std(mds.score))


def test_moves_close_what_they_are_said_to_close() -> None:
    image, text = planted(sized=2.0)
    apart = image.mean(axis=0) - text.mean(axis=0)
    for name in ("mean", "moments"):
        a, b = MOVES[name][1](image, text, 0.25, 0)
        np.testing.assert_allclose(a.mean(axis=0) - b.mean(axis=0), 0.75 * apart)
    a, b = MOVES["moments"][1](image, text, 1.0, 0)
    np.testing.assert_allclose(a.std(axis=0), b.std(axis=0))
    a, b = MOVES["shift"][1](image, text, 0.5, 0)
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1)
    a, b = MOVES["swap"][1](image, text, 1.0, 0)
    assert (a == text).all(axis=1).sum() == N // 2
    for _, move in MOVES.values():
        start = move(image, text, 0.0, 0)
        np.testing.assert_allclose(start[0] / np.linalg.norm(start[0], axis=1)[:, None],
                                   image / np.linalg.norm(image, axis=1)[:, None])  # fmt: skip


def test_rank_correlations_and_verdicts() -> None:
    columns = np.array([[4.0, 1, 2, 7], [3, 2, 2, 7], [2, 3, 1, 8], [1, 4, 1, 6]])
    expected = [-1, 1, -0.894, -0.316]
    np.testing.assert_allclose(spearman(columns), expected, atol=1e-3)
    assert spearman(np.ones((4, 1)))[0] == 0
    found = [
        verdict_of(*each) for each in ((-1, -1, -0.9), (-0.8, -1, -0.5), (-0.2, -0.6, 0.3), (0.9, 0.5, 1))
    ]
    assert found == ["follows", "partly", "not told", "moves away"]


def test_autoencoders_are_trained_at_four_levels() -> None:
    result = known_gap(*planted(), **QUICK, steps=3, n_features=16, k=2)
    table = result.tables["learned"]
    for kind in ("topk", "frozen_decoder"):
        assert list(table.loc[table["features"] == kind, "closed"]) == [0, 0.5, 0.75, 1]
    assert len(table) == 8
    assert ((table["one_sided"] >= 0) & (table["one_sided"] <= 1)).all()
    assert any("Autoencoders trained on the pairs as they are" in each for each in result.statements)
    assert any("decoder rows that stay random directions it is" in each for each in result.statements)


def test_many_pairs_are_drawn_from_and_bad_input_is_said() -> None:
    result = known_gap(*planted(), **QUICK, max_pairs=60, groups=np.arange(N) // 2)
    assert result.config["pairs"] == 60
    assert "Of 200 pairs 60 were drawn at random." in result.statements
    pd.testing.assert_frame_equal(
        result.tables["levels"],
        known_gap(*planted(), **QUICK, max_pairs=60, groups=np.arange(N) // 2).tables["levels"],
    )
    with pytest.raises(ModalensError, match="levels is 1; it must be at least 3"):
        known_gap(*planted(), levels=1)


def test_the_figure_has_a_panel_for_each_measure() -> None:
    class Page:
        narrow = False

        def new_figure(self, height: float) -> Figure:
            return Figure(figsize=(7, height), layout="constrained")

        def colour(self, name: str) -> str:
            return "black" if name else ""

    result = known_gap(*planted(), **QUICK)
    assert FIGURES[0].fits(result)
    figure = FIGURES[0].draw({"raw": result}, (), ("image", "text"), Page())
    assert [axes.get_title() for axes in figure.axes] == ["L2M", "RMG", "spread of R", "one-sided, twofold"]
