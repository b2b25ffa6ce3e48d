"""Learned features in the report."""

import dataclasses

import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.dominance.retrieval import measure_retrieval
from modalens.features.quality import Quality
from modalens.report import LearnedResult, ReportData, write_report
from modalens.report.naming import Naming
from modalens.report.sections.learned.figures import score_grid
from modalens.report.sections.learned.sentences import (
    beside_statements,
    learned_line,
    learned_statements,
    said_pairs,
)
from modalens.report.sections.learned.tables import learned_tables
from tests.interpreted import quick_page


def quality(pairs: int, seed: int, fvu: float | None) -> Quality:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(pairs, 8))
    before = measure_retrieval(image, image + 0.1 * rng.normal(size=(pairs, 8)))
    after = measure_retrieval(image, image + 3 * rng.normal(size=(pairs, 8)))
    sides = ("image", "text")
    return Quality(
        pairs=pairs,
        fvu={} if fvu is None else dict.fromkeys(sides, (fvu, fvu - 0.01, fvu + 0.01)),
        variance=dict.fromkeys(sides, 0.5),
        active=dict.fromkeys(sides, 20),
        per_sample=dict.fromkeys(sides, 4.0),
        before=before,
        after=after,
    )


def features(name: str, one_sided: float, seed: int, fvu: float | None = 0.2) -> LearnedResult:
    """Codes of 30 features, the last dead, of which a share fires for one modality alone."""
    rng = np.random.default_rng(seed)
    image, text = rng.random((60, 30)), rng.random((60, 30))
    image[:, : int(30 * one_sided)] = 0
    image[:, -1] = text[:, -1] = 0
    log = [
        {
            "step": step,
            "train": {"active_image": 30 - step, "active_text": 30, "fvu_image": 0.1, "retrieval": {}},
        }
        for step in (5, 10)
    ]
    held = None if fvu is None else fvu + 0.1
    return LearnedResult(
        name,
        f"{name} of a test.",
        {"mean_ratio": modality_dominance(image, text, resamples=20)},
        {"train": quality(60, seed, fvu), "held-out": quality(40, seed + 1, held)},
        log,
        command="sae",
        options="--n-features 30 --k 4",
        trained_on=["train"],
    )


@pytest.fixture(scope="module")
def learned_data(data: ReportData) -> ReportData:
    untrained, closed = data.baselines
    main = dataclasses.replace(
        data.main, learned=[features("SAE", 0.5, 0), features("NCL <b>", 0.0, 1, fvu=None)]
    )
    untrained = dataclasses.replace(untrained, learned=[features("SAE", 0.45, 2)])
    closed = dataclasses.replace(closed, learned=[features("SAE", 0.1, 3)])
    return dataclasses.replace(data, main=main, baselines=[untrained, closed])


def test_every_representation_stands_beside_its_baselines(learned_data: ReportData) -> None:
    frame = learned_tables(learned_data)["learned_scores"].set_index(["features", "encoder"])
    assert len(frame) == 3 + 3 + 1
    sae = frame.loc[("SAE", "Main")]
    assert (sae["live"], sae["dead"], sae["text"]) == (29, 1, 15)
    assert sae["outer_share"] == pytest.approx(15 / 29)
    assert sae["outer_low"] < 15 / 29 < sae["outer_high"]


def test_quality_and_training_are_tables_too(learned_data: ReportData) -> None:
    tables = learned_tables(learned_data)
    quality_table = tables["learned_quality"]
    sae = quality_table.query("features == 'SAE' and encoder == 'Main' and split == 'held-out'").iloc[0]
    assert sae["fvu_image"] == pytest.approx(0.3)
    assert sae["image_to_text_r1_before"] == 1
    assert sae["image_to_text_r1_after"] < 1
    training = tables["learned_training"].query("features == 'SAE' and encoder == 'Main'")
    assert list(training["active_image"]) == [25, 20]


def test_sentences_credit_nothing_that_a_baseline_shows_as_well(learned_data: ReportData) -> None:
    tails, kept, found, *_ = learned_statements(learned_data)
    assert "of the live SAE features" in tails
    assert "45\u00a0% in the untrained twin" in tails
    assert "cannot be credited to training" in tails
    assert "On held-out pairs SAE leaves 30.0\u00a0% for images and 30.0\u00a0% for texts" in kept
    assert "20.0\u00a0% for images and 20.0\u00a0% for texts on the training pairs." in kept
    assert found.startswith("On held-out pairs retrieval R@1, among ")
    assert "falls from 100.0\u00a0% with the embeddings to " in found
    assert "with the reconstructions of SAE (image to text) and falls from 100.0\u00a0% to " in found
    assert found.endswith("\u00a0% (text to image).")


def test_what_was_measured_on_the_training_pairs_says_so(learned_data: ReportData) -> None:
    (learned, *_) = learned_data.main.learned
    everything = dataclasses.replace(learned, quality={"all": learned.quality["train"]}, trained_on=["all"])
    main = dataclasses.replace(learned_data.main, learned=[everything])
    _, kept, found = learned_statements(dataclasses.replace(learned_data, main=main))
    assert kept.startswith("On the training pairs SAE leaves")
    assert found.startswith("On the training pairs retrieval R@1, among ")
    line = learned_line(dataclasses.replace(learned_data, main=main), everything)
    assert (
        "; on the training pairs 20.0\u00a0% and 20.0\u00a0% of the variance unexplained and R@1 from "
        in line
    )
    assert f"(100.0\u00a0% with the embeddings) among {learned.quality['train'].before.n:,}." in line


def test_recall_whose_intervals_overlap_is_not_said_to_move(learned_data: ReportData) -> None:
    (learned, *_) = learned_data.main.learned
    name, last = list(learned.quality.items())[-1]
    there = dict.fromkeys(last.before.chance, (0.4, 0.3, 0.5))
    back = dict.fromkeys(last.before.chance, (0.6, 0.55, 0.7))
    quality = dataclasses.replace(
        last,
        before=dataclasses.replace(last.before, image_to_text=there, text_to_image=there),
        after=dataclasses.replace(last.after, image_to_text=there, text_to_image=back),
    )
    only = dataclasses.replace(learned, quality={name: quality})
    main = dataclasses.replace(learned_data.main, learned=[only])
    found = learned_statements(dataclasses.replace(learned_data, main=main))[-1]
    assert "goes, within intervals that overlap, from 40.0\u00a0%" in found
    assert "and rises from 40.0\u00a0% to 60.0\u00a0% (text to image)" in found


def test_a_baseline_that_lacks_the_features_is_named_with_the_command(learned_data: ReportData) -> None:
    sae, *_ = learned_data.main.learned
    untrained, closed = learned_data.baselines
    none = dataclasses.replace(untrained, learned=[], place="baselines/untrained")
    other = dataclasses.replace(closed, learned=[dataclasses.replace(closed.learned[0], options="--k 8")])
    main = dataclasses.replace(learned_data.main, learned=[sae])

    def told(*baselines) -> list[str]:
        return beside_statements(dataclasses.replace(learned_data, main=main, baselines=baselines))

    assert told(untrained, closed) == [
        "SAE was learned with the same settings on the untrained twin and the closed twin."
    ]
    assert told(none, other) == [
        "SAE was learned with other settings on the closed twin.",
        (
            "SAE was not learned on the untrained twin, so it lacks this baseline: modalens train sae "
            "RUN/baselines/untrained --n-features 30 --k 4 (RUN is the folder of this run)."
        ),
    ]


def test_features_of_other_pairs_name_what_they_lack_in_one_sentence(learned_data: ReportData) -> None:
    ours = [dataclasses.replace(each, command="") for each in learned_data.main.learned]
    main = dataclasses.replace(learned_data.main, learned=ours)
    bare = dataclasses.replace(learned_data.baselines[0], learned=[], place="baselines/untrained")
    assert beside_statements(dataclasses.replace(learned_data, main=main, baselines=[bare])) == [
        "SAE and NCL <b> were not learned on the untrained twin, so they lack this baseline."
    ]


def test_a_name_keeps_its_case(learned_data: ReportData) -> None:
    main = dataclasses.replace(learned_data.main, name="MyClip twin", said="")
    assert main.spoken == "MyClip twin"
    small = dataclasses.replace(learned_data.main.learned[0], name="topk-n256")
    said = learned_statements(
        dataclasses.replace(learned_data, main=dataclasses.replace(main, learned=[small]))
    )
    assert any("topk-n256 leaves" in sentence for sentence in said)
    assert not any("Topk" in sentence for sentence in said)


def test_a_baseline_without_tails_leaves_them_to_the_encoder(learned_data: ReportData) -> None:
    alone = dataclasses.replace(learned_data, baselines=[learned_data.baselines[1]])
    assert "credited" not in learned_statements(alone)[0]
    none = dataclasses.replace(learned_data, baselines=[])
    assert "says nothing of what was learned" in learned_statements(none)[0]


def test_the_page_has_the_section_only_with_learned_features(
    learned_data: ReportData, data: ReportData, tmp_path
) -> None:
    page = write_report(learned_data, tmp_path / "with").read_text(encoding="utf-8")
    assert '<section id="learned"' in page
    assert "NCL &lt;b&gt;" in page
    assert "NCL <b>" not in page
    assert (tmp_path / "with/figures/learned_scores.png").exists()
    assert (tmp_path / "with/figures/training.png").exists()
    assert (tmp_path / "with/tables/learned_quality.csv").exists()
    without = quick_page(data, tmp_path / "without")
    assert "learned-h" not in without
    assert "#learned" not in without


def test_encoders_without_learned_features_have_a_row_in_the_figure(learned_data: ReportData) -> None:
    untrained, closed = learned_data.baselines
    other = dataclasses.replace(closed, name="DeCLIP", learned=[])
    data = dataclasses.replace(learned_data, baselines=[untrained, other])
    figure = score_grid(data, Naming(*data.modalities))
    assert len(figure.axes) == 9  # three encoders; raw, SAE and NCL
    assert [axes.get_title() for axes in figure.axes[::3]] == ["Main", "Untrained twin", "DeCLIP"]
    assert [axes.get_visible() for axes in figure.axes[-3:]] == [True, False, False]


def test_a_split_is_named_where_its_name_says_more(learned_data: ReportData) -> None:
    (learned, *_) = learned_data.main.learned
    assert said_pairs(learned, "held-out") == "held-out pairs"
    assert said_pairs(learned, "train") == "the training pairs"
    assert said_pairs(learned, "val") == "held-out pairs (val)"
