"""Feature learners by name, and what a learner of one's own takes: a configuration, a learner, a model and a line."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig, registry
from modalens.features.base import Learner, LearnerLoss
from modalens.features.card import model_card
from modalens.features.config import FeatureConfig, NCLConfig
from modalens.features.evaluation import Representation
from modalens.features.loading import load_features
from modalens.features.registry import FeatureKind
from modalens.features.trainable import Trainable
from modalens.features.trainer import models_along_training, train
from modalens.options import option


@dataclass(frozen=True)
class ToyConfig(FeatureConfig):
    pull: float = option(1.0, "Weight of the pull.", least=0)
    seed: int = option(0, "Seed.", least=0)

    @property
    def label(self) -> str:
        return f"toy-n{self.n_features}"


class ToyLearner(Learner):
    config: ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        start = torch.randn(config.n_features, config.d, generator=torch.Generator().manual_seed(config.seed))
        self.weight = nn.Parameter(start)

    def loss(self, image: Tensor, text: Tensor) -> LearnerLoss:
        apart = (self._codes(image) - self._codes(text)).square().sum(dim=1).mean()
        return LearnerLoss(self.config.pull * apart, {"pull": apart.detach()})

    @torch.no_grad()
    def represent(self, x: Tensor, modality: str) -> Representation:
        codes = self._codes(x)
        return Representation(codes, (codes > 0).sum(dim=0), False)

    def export(self) -> "Toy":
        return Toy(self.config, {"weight": self.weight.detach().clone()})

    def _codes(self, x: Tensor) -> Tensor:
        return functional.relu(x @ self.weight.T)


class Toy(Trainable):
    document = "toy features"
    weights_name = "toy.safetensors"
    hub_tag = "toy"
    config: ToyConfig

    def __init__(self, config: ToyConfig, tensors: dict[str, Tensor]) -> None:
        self.config, self._weight = config, tensors["weight"]

    @classmethod
    def describe(cls, card: Mapping[str, Any]) -> str:
        return f"A toy with pull {card['pull']}"

    def state(self) -> dict[str, Tensor]:
        return {"weight": self._weight}

    def to(self, device: str | torch.device) -> Self:
        self._weight = self._weight.to(device)
        return self

    def encode_tensor(self, x: Tensor, modality: str | None = None) -> Tensor:
        return functional.relu(self._rows(x) @ self._weight.T)


@pytest.fixture
def toy() -> Iterator[FeatureKind]:
    kind = FeatureKind("toy", "toy", "toy", ToyConfig, ToyLearner, Toy, lr=0.5)
    registry.register(kind)
    yield kind
    del registry._KINDS["toy"]


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image, text = rng.standard_normal((2, 60, 6)).astype(np.float32)
    return image, text


def test_a_learner_of_ones_own_trains_saves_loads_and_has_a_card(
    toy: FeatureKind, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    found = Toy.fit(pairs, n_features=5, steps=4, batch_size=20, checkpoint_every=2, pull=2.0, out=tmp_path)
    assert found.config == ToyConfig(6, 5, 2.0)
    again = load_features(tmp_path)
    assert isinstance(again, Toy)
    assert np.array_equal(again.encode(pairs[0]).toarray(), found.encode(pairs[0]).toarray())
    assert [step for step, _ in models_along_training(tmp_path)] == [2, 4]
    assert all(isinstance(model, Toy) for _, model in models_along_training(tmp_path))
    assert "- toy" in model_card(found, "me/toy")
    assert registry.kind_of_card(found.card()) is toy
    assert toy.model_class.describe(found.card()) == "A toy with pull 2.0"
    assert registry.config_class("toy") is ToyConfig
    assert registry.commands()[-1] == "toy"
    with pytest.raises(ModalensError, match="Toy features have no way back"):
        found.decode(found.encode(pairs[0]))
    with pytest.raises(ModalensError, match="holds Toy features, not TopKSAE"):
        ml.TopKSAE.load(tmp_path)
    with pytest.raises(ModalensError, match="'toy' features already"):
        registry.register(toy)


def test_every_learner_has_its_own_learning_rate(
    toy: FeatureKind, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    assert (registry.kind_named("topk").lr, registry.kind_named("ncl").lr) == (3e-3, 1e-3)
    how = TrainConfig(steps=3, batch_size=20)
    together = train([ToyConfig(6, 5), NCLConfig(6, 5)], pairs, how)
    for each, lr in zip(together, (0.5, 1e-3), strict=True):
        alone = type(each.model).fit(pairs, n_features=5, steps=3, batch_size=20, lr=lr)  # type: ignore[attr-defined]
        for name, value in alone.state().items():
            assert torch.equal(value, each.model.state()[name])


@pytest.mark.parametrize("name", registry.kinds())
def test_configurations_are_known_by_their_fields(name: str) -> None:
    kind = registry.kind_named(name)
    values = {"kind": name} if kind.command == "sae" else {}
    config = kind.config_class(8, 80, **values)
    assert registry.kind_of(config) is registry.kind_of_values(asdict(config)) is kind
    assert config.label.startswith(f"{name}-n80")


def test_unknown_names_are_answered_with_those_there_are() -> None:
    with pytest.raises(ModalensError, match="no learner 'svd'; there are sae, ncl"):
        registry.config_class("svd")
    with pytest.raises(ModalensError, match="no 'svd' features; there are topk, batch_topk"):
        registry.kind_named("svd")
    with pytest.raises(ModalensError, match="no kind 'svd'; choose one of topk, batch_topk"):
        SAEConfig(4, kind="svd")


def test_configurations_need_no_torch() -> None:
    code = (
        "import sys; from modalens.features import SAEConfig, NCLConfig, TrainConfig; SAEConfig(4); "
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
