"""How features were trained, as their record says it."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from modalens.features import SAEConfig, TrainConfig
from modalens.runs.layout import LearnedFeatures
from modalens.runs.training_record import TrainingRecord
from modalens.store.kept import Kept

STORE: Any = SimpleNamespace(identity=lambda: {"sha256": "a"})


def recorded(folder: Path, config: SAEConfig, training: TrainConfig, **inputs: Any) -> LearnedFeatures:
    about = {"embeddings": STORE.identity(), "split": None, **inputs}
    about |= {"configuration": [asdict(config)], "training": training.inputs([config])}
    folder.mkdir()
    with Kept(folder, "features", about, "modalens train sae").making():
        pass
    return LearnedFeatures(folder)


def test_options_that_are_no_defaults_are_told_once(tmp_path: Path) -> None:
    config, training = SAEConfig(48, n_features=64, k=8, seed=3), TrainConfig(steps=60, seed=3)
    found = TrainingRecord.of(recorded(tmp_path / "sae", config, training), STORE)
    assert found is not None
    assert (found.command, found.options) == ("sae", "--n-features 64 --k 8 --seed 3 --steps 60 --name sae")
    plain = recorded(tmp_path / SAEConfig(48).label, SAEConfig(48), TrainConfig(), split="train")
    again = TrainingRecord.of(plain, STORE)
    assert again is not None
    assert again.options == "--split train"


def test_what_was_trained_on_follows_from_split_and_store(tmp_path: Path) -> None:
    def trained(name: str, **inputs: Any) -> list[str]:
        found = TrainingRecord.of(recorded(tmp_path / name, SAEConfig(4), TrainConfig(), **inputs), STORE)
        assert found is not None
        return found.trained(["train", "held-out"])

    assert trained("all") == ["train", "held-out"]
    assert trained("one", split="train") == ["train"]
    assert trained("other", embeddings={"sha256": "b"}) == []
    assert TrainingRecord.of(LearnedFeatures(tmp_path / "none"), STORE) is None
