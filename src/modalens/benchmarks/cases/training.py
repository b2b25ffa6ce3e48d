"""Training steps of sparse autoencoders, one and several on one pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modalens.benchmarks.case import Case, Place
from modalens.benchmarks.cases.data import embeddings
from modalens.features import SAEConfig, TrainConfig, train
from modalens.features.learners import SAELearner

_ATOMS, _ACTIVE = 4096, 16
_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Setting:
    """Shape of an autoencoder, and how it is trained."""

    d: int
    n_features: int
    k: int
    lr: float = _LEARNING_RATE
    device: str = "cpu"

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """Fused AdamW without decay."""
        return torch.optim.AdamW(model.parameters(), self.lr, weight_decay=0, fused=True)


@dataclass(frozen=True)
class Contestant:
    """One autoencoder: a whole training step on a batch (n, d), what it makes of samples, and its module."""

    step: Callable[[Tensor], None]
    reconstruct: Callable[[Tensor], Tensor]
    model: Any


def contestant(
    setting: Setting,
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    reconstruct: Callable[[Tensor], Tensor],
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> Contestant:
    """A model trained by its loss, with gradients clipped at norm 1."""
    optimiser = setting.optimiser(model)

    def step(x: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(x))
        before()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        after()

    return Contestant(step, reconstruct, model)


def ours(setting: Setting, start: Tensor) -> Contestant:
    """The autoencoder of modalens."""
    learner = SAELearner(SAEConfig(setting.d, setting.n_features, setting.k)).to(setting.device)
    learner.initialise(*start.chunk(2))

    def reconstruct(x: Tensor) -> Tensor:
        return learner.represent(x, "image").output

    def loss(x: Tensor) -> Tensor:
        return learner.loss(*x.chunk(2)).total

    return contestant(setting, learner, loss, reconstruct, learner.before_step, learner.after_step)


def plain_autograd(setting: Setting, start: Tensor) -> Contestant:
    """The same, start and all, as one would write it: dense codes, dense decode, autograd for all."""
    learner = SAELearner(SAEConfig(setting.d, setting.n_features, setting.k)).to(setting.device)
    learner.initialise(*start.chunk(2))

    def reconstruct(x: Tensor) -> Tensor:
        activations = ((x - learner.b_pre) @ learner.W_enc.T + learner.b_enc).relu()
        best = activations.topk(setting.k, dim=1, sorted=False)
        codes = torch.zeros_like(activations).scatter(1, best.indices, best.values)
        return codes @ learner.W_dec + learner.b_pre

    def loss(x: Tensor) -> Tensor:
        return 2 * squared_error(x, reconstruct(x))

    return contestant(setting, learner, loss, reconstruct, learner.before_step, learner.after_step)


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean over samples of the squared distance."""
    return (x - x_hat).square().sum(dim=1).mean()


def unexplained(each: Contestant, x: Tensor) -> float:
    """Share of the variance of samples that a contestant does not reconstruct."""
    with torch.no_grad():
        error = squared_error(x, each.reconstruct(x)) / squared_error(x, x.mean(dim=0))
    return float(error)


def planted(setting: Setting, batches: int, batch_size: int) -> Iterator[Tensor]:
    """Unit vectors made of a few of many directions, the two halves of a batch in cones of their own."""
    generator = torch.Generator().manual_seed(1_000_003)  # no learner's seed: none may start at the plant
    atoms = functional.normalize(torch.randn(_ATOMS, setting.d, generator=generator), dim=1)
    cones = functional.normalize(torch.randn(2, setting.d, generator=generator), dim=1)
    halves = torch.tensor([batch_size // 2, batch_size - batch_size // 2])
    for _ in range(batches):
        places = torch.randint(_ATOMS, (batch_size, _ACTIVE), generator=generator)
        weights = torch.empty(batch_size, _ACTIVE).exponential_(generator=generator)
        x = functional.embedding_bag(places, atoms, per_sample_weights=weights, mode="sum")
        x += 3 * cones.repeat_interleave(halves, 0)
        yield functional.normalize(x, dim=1).to(setting.device)


def steps(at: Place, *, features: int, width: int, k: int, batch: int, steps: int) -> Case:
    """Training steps, beside plain autograd from the same start."""
    setting = Setting(width, features, k, device=at.device)
    held_out, warm_up, *batches = planted(setting, steps + 2, batch)
    entered = [build(setting, warm_up) for build in (ours, plain_autograd)]

    def run(each: Contestant) -> Contestant:
        for x in batches:
            each.step(x)
        return each

    def warm() -> None:
        for each in entered:
            each.step(warm_up)

    return Case(
        ours=lambda: run(entered[0]),
        theirs=lambda: run(entered[1]),
        difference=lambda mine, plain: abs(unexplained(mine, held_out) - unexplained(plain, held_out)),
        tolerance=0.005,
        warm_up=warm,
        facts=lambda mine: {"variance unexplained": unexplained(mine, held_out)},
    )


def several(at: Place, *, pairs: int, width: int, features: int, batch: int, steps: int) -> Case:
    """Nine autoencoders (three k, three seeds) on one pass, beside one after another."""
    data = embeddings(pairs, width)
    configs = [
        SAEConfig(width, features, k, seed=seed)
        for k in (features // 32, features // 16, features // 8)
        for seed in range(3)
    ]
    config = TrainConfig(
        steps=steps,
        batch_size=batch,
        log_every=steps,
        evaluation_pairs=min(pairs, 256),
        device=at.device,
    )

    def difference(mine: list[Tensor], alone: list[Tensor]) -> float:
        return max(float((a - b).abs().max()) for a, b in zip(mine, alone, strict=True))

    def decoders(together: list[SAEConfig]) -> list[Tensor]:
        trained = train(together, data, config)
        return [each.model.W_dec for each in trained]

    return Case(
        ours=lambda: decoders(configs),
        theirs=lambda: [decoder for each in configs for decoder in decoders([each])],
        difference=difference,
        tolerance=1e-6,
        warm_up=lambda: decoders(configs[:1]),
    )
