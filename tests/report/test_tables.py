"""The tables hold the numbers of the results."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.report import ReportData
from modalens.report.sections.estimators.tables import agreement, rank_correlation
from modalens.report.sections.registry import sections_of
from modalens.report.table_files import write_tables


def tables(data: ReportData) -> dict[str, pd.DataFrame]:
    return {name: frame for section in sections_of(data) for name, frame in section.tables.items()}


def test_features_hold_both_rules_and_all_estimators(data: ReportData) -> None:
    frame = tables(data)["features"]
    scores = data.scores
    np.testing.assert_array_equal(frame["score"], scores.score)
    for rule in ("mu_sigma", "twofold"):
        np.testing.assert_array_equal(frame[f"class_{rule}"], scores.with_rule(rule).labels)
        np.testing.assert_array_equal(frame[f"probability_{rule}"], scores.with_rule(rule).probability)
    np.testing.assert_array_equal(frame["score_energy_ratio"], data.main.scores("energy_ratio").score)
    assert "score_signed_ratio" not in frame


def test_gap_and_classes_hold_every_encoder(data: ReportData) -> None:
    found = tables(data)
    gap = found["gap"].set_index(["encoder", "metric"])
    classes = found["classes"].set_index(["encoder", "rule", "class"])
    for encoder in data.encoders:
        for metric in ("l2m_unbiased", "l2m", "l2i", "rmg", "separability"):
            row = gap.loc[(encoder.name, metric)]
            assert row["value"] == getattr(encoder.gap, metric)
            assert (row["low"], row["high"]) == encoder.gap.intervals[metric]
            assert row["labels_swapped_mean"] == encoder.gap.null[metric][0]
        scores = encoder.scores("mean_ratio")
        for label, wanted in scores.counts("twofold").items():
            row = classes.loc[(encoder.name, "twofold", label)]
            assert row["count"] == wanted
            assert (row["low"], row["high"]) == scores.count_intervals("twofold")[label]
    baselines = found["baseline_scores"]
    assert list(baselines["encoder"].unique()) == ["Untrained twin", "Closed twin", "Labels swapped"]
    assert set(found["retrieval"]["encoder"]) == {"Main", "Untrained twin"}
    assert set(found["retrieval"]["direction"]) == {"image to text", "text to image"}


def test_csv_and_parquet_say_the_same(data: ReportData, tmp_path: Path) -> None:
    write_tables(sections_of(data), tmp_path)
    for name, frame in tables(data).items():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), frame)
        read = pd.read_csv(tmp_path / f"{name}.csv", dtype={"id": str})
        pd.testing.assert_frame_equal(read, frame, check_dtype=False)


def test_agreement_and_rank_correlation_against_plain_loops(data: ReportData) -> None:
    a, b = data.scores, data.main.scores("energy_ratio")
    labels_a, labels_b = a.with_rule("twofold").labels, b.with_rule("twofold").labels
    same = sum(x == y for x, y in zip(labels_a, labels_b, strict=True)) / len(labels_a)
    assert agreement(a, b, "twofold") == pytest.approx(same)
    ranks = [np.array([sum(other < each for other in s.score) for each in s.score]) for s in (a, b)]
    assert rank_correlation(a, b) == pytest.approx(np.corrcoef(*ranks)[0, 1])
