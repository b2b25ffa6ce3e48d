"""How interpretable features are, in the report: beside chance and baselines, without missing numbers as numbers."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.interpret import PUBLISHED
from modalens.report import Judge, ReportData, write_report
from modalens.report.naming import Naming, interval, number
from modalens.report.rendering import drawing, to_svg
from modalens.report.sections.meaning import tables as meaning
from modalens.report.sections.meaning.figures import along_training, bars, mono
from modalens.report.sections.meaning.sentences import (
    judge_sentences,
    meaning_lines,
    meaning_statements,
    verdict_statements,
)
from modalens.report.sections.meaning.tables import find
from modalens.report.sections.registry import sections_of
from modalens.report.table_files import write_tables
from tests.interpreted import Part, make_interpreted, quick_page
from tests.report.meanings import only, unscored

EVIL = "<script>alert(1)</script>$\\frac{x$"


# Tables


def test_representations_stand_beside_their_baselines(meant: ReportData) -> None:
    listed = [(name, encoder.name) for name, encoder, _ in meaning.interpreted(meant)]
    assert listed == [("Raw", "Main"), ("SAE", "Main"), ("SAE", "Untrained twin")]
    tables = meaning.meaning_tables(meant)
    assert list(tables["monosemanticity"])[:3] == ["representation", "encoder", "rule"]
    for table in ("monosemanticity", "fidelity"):
        pairs = tables[table][["representation", "encoder"]].drop_duplicates()
        assert pairs.to_numpy().tolist() == [list(each) for each in listed]
        assert set(tables[table]["rule"]) == {"twofold"}
    assert list(tables["published_monosemanticity"]["model"]) == list(PUBLISHED)
    assert tables["published_monosemanticity"].set_index("model").loc["CLIP+SAE", "embsim_text"] == 0.74


def test_tables_hold_the_numbers(meant: ReportData) -> None:
    tables = meaning.meaning_tables(meant)
    fidelity = meant.main.interpreted[1].fidelity
    row = tables["monosemanticity"].query(
        "representation == 'SAE' and encoder == 'Main' and metric == 'mono' and modality == 'image' "
        "and label == 'cross'"
    )
    assert row["mean"].item() == fidelity.average("mono", "image", "cross").mean
    assert row["features"].item() == 10
    along = tables["monosemanticity_along_training"]
    assert along.groupby("encoder")["step"].apply(lambda steps: sorted(set(steps))).to_dict() == {
        "Main": [1, 2, 3],
        "Untrained twin": [1, 2],
    }
    assert set(along["representation"]) == {"SAE"}


def test_rows_of_the_page_follow_the_classes(meant: ReportData) -> None:
    rows = meaning.average_rows(meant.main, meant.modalities)
    assert [(row["features"], row["label"]) for row in rows] == [
        (name, label) for name in ("Raw", "SAE") for label in ("all", "image", "cross", "text")
    ]
    for row, found in zip(
        rows, [meant.main.interpreted[0]] * 4 + [meant.main.interpreted[1]] * 4, strict=True
    ):
        assert row["averages"] == [
            found.fidelity.average(metric, side, row["label"])
            for side in ("image", "text")
            for metric in ("mono", "embsim", "winrate")
        ]
    assert [row["features"] for row in meaning.fidelity_rows(meant.main, meant.modalities)] == ["Raw", "SAE"]


def test_verdicts_stand_beside_those_of_shuffled_pairs(meant: ReportData) -> None:
    rows = meaning.verdict_rows(meant)
    assert [(row["features"], row["encoder"], row["label"]) for row in rows] == [
        (*each, side)
        for each in (("Raw", "Main"), ("SAE", "Main"), ("SAE", "Untrained twin"))
        for side in ("image", "text")
    ]
    for row in rows:
        assert sum(row[verdict] for verdict in meaning.VERDICTS) == 10
        assert sum(row[f"{verdict}_shuffled"] for verdict in meaning.VERDICTS) == 10
    assert sum(row["split"] for row in rows) > sum(row["split_shuffled"] for row in rows)


def test_the_overview_is_elementwise_as_published(meant: ReportData) -> None:
    for row, found in zip(meaning.overview_rows(meant), meant.main.interpreted, strict=True):
        names = [(each.metric, each.modality, each.label) for each in row["averages"]]
        assert names == [
            (metric, side, "all")
            for metric in ("embsim_elementwise", "winrate")
            for side in ("image", "text")
        ]
        assert row["fidelities"][3] == found.fidelity.fidelity("winrate", "text")


def test_nothing_interpreted_gives_no_tables(data: ReportData, tmp_path: Path) -> None:
    assert meaning.names(data) == []
    assert meaning.meaning_tables(data) == {}
    assert meaning_statements(data) == verdict_statements(data) == []
    write_tables(sections_of(only(data, make_interpreted())), tmp_path)
    names = {path.stem for path in tmp_path.glob("*.csv")}
    assert {"monosemanticity", "fidelity", "verdicts", "published_monosemanticity"} <= names
    assert "monosemanticity_along_training" not in names  # nothing was trained
    frame = pd.read_parquet(tmp_path / "fidelity.parquet")
    assert list(frame["representation"].unique()) == ["SAE"]


# Sentences


def test_sentences_stand_beside_chance_and_baselines(meant: ReportData) -> None:
    sentences = meaning_statements(meant)
    raw, sae = (
        next(each for each in sentences if f" {name} features that fire for enough images" in each)
        for name in ("Raw", "SAE")
    )
    average = meant.main.interpreted[1].fidelity.average("mono", "image")
    twin = meant.baselines[0].interpreted[0].fidelity.average("mono", "image")
    assert average.low > average.chance
    assert sae == (
        f"Over the {average.features} SAE features that fire for enough images, the strongest images are on average "
        f"more alike than random ones: Mono {number(average.mean)} ({interval(average.low, average.high)}), "
        f"by chance {number(average.chance)}; "
        f"it is {number(twin.mean)} in the untrained twin."
    )
    assert "are on average not told from random ones (a test at 0.05 finds a difference of " in raw
    assert "twin" not in raw


def test_fidelity_is_told_with_what_permuted_classes_give(meant: ReportData) -> None:
    found = meant.main.interpreted[1]

    def told(value: float, low: float, high: float, permuted: float = 0.08) -> list[str]:
        fidelities = [
            dataclasses.replace(each, value=value, low=low, high=high, null_low=-permuted, null_high=permuted)
            for each in found.fidelity.fidelities
        ]
        fidelity = dataclasses.replace(found.fidelity, fidelities=tuple(fidelities))
        data = only(meant, dataclasses.replace(found, fidelity=fidelity))
        return [each for each in meaning_statements(data) if "fidelity" in each]

    visual, textual = told(0.2, 0.1, 0.3)
    assert visual.startswith("Visual fidelity of SAE is 0.200 (0.100 to 0.300; with classes permuted ")
    assert visual.endswith(
        "features of the image side are more monosemantic in images than those of the other side."
    )
    assert textual.endswith(
        "features of the text side are more monosemantic in texts than those of the other side."
    )
    assert "are less monosemantic in images" in told(-0.2, -0.3, -0.1)[0]
    assert told(0.2, 0.1, 0.3, permuted=0.25)[0].endswith("classes drawn at random differ as much in images.")
    assert told(0.1, -0.1, 0.3)[1].endswith(
        "the two classes are not told apart in texts "
        "(a test at 0.05 finds a difference of 0.286 with power 0.8)."
    )
    assert told(np.nan, np.nan, np.nan) == []


def test_an_embsim_that_divides_by_nearly_nothing_is_called_so(meant: ReportData) -> None:
    found = meant.main.interpreted[1]

    def told(chance: float) -> str:
        averages = [
            dataclasses.replace(each, chance=chance) if each.metric == "embsim" else each
            for each in found.fidelity.averages
        ]
        fidelity = dataclasses.replace(found.fidelity, averages=tuple(averages))
        return meaning_statements(only(meant, dataclasses.replace(found, fidelity=fidelity)))[0]

    assert "say nothing here" not in told(0.1)
    assert "Random images have an EmbSim of −30.500 where 0 is due" in told(-30.5)


def test_mono_under_chance_is_called_so_and_one_without_an_interval_is_not_judged(meant: ReportData) -> None:
    found = meant.main.interpreted[1]

    def told(low: float, high: float) -> str:
        averages = [
            dataclasses.replace(each, mean=0.2, low=low, high=high, chance=0.3)
            for each in found.fidelity.averages
        ]
        fidelity = dataclasses.replace(found.fidelity, averages=tuple(averages))
        return meaning_statements(only(meant, dataclasses.replace(found, fidelity=fidelity)))[0]

    assert "are on average less alike than random ones: Mono 0.200 (0.150 to 0.250), by chance 0.300" in told(
        0.15, 0.25
    )
    assert "(a test at 0.05 finds a difference of 0.286 with power 0.8): Mono 0.200" in told(0.0, 0.4)
    assert "are on average not told from random ones (it has no interval): Mono 0.200 (—)" in told(
        np.nan, np.nan
    )


def test_a_line_says_where_fidelity_tells_nothing(meant: ReportData) -> None:
    found = meant.main.interpreted[1]

    def line(low: float, high: float, permuted: float) -> str:
        fidelities = [
            dataclasses.replace(each, value=0.2, low=low, high=high, null_low=-permuted, null_high=permuted)
            for each in found.fidelity.fidelities
        ]
        fidelity = dataclasses.replace(found.fidelity, fidelities=tuple(fidelities))
        return meaning_lines(only(meant, dataclasses.replace(found, fidelity=fidelity)))[0][1]

    assert "visual fidelity 0.200 (0.100 to 0.300);" in line(0.1, 0.3, 0.1)
    assert "visual fidelity 0.200 (0.100 to 0.300, as classes drawn at random give);" in line(0.1, 0.3, 0.4)
    assert "visual fidelity 0.200 (−0.100 to 0.500, not told from 0);" in line(-0.1, 0.5, 0.1)
    assert "visual fidelity 0.200 (no interval, not told from 0);" in line(np.nan, np.nan, 0.1)


def test_what_has_no_score_is_said(meant: ReportData) -> None:
    data = only(meant, unscored(meant.main.interpreted[1]))
    sentences = meaning_statements(data)
    assert "No SAE feature fires for enough texts to be scored." in sentences
    assert len(sentences) == 2
    assert verdict_statements(data) == ["SAE has no one-sided features under twofold."]


def test_verdicts_are_counted_over_both_sides(meant: ReportData) -> None:
    found = dataclasses.replace(
        meant.main.interpreted[0],
        verdicts={
            "image": {"split": 3, "private": 4, "unclear": 5},
            "text": {"split": 1000, "private": 30, "unclear": 2},
        },
        shuffled_verdicts={
            "image": {"split": 1, "private": 9, "unclear": 2},
            "text": {"split": 1, "private": 1031, "unclear": 0},
        },
    )
    (sentence,) = verdict_statements(only(meant, found))
    assert sentence == (
        "Of 1,044 one-sided Raw features, 1,003 are halves of split concepts (2 with pairs shuffled); for 34 a "
        "partner on the other side is ruled out, which calls them private (1,040 with pairs shuffled), and 7 stay "
        "unclear (2 with pairs shuffled)."
    )


def test_verdicts_and_fidelity_name_those_of_the_twins(meant: ReportData) -> None:
    twin = meant.baselines[0].interpreted[0]
    counted = {
        verdict: sum(twin.verdicts[side][verdict] for side in ("image", "text"))
        for verdict in meaning.VERDICTS
    }
    sentence = verdict_statements(meant)[1]
    for verdict in meaning.VERDICTS:
        assert f"{counted[verdict]} of {sum(counted.values())} in the untrained twin" in sentence
    told = []
    for data, value in ((meant.main, 0.25), (meant.baselines[0], 0.125)):
        found = find(data, "SAE")
        fidelities = [
            dataclasses.replace(each, value=value, low=value - 0.1, high=value + 0.1)
            for each in found.fidelity.fidelities
        ]
        fidelity = dataclasses.replace(found.fidelity, fidelities=tuple(fidelities))
        told.append(dataclasses.replace(data, interpreted=[dataclasses.replace(found, fidelity=fidelity)]))
    beside = dataclasses.replace(meant, main=told[0], baselines=told[1:])
    (visual,) = [each for each in meaning_statements(beside) if "Visual fidelity of SAE" in each]
    assert "; it is 0.125 in the untrained twin): features of the image side are more monosemantic" in visual


# The page


@pytest.fixture(scope="module")
def page(meant: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(meant, tmp_path_factory.mktemp("meaning"))


def test_the_section_shows_every_number(meant: ReportData, page: Path) -> None:
    part = Part(page.read_text(encoding="utf-8"), "meaning")
    overview, averages, fidelity, *rest = part.tables
    assert [row[0] for row in overview] == [
        "Features",
        "Raw",
        "SAE",
        *(f"{name}, published" for name in PUBLISHED),
    ]
    assert overview[-1][1:5] == ["0.17", "0.74", "0.60", "0.61"]
    found = meant.main.interpreted[1].fidelity.average("mono", "image", "image")
    (row,) = [row for row in averages if row[:2] == ["SAE", "ImgD"]]
    assert row[2] == str(found.features)
    assert row[3] == (f"{number(found.mean)} / {number(found.chance)} | {interval(found.low, found.high)}")
    assert all(len(row) == len(table[0]) for table in part.tables for row in table)
    assert [row[0] for row in fidelity[1:]] == ["Raw", "SAE"]
    assert part.folded == [True] * 6
    assert "The same for the untrained twin" in part.text
    assert "The same for the closed twin" not in part.text
    verdicts = rest[-1]
    assert [row[0] for row in verdicts[1:]] == ["Raw, Main"] * 2 + ["SAE, Main"] * 2 + [
        "SAE, Untrained twin"
    ] * 2
    counts = meant.main.interpreted[0]
    split = f"{counts.verdicts['image']['split']} | {counts.shuffled_verdicts['image']['split']}"
    assert verdicts[1][1:3] == ["ImgD", split]


def test_figures_are_files(page: Path) -> None:
    names = {path.name for path in (page.parent / "figures").iterdir()}
    assert {"mono.png", "mono.svg", "mono_training.png", "mono_training.svg"} <= names


def test_without_interpretations_there_is_no_section(data: ReportData, tmp_path: Path) -> None:
    markup = quick_page(data, tmp_path)
    assert 'id="meaning' not in markup
    assert "#meaning" not in markup


def test_missing_numbers_are_dashes(meant: ReportData, tmp_path: Path) -> None:
    data = only(meant, unscored(meant.main.interpreted[1]))
    part = Part(quick_page(data, tmp_path), "meaning")
    assert not re.search(r"\b(nan|NaN|None|inf)\b", part.text)
    (row,) = [row for row in part.tables[1] if row[:2] == ["SAE", "all"]]
    assert row[6:8] == ["0", "— / — | —"]


def test_names_stay_names(meant: ReportData, tmp_path: Path) -> None:
    found = [dataclasses.replace(each, name=each.name + EVIL) for each in meant.main.interpreted]
    twin = dataclasses.replace(
        meant.baselines[0],
        name=f"Twin{EVIL}",
        interpreted=[
            dataclasses.replace(each, name=each.name + EVIL) for each in meant.baselines[0].interpreted
        ],
    )
    main = dataclasses.replace(meant.main, name=f"Main{EVIL}", interpreted=found)
    data = dataclasses.replace(meant, main=main, baselines=[twin])
    markup = quick_page(data, tmp_path)
    assert "<script>alert" not in markup
    part = Part(markup, "meaning")
    assert "script" not in part.tags
    assert part.tables[0][1][0] == f"Raw{EVIL}"
    with drawing():
        for draw in (mono, bars, along_training):
            svg = to_svg(draw(data, Naming(*data.modalities)))
            assert "<script" not in svg
            assert "&lt;script" in svg


def test_other_modalities_read_right(data: ReportData, encoder, tmp_path: Path) -> None:
    modalities = ("audio", "text")
    main = dataclasses.replace(
        encoder("CLAP", modalities=modalities), interpreted=[make_interpreted(modalities=modalities)]
    )
    part = Part(quick_page(ReportData("Sounds", "Few.", main), tmp_path), "meaning")
    assert "Mono, sounds" in part.tables[1][0]
    assert "Audio, Mono" in part.tables[2][0]
    assert "published" not in part.text
    assert [row[1] for row in part.tables[1][1:]] == ["all", "AudioD", "CrossD", "TextD"]


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        (
            Judge("labels:a,b", "nothing", ("a", "b")),
            "by the labels they share (a and b), which Main has no part in.",
        ),
        (Judge("vit", "nothing"), "by vit, which shares no weights with Main."),
        (Judge("minilm", "tower"), "by minilm, which Main holds as a frozen tower"),
        (Judge("own", "model"), "by the embeddings of Main itself, which flatters"),
        (Judge("vlm:clip", "model"), "by vlm:clip, which is Main itself, which flatters"),
        (Judge("vit", "unknown"), "the records do not say"),
    ],
)
def test_the_page_says_what_the_judge_shares(meant: ReportData, judge: Judge, words: str) -> None:
    found = dataclasses.replace(meant.main.interpreted[0], judges={"image": judge})
    (sentence,) = judge_sentences(only(meant, found))
    assert sentence.startswith("Likeness of images is judged ")
    assert words in sentence
