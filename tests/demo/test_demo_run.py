import re

import numpy as np
import pytest

from modalens.demo.run import TWINS, DemoPlan, run_demo
from modalens.features import TrainConfig
from modalens.report.tails import outer_share
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.interpreting import load_interpretation
from modalens.runs.representations import representations
from modalens.runs.scoring import Scores
from modalens.store import EmbeddingStore

pytestmark = pytest.mark.demo


# As the demo, with shorter training.
QUICK = {"batch_size": 256, "log_every": 50, "checkpoint_every": 75, "evaluation_pairs": 500}
PLAN = DemoPlan(
    sae=TrainConfig(steps=150, **QUICK),
    ncl=TrainConfig(steps=100, lr=1e-3, **QUICK),
    seeds=(1,),
    dictionaries=("frozen_decoder", "pca"),
    interpretation=InterpretConfig(draws=2, shuffles=100),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"), PLAN)


def test_every_named_emoji_is_embedded_by_every_encoder(demo):
    run, _, _ = demo
    for part in [run, *(run.baseline(twin) for twin in TWINS)]:
        store = EmbeddingStore.open(part.embeddings)
        assert 3900 < len(store) < 4100
        assert store.manifest.skipped == []
        assert {"id", "caption", "concept", "category", "subgroup", "gender", "skin_tone", "split"} <= set(
            store.columns
        )
        assert np.allclose(np.linalg.norm(store.image[:], axis=1), 1, atol=1e-5)
    assert run.store().manifest.source["attribution"].startswith("All emojis designed by OpenMoji")


def test_held_out_concepts_are_scored(demo):
    run, scores, _ = demo
    metadata = run.store().metadata
    held_out = metadata[metadata["split"] == "held-out"]
    assert scores.gap.n_pairs == len(held_out)
    assert set(held_out["concept"]).isdisjoint(metadata[metadata["split"] == "train"]["concept"])
    assert 0.1 < held_out["concept"].nunique() / metadata["concept"].nunique() < 0.2


def test_the_twins_tell_what_the_gap_is_made_of(demo):
    run, demo_scores, _ = demo
    twins = {twin: Scores.load(run.baseline(twin).scores) for twin in TWINS}
    for scores in (demo_scores, twins["learnt-temperature"]):
        assert scores.retrieval.image_to_text[10][0] > 10 * scores.retrieval.chance[10]
    for twin in ("untrained", "shuffled"):
        assert twins[twin].retrieval.image_to_text[10][0] < 3 * demo_scores.retrieval.chance[10]
    assert demo_scores.gap.l2m == pytest.approx(0.88, abs=0.06)
    assert twins["untrained"].gap.l2m == pytest.approx(0.80, abs=0.05)
    assert twins["shuffled"].gap.l2m > 0.85
    assert twins["learnt-temperature"].gap.l2m < 0.2
    assert demo_scores.dominance["mean_ratio"].std == pytest.approx(0.132, abs=0.02)


def test_the_report_shows_all_of_them_and_says_whose_emoji_they_are(demo):
    _, _, report = demo
    page = report.read_text(encoding="utf-8")
    for name in (
        "Demo encoder",
        "Untrained twin",
        "Shuffled-pair twin",
        "Learnt-temperature twin",
        "Labels swapped",
    ):
        assert name in page
    assert "CC BY-SA 4.0" in page
    assert "has seen nothing but emoji" in page
    assert len(re.findall(r"data:image/webp", page)) >= 12
    assert len(page) < 10_000_000


def test_features_are_learned_and_interpreted_beside_the_twins(demo):
    run, _, report = demo
    tails = {}
    for name, part in [("demo", run), *((twin, run.baseline(twin)) for twin in TWINS)]:
        raw, ncl, sae, *dictionaries = representations(part)
        assert (raw.name, ncl.name, sae.name) == ("raw", "ncl", "sae")
        beside = ["sae+frozen_decoder", "sae+pca"] if name == "demo" else []
        assert [each.name for each in dictionaries] == beside
        tails[name] = outer_share(sae.mds)[0]
        assert sae.learned.quality["train"].fvu["image"][0] < sae.learned.quality["held-out"].fvu["image"][0]
        for each in (raw, ncl, sae, *dictionaries):
            found = load_interpretation(each)
            assert found.fidelity.average("mono", "image").features > 0
            assert (part.study("removal") / each.name / "result.json").exists()
        assert set(load_interpretation(sae).along["step"]) == {75, 150}
    # Two cones that lie apart make one-sided features, learned pairs or not.
    assert tails["shuffled"] > tails["demo"] > tails["learnt-temperature"]
    page = report.read_text(encoding="utf-8")
    for section in ("learned", "dictionary", "gallery", "meaning", "study-removal"):
        assert f'<section id="{section}"' in page
    assert "the trained SAE has a Mono of" in page
    assert "are found again by another seed" in page


def test_a_second_demo_keeps_what_is_there(demo):
    run, scores, report = demo
    before = {p: p.stat().st_mtime_ns for p in run.folder.rglob("*_emb_*.npy")}
    page = report.read_bytes()
    _, again, _ = run_demo(run.folder, PLAN)
    assert {p: p.stat().st_mtime_ns for p in run.folder.rglob("*_emb_*.npy")} == before
    assert again.gap == scores.gap
    assert report.read_bytes() == page
