"""Training samples a second: the sparse step against the same step written densely with autograd.

Run with ``python benchmarks/sae.py``. Both train on the same tensors in the same order, in turns, so that a
noisy machine is noisy for both.
"""

import argparse
import time

import torch
from torch import nn

from modalens.features.config import SAEConfig
from modalens.features.learners import SAELearner


class DenseLearner(nn.Module):
    """The TopK autoencoder as other libraries write it: dense codes, dense decode, autograd for all."""

    def __init__(self, config: SAEConfig) -> None:
        super().__init__()
        start = SAELearner(config)
        self.k = config.k
        self.W_enc, self.W_dec = (
            nn.Parameter(start.W_enc.data.clone()),
            nn.Parameter(start.W_dec.data.clone()),
        )
        self.b_enc, self.b_pre = (
            nn.Parameter(start.b_enc.data.clone()),
            nn.Parameter(start.b_pre.data.clone()),
        )

    def loss(self, image, text):
        x = torch.cat([image, text])
        z = ((x - self.b_pre) @ self.W_enc.T + self.b_enc).relu()
        best = z.topk(self.k, dim=1, sorted=False)
        codes = torch.zeros_like(z).scatter(1, best.indices, best.values)
        return (x - codes @ self.W_dec - self.b_pre).square().sum() / (len(x) / 2)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--d", type=int, default=512)
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--batch", type=int, default=2048)
    options.add_argument("--steps", type=int, default=8)
    options.add_argument("--n-features", type=int, nargs="+", default=[1024, 4096, 16384])
    given = options.parse_args()
    torch.manual_seed(0)
    x = torch.randn(given.steps + 1, given.batch, given.d)
    for f in given.n_features:
        config = SAEConfig(given.d, f, given.k, aux_k=0)
        learners = {"modalens": SAELearner(config), "dense autograd": DenseLearner(config)}
        optimisers = {
            name: torch.optim.AdamW(learner.parameters(), 1e-3, fused=True, weight_decay=0)
            for name, learner in learners.items()
        }
        times, last = dict.fromkeys(learners, 0.0), {}
        for step in range(given.steps + 1):
            for name, learner in learners.items():
                started = time.perf_counter()
                loss = learner.loss(*x[step].chunk(2))
                loss = loss if isinstance(loss, torch.Tensor) else loss.total
                optimisers[name].zero_grad(set_to_none=True)
                loss.backward()
                optimisers[name].step()
                if step:  # the first step pays for allocations
                    times[name] += time.perf_counter() - started
                last[name] = float(loss.detach())
        rates = {name: given.steps * given.batch / seconds for name, seconds in times.items()}
        print(f"n_features {f}, d {given.d}, k {given.k}, batch {given.batch}:")
        for name, rate in rates.items():
            ratio = rate / rates["dense autograd"]
            print(f"  {name:16s} {rate:9.0f} samples/s  {ratio:5.2f} x dense  loss {last[name]:.4f}")


if __name__ == "__main__":
    main()
