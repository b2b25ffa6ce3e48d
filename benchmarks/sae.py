"""Training samples a second, and the error reached: modalens beside other libraries and plain autograd.

Run ``python benchmarks/sae.py`` where some of overcomplete, sae-lens and dictionary-learning are installed (an
environment of its own is best; those missing are left out). All train in one process on the same tensors, in
turns, so that a noisy machine is noisy for all, each by its own step and from its own start, with one optimiser:
fused AdamW, the same learning rate, gradients clipped at norm 1.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modalens.features.config import SAEConfig
from modalens.features.learners import SAELearner

_ATOMS, _ACTIVE = 4096, 16


@dataclass(frozen=True)
class Setting:
    d: int
    n_features: int
    k: int
    lr: float
    device: str

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), self.lr, weight_decay=0, fused=True)


@dataclass(frozen=True)
class Contestant:
    """One library's autoencoder: a whole training step on a batch (n, d), and what it makes of samples."""

    step: Callable[[Tensor], None]
    reconstruct: Callable[[Tensor], Tensor]


def contestant(
    setting: Setting,
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    reconstruct: Callable[[Tensor], Tensor],
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> Contestant:
    optimiser = setting.optimiser(model)

    def step(x: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(x))
        before()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        after()

    return Contestant(step, reconstruct)


def ours(setting: Setting, start: Tensor) -> Contestant:
    learner = SAELearner(SAEConfig(setting.d, setting.n_features, setting.k)).to(setting.device)
    learner.initialise(*start.chunk(2))

    def reconstruct(x: Tensor) -> Tensor:
        return learner.represent(x, "image").output

    def loss(x: Tensor) -> Tensor:
        return learner.loss(*x.chunk(2)).total

    return contestant(setting, learner, loss, reconstruct, learner.before_step, learner.after_step)


def plain_autograd(setting: Setting, start: Tensor) -> Contestant:
    """Our autoencoder, start and all, as one would write it: dense codes, dense decode, autograd for all."""
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


def overcomplete(setting: Setting, start: Tensor) -> Contestant:
    del start
    from overcomplete.sae import TopKSAE

    model = TopKSAE(setting.d, setting.n_features, top_k=setting.k, device=setting.device)

    def reconstruct(x: Tensor) -> Tensor:
        return model(x)[2]

    return contestant(setting, model, lambda x: squared_error(x, reconstruct(x)), reconstruct)


def sae_lens(setting: Setting, start: Tensor) -> Contestant:
    """Without the firing statistics that its trainer keeps."""
    from sae_lens.saes.sae import TrainStepInput
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    config = TopKTrainingSAEConfig(
        d_in=setting.d, d_sae=setting.n_features, k=setting.k, device=setting.device
    )
    model = TopKTrainingSAE(config)

    def loss(x: Tensor) -> Tensor:
        return model.training_forward_pass(TrainStepInput(x, {}, None, 0, False)).loss

    with torch.no_grad():
        model.b_dec.copy_(start.mean(dim=0))
    return contestant(setting, model, loss, model)


def dictionary_learning(setting: Setting, start: Tensor) -> Contestant:
    """With its own optimiser and warm-up replaced; its first step puts the bias at the median."""
    del start
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer: Any = TopKTrainer(
        steps=2**30,
        activation_dim=setting.d,
        dict_size=setting.n_features,
        k=setting.k,
        layer=0,
        lm_name="none",
        lr=setting.lr,
        warmup_steps=0,
        device=setting.device,
    )
    trainer.optimizer = setting.optimiser(trainer.ae)
    trainer.scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.optimizer, lambda _: 1.0)
    steps = iter(range(2**30))
    return Contestant(lambda x: trainer.update(next(steps), x), trainer.ae)


PEERS = {"overcomplete": overcomplete, "sae-lens": sae_lens, "dictionary_learning": dictionary_learning}
CONTESTANTS = {"modalens": ours, **PEERS, "plain autograd": plain_autograd}


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x - x_hat).square().sum(dim=1).mean()


def planted(setting: Setting, batches: int, batch_size: int) -> Tensor:
    """Unit vectors made of a few of many directions, the two halves of a batch in cones of their own."""
    generator = torch.Generator().manual_seed(1_000_003)  # no learner's seed: none may start at the plant
    atoms = functional.normalize(torch.randn(_ATOMS, setting.d, generator=generator), dim=1)
    cones = functional.normalize(torch.randn(2, setting.d, generator=generator), dim=1)
    made = []
    for _ in range(batches):
        places = torch.randint(_ATOMS, (batch_size, _ACTIVE), generator=generator)
        weights = torch.empty(batch_size, _ACTIVE).exponential_(generator=generator)
        offset = 3 * cones.repeat_interleave(torch.tensor([batch_size // 2, batch_size - batch_size // 2]), 0)
        x = functional.embedding_bag(places, atoms, per_sample_weights=weights, mode="sum") + offset
        made.append(functional.normalize(x, dim=1))
    return torch.stack(made).to(setting.device)


def race(setting: Setting, batch_size: int, steps: int) -> None:
    batches = planted(setting, steps + 2, batch_size)
    held_out, warm_up = batches[-1], batches[-2]
    entered: dict[str, Contestant] = {}
    for name, build in CONTESTANTS.items():
        torch.manual_seed(0)
        try:
            entered[name] = build(setting, warm_up)
        except ImportError as error:
            print(f"  {name:20} left out: {error}")
            continue
        entered[name].step(warm_up)  # pays for allocations and imports
    times = dict.fromkeys(entered, 0.0)
    for x in batches[:steps]:
        for name, each in entered.items():
            started = now(setting)
            each.step(x)
            times[name] += now(setting) - started
    rates = {name: steps * batch_size / seconds for name, seconds in times.items()}
    fastest = max((rate for name, rate in rates.items() if name in PEERS), default=None)
    spread = squared_error(held_out, held_out.mean(dim=0))
    for name, each in entered.items():
        with torch.no_grad():
            error = squared_error(held_out, each.reconstruct(held_out)) / spread
        ratio = "" if fastest is None else f"{rates[name] / fastest:6.2f} x the fastest peer"
        print(f"  {name:20} {rates[name]:9,.0f} samples/s {ratio}   variance unexplained {float(error):.4f}")


def now(setting: Setting) -> float:
    if setting.device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--d", type=int, default=512)
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--batch-size", type=int, default=2048)
    options.add_argument("--steps", type=int, default=30)
    options.add_argument("--lr", type=float, default=1e-3)
    options.add_argument("--n-features", type=int, nargs="+", default=[1024, 4096, 16384])
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = options.parse_args()
    print(f"PyTorch {torch.__version__} on {given.device}, {torch.get_num_threads()} threads")
    for n_features in given.n_features:
        samples = given.steps * given.batch_size
        print(
            f"n_features {n_features}, d {given.d}, k {given.k}, batch {given.batch_size}, {samples:,} samples"
        )
        race(Setting(given.d, n_features, given.k, given.lr, given.device), given.batch_size, given.steps)


if __name__ == "__main__":
    main()
