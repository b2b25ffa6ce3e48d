import numpy as np
import pytest
import scipy.sparse as sp

from modalens.engine.workers import LocalEngine
from modalens.errors import ModalensError
from modalens.features import NCLConfig, SAEConfig, TrainConfig
from modalens.pairs.base import Pair
from modalens.runs import ScoreConfig, embed, score
from modalens.runs.layout import RunFolder
from modalens.runs.learning import measure_learned, train_on
from tests.fakes import FakePairs, FakeVLM, colour_pairs

CONFIG = ScoreConfig(split="held-out", resamples=20)
QUICK = TrainConfig(steps=20, batch_size=16, log_every=10)


@pytest.fixture
def run(tmp_path):
    pairs = [
        Pair(p.id, p.ref, p.text, {**p.label, "split": "held-out" if row % 4 == 0 else "train"})
        for row, p in enumerate(colour_pairs(40))
    ]
    run = RunFolder(tmp_path / "run")
    embed(FakePairs(pairs), FakeVLM(), run.embeddings)
    return run


def test_features_are_learned_on_one_split_and_measured_on_both(run):
    store, where = run.store(), run.learned("sae")
    config = SAEConfig(int(store.image.shape[1]), n_features=16, k=4)
    trained = train_on(config, store, QUICK, where.folder, split="train")
    rows = store.rows_by_split()
    assert [len(rows[name]) for name in ("held-out", "train")] == [10, 30]
    assert {"train", "held_out"} <= set(trained.log[-1])

    learned = measure_learned(where, store, CONFIG)
    assert {name: quality.pairs for name, quality in learned.quality.items()} == {"train": 30, "held-out": 10}
    assert learned.scores.dominance["mean_ratio"].n_pairs == 10
    assert [entry["step"] for entry in learned.log] == [10, 20]
    assert [each.name for each in run.all_learned()] == ["sae"]


def test_what_was_measured_is_kept(run):
    store, where = run.store(), run.learned("ncl")
    config = NCLConfig(int(store.image.shape[1]), n_features=16)
    train_on(config, store, QUICK, where.folder, split="train")
    first = measure_learned(where, store, CONFIG)
    files = {path: path.stat().st_mtime_ns for path in where.folder.rglob("*") if path.is_file()}
    again = measure_learned(where, store, CONFIG)
    assert {path: path.stat().st_mtime_ns for path in where.folder.rglob("*") if path.is_file()} == files
    assert again.quality == first.quality
    assert np.array_equal(
        again.scores.dominance["mean_ratio"].score,
        first.scores.dominance["mean_ratio"].score,
        equal_nan=True,
    )


def test_an_engine_encodes_and_scores_what_was_learned(run):
    store, where = run.store(), run.learned("sae")
    train_on(SAEConfig(int(store.image.shape[1]), n_features=16, k=4), store, QUICK, where.folder)
    tasks = []

    class Watched(LocalEngine):
        def map(self, task, items, name):
            tasks.append(task.func.__name__)
            return super().map(task, items, name)

    measure_learned(where, store, CONFIG, Watched())
    assert tasks[0] == "_encode"
    assert set(tasks[1:]) == {"sum_part"}


def test_unfinished_training_is_not_taken_for_features(run):
    (run.learned("sae").folder / "checkpoints").mkdir(parents=True)
    assert run.all_learned() == []


def test_a_split_that_is_not_there_is_named(run, tmp_path):
    store = run.store()
    config = SAEConfig(int(store.image.shape[1]), n_features=16, k=4)
    with pytest.raises(ModalensError, match="has split 'test'; there are held-out, train"):
        train_on(config, store, QUICK, tmp_path / "out", split="test")
    with pytest.raises(ModalensError, match="no split to train on"):
        train_on(config, (store.image[:], store.text[:]), QUICK, tmp_path / "out", split="train")


def test_codes_of_zeros_are_left_out_of_the_gap():
    rng = np.random.default_rng(0)
    sides = [rng.random((60, 8)) * (rng.random((60, 8)) < 0.8) for _ in range(2)]
    sides[0][3] = 0
    sides[1][7] = 0
    scores = score(*(sp.csr_array(side) for side in sides), ScoreConfig(resamples=10), groups=np.arange(60))
    assert scores.gap.n_pairs == 58
    assert scores.dominance["mean_ratio"].n_pairs == 60
