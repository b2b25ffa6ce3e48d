"""Dictionaries of several sizes on one pass."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalens.errors import InputError, ModalensError
from modalens.features import SAEConfig, TrainConfig, load_features, train
from modalens.interpret.matching import match_features
from modalens.interpret.sweep import BESIDE, Sweep
from modalens.runs import interpreting, sweeping
from modalens.runs.interpretation import Interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.learning import train_on
from modalens.runs.run import Run
from modalens.runs.scoring import score_into
from modalens.runs.sweep_config import SweepConfig
from modalens.runs.sweeping import find_sweep, size_for, sweep_run
from tests.small_run import Embedder, loader

CONFIG = SweepConfig(n=(8, 16), k=(2, 12), seeds=2, split="train")
QUICK = TrainConfig(steps=12, batch_size=16, checkpoint_every=4)


@pytest.fixture(scope="module")
def swept(learned_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Sweep]:
    """A run with a sweep in it; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("swept") / "run"
    shutil.copytree(learned_run.folder, folder)
    return RunFolder(folder), sweep_run(RunFolder(folder), CONFIG, QUICK)


def copy_of(run: RunFolder, folder: Path) -> RunFolder:
    shutil.copytree(run.folder, folder)
    return RunFolder(folder)


def test_every_size_and_seed_is_measured(swept: tuple[RunFolder, Sweep]) -> None:
    run, sweep = swept
    sizes = [(8, 2), (16, 2), (16, 12)]
    assert sweep.table[["n", "k", "seed"]].to_numpy().tolist() == [
        [*size, seed] for size in sizes for seed in (0, 1)
    ]
    store = run.store()
    rows = store.rows_by_split()
    assert sweep.pairs == {
        name: len(rows[split])
        for name, split in (("trained", "train"), ("held_out", "held-out"), ("measured", "held-out"))
    }
    counted = sweep.table[["image", "cross", "text", "dead"]].sum(axis=1)
    assert counted.tolist() == sweep.table["n"].tolist()
    assert (sweep.table["unexplained_image"] > 0).all()
    beside = sweep.table[["n", "k", *BESIDE]]
    assert len(beside.drop_duplicates()) == len(sizes), "one baseline a size"
    frozen = [load_features(run.sweep / "training" / f"model-{place}") for place in range(6, 9)]
    assert [(type(each).__name__, len(each.W_dec)) for each in frozen] == [
        ("FrozenDecoderSAE", n) for n, _ in sizes
    ]
    assert beside["unexplained_frozen_decoder"].notna().all()
    assert sweep.table["mono_image"].isna().all()
    assert "modalens interpret" in sweep.notes[0]
    # What is in the table follows from the models that lie beside it.
    models = [load_features(run.sweep / "training" / f"model-{place}") for place in (0, 1)]
    live = []
    for model in models:
        codes = [
            model.encode(getattr(store, side).pick(rows["held-out"]), side) for side in ("image", "text")
        ]
        live.append(np.flatnonzero(sum(np.asarray(each.sum(axis=0)) for each in codes)))
    matched = match_features(*(model.W_dec.numpy()[alive] for model, alive in zip(models, live, strict=True)))
    assert sweep.table["found"][0] == pytest.approx(len(matched) / len(live[0]))


def test_a_sweep_trains_what_a_single_training_does(swept: tuple[RunFolder, Sweep], tmp_path: Path) -> None:
    run, _ = swept
    store = run.store()
    config = SAEConfig(int(store.image.shape[1]), 16, 2)
    schedule = TrainConfig(steps=12, batch_size=16, checkpoint_every=4, log_every=12)
    alone = train_on(config, store, schedule, tmp_path / "one", split="train")
    assert load_features(run.sweep / "training" / "model-2").card() == alone.model.card()


def test_a_killed_sweep_goes_on_and_ends_the_same(
    swept: tuple[RunFolder, Sweep], learned_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sweep = swept
    run = copy_of(learned_run, tmp_path / "run")
    steps: list[int] = []

    def killed(configs: Any, data: Any, training: TrainConfig, **more: Any) -> Any:
        # After the second checkpoint, as from outside.
        from modalens.features import trainer

        step = trainer._Training._step

        def until(self: Any, *sides: Any) -> None:
            steps.append(self.step)
            if len(steps) == 10:
                raise KeyboardInterrupt
            step(self, *sides)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer._Training, "_step", until)
            return train(configs, data, training, **more)

    monkeypatch.setattr(sweeping, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep_run(run, CONFIG, QUICK)
    assert find_sweep(run) is not None
    assert not isinstance(find_sweep(run), Sweep)
    again = sweep_run(run, CONFIG, QUICK)
    assert steps[10] == 8, "it goes on from its last checkpoint"
    assert again.table.equals(sweep.table)
    assert not list(run.sweep.glob("training/checkpoint-*"))


def test_a_stopped_sweep_with_other_options_says_what_to_do(learned_run: RunFolder, tmp_path: Path) -> None:
    run = copy_of(learned_run, tmp_path / "run")
    training = run.sweep / "training"
    configs = [SAEConfig(int(run.store().image.shape[1]), 8, 2, seed=seed) for seed in (0, 1)]
    train(configs, run.store(), QUICK, out=training)  # checkpoints, and no record of what they are of
    with pytest.raises(ModalensError, match="made with another configuration") as told:
        sweep_run(run, CONFIG, QUICK)
    assert f"same options as before to go on from it, or remove {training} to begin anew" in str(told.value)
    shutil.rmtree(training)
    assert isinstance(sweep_run(run, CONFIG, QUICK), Sweep)


def test_what_is_there_is_kept_until_something_changes(
    swept: tuple[RunFolder, Sweep], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, sweep = swept
    run = copy_of(before, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "train", None)  # nothing is trained again
        assert sweep_run(run, CONFIG, QUICK).table.equals(sweep.table)
        other = SweepConfig(n=(8, 16), k=(2, 12), seeds=2, split="train", least_found=0.0)
        assert sweep_run(run, other, QUICK).least_found == 0
    changed = sweep_run(run, CONFIG, TrainConfig(steps=6, batch_size=16))
    assert not changed.table["unexplained"].equals(sweep.table["unexplained"])
    assert (run.folder / "replaced" / "sweep-1" / "sweep.parquet").is_file()


def test_without_a_split_whole_images_are_held_out(learned_run: RunFolder, tmp_path: Path) -> None:
    run = copy_of(learned_run, tmp_path / "run")
    rows = sweeping._rows(run.store(), SweepConfig(), score_into(run.scores, run.store()).config)
    images = run.store().image_numbers
    assert images is not None
    assert not set(images[rows["trained"]]) & set(images[rows["held_out"]])
    assert len(rows["trained"]) + len(rows["held_out"]) == len(run.store())
    assert len(set(images[rows["held_out"]])) == round(0.2 * len(set(images)))


def test_mono_is_measured_by_the_judges_of_the_run(
    interpreted: tuple[RunFolder, dict[str, Interpretation], list[Embedder]], tmp_path: Path
) -> None:
    run = copy_of(interpreted[0], tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreting, "load_sample_embedder", loader([]))
        sweep = sweep_run(run, SweepConfig(n=(8,), k=(2,), seeds=2, split="train"), QUICK)
    assert sweep.table["mono_image"].notna().all()
    assert sweep.table["mono_text_chance"].notna().all()
    assert sweep.notes == ()


def test_training_takes_the_recommended_size_or_says_which_it_takes(
    swept: tuple[RunFolder, Sweep], learned_run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    run, sweep = swept
    with caplog.at_level(logging.WARNING, logger="modalens"):
        assert size_for(run, "sae", {}) == {"n_features": sweep.choice.n, "k": sweep.choice.k}
        assert "the size that the sweep recommends. n = " in caplog.messages[-1]
        assert size_for(learned_run, "sae", {"seed": 1}) == {}
        assert "the published size, n_features 1024 and k 32" in caplog.messages[-1]
        said = len(caplog.messages)
        assert size_for(run, "sae", {"k": 4}) == {}
        assert size_for(run, "ncl", {}) == {}
        assert len(caplog.messages) == said
        assert size_for(run, "sae", {"kind": "batch_topk"}) == {}
        assert "no sweep over batch_topk features" in caplog.messages[-1]


def test_a_run_sweeps_in_python(learned_run: RunFolder, tmp_path: Path) -> None:
    run = Run.open(copy_of(learned_run, tmp_path / "run").folder)
    sweep = run.sweep(n=(8,), k=(2,), seeds=2, steps=4, batch_size=16)
    learned = run.train("sae", steps=4, batch_size=16)
    assert (learned.model.config.n_features, learned.model.config.k) == (sweep.choice.n, sweep.choice.k)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="A sweep has no option 'm'"):
        run.sweep(m=3)
    with pytest.raises(InputError, match="at least as large as a k"):
        run.sweep(n=(8,), k=(9,))
