"""Training and encoding with sparse autoencoders: modalens beside other libraries and plain autograd.

``make benchmark-peers`` runs it in an environment of its own; those libraries that are missing are left out. All train
in one process on the same batches, in turns, so that a noisy machine is noisy for all, each by its own step and from
its own start, with one optimiser: fused AdamW, the same learning rate, gradients clipped at norm 1. Then each encodes
held-out samples, ours to sparse codes and the others to what they give.

``--steps 2000 --batch-size 256 --n-features 1024`` tells how much variance is left unexplained after a whole training;
trainings of 1,000 steps and more encode nothing.
"""

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modalens.benchmarks.cases.training import (
    Contestant,
    Setting,
    contestant,
    ours,
    plain_autograd,
    planted,
    squared_error,
    unexplained,
)
from modalens.benchmarks.machine import circumstances
from modalens.store.documents import write_document

_ENCODED = 3  # rounds of encoding, of which the fastest counts
_WHOLE = 1000  # steps of a training that is about what it leaves unexplained
_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # what it defines is forgotten with it


def mend() -> None:
    """Put back what peers need and newer libraries, or PyTorch without a GPU, lack."""
    import matplotlib as mpl
    from matplotlib import cm

    if not hasattr(cm, "get_cmap"):  # overcomplete imports it
        cm.get_cmap = lambda name: mpl.colormaps[name]
    if sys.platform == "linux" and torch.version.cuda is None and "+cpu" not in version("torchvision"):
        # torchvision's build for GPUs does not load its operators beside the CPU's torch, and registers their
        # derivatives all the same as it is imported
        for operator in ("nms", "qnms"):
            _LIBRARY.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def overcomplete(setting: Setting, start: Tensor) -> tuple[Contestant, Callable[[Tensor], Any]]:
    del start
    from overcomplete.sae import TopKSAE

    model = TopKSAE(setting.d, setting.n_features, top_k=setting.k, device=setting.device)

    def reconstruct(x: Tensor) -> Tensor:
        return model(x)[2]

    made = contestant(setting, model, lambda x: squared_error(x, reconstruct(x)), reconstruct)
    return made, model.encode


def sae_lens(setting: Setting, start: Tensor) -> tuple[Contestant, Callable[[Tensor], Any]]:
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
    return contestant(setting, model, loss, model), model.encode


def dictionary_learning(setting: Setting, start: Tensor) -> tuple[Contestant, Callable[[Tensor], Any]]:
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
    made = Contestant(lambda x: trainer.update(next(steps), x), trainer.ae, trainer.ae)
    return made, trainer.ae.encode


PEERS = {"overcomplete": overcomplete, "sae-lens": sae_lens, "dictionary-learning": dictionary_learning}


def enter(setting: Setting, start: Tensor) -> dict[str, tuple[Contestant, Callable[[Tensor], Any] | None]]:
    """All that can be imported, each with what encodes; ours encodes once it is trained."""
    torch.manual_seed(0)
    entered: dict[str, Any] = {"modalens": (ours(setting, start), None)}
    for name, build in PEERS.items():
        torch.manual_seed(0)
        try:
            entered[name] = build(setting, start)
        except ImportError as error:
            print(f"  {name:20} left out: {error}")
    entered["plain autograd"] = plain_autograd(setting, start), None
    return entered


def race(setting: Setting, batch_size: int, steps: int) -> list[dict[str, Any]]:
    """Train all in turns, then encode; one row each."""
    batches = planted(setting, steps + 2, batch_size)
    held_out, warm_up = next(batches), next(batches)
    entered = enter(setting, warm_up)
    for each, _ in entered.values():
        each.step(warm_up)  # pays for allocations and imports
    times = dict.fromkeys(entered, 0.0)
    for x in batches:
        for name, (each, _) in entered.items():
            times[name] += seconds(lambda e=each, x=x: e.step(x), setting.device)
    rates = {name: steps * batch_size / taken for name, taken in times.items()}
    rows = []
    for name, (each, encode) in entered.items():
        encode = to_codes(setting, each) if name == "modalens" else encode
        encode = None if steps >= _WHOLE else encode
        rows.append(
            {
                "features": setting.n_features,
                "library": name,
                "trained_per_second": rates[name],
                "encoded_per_second": None if encode is None else encoding_rate(encode, held_out, setting),
                "unexplained": unexplained(each, held_out),
            }
        )
    return rows


def to_codes(setting: Setting, each: Contestant) -> Callable[[Tensor], Any]:
    """Encoding of our contestant, which gives sparse codes."""
    sae = each.model.export().to(setting.device)
    return lambda x: sae.encode(x)


@torch.no_grad()
def encoding_rate(encode: Callable[[Tensor], Any], x: Tensor, setting: Setting) -> float:
    """Samples a second."""
    return len(x) / min(seconds(lambda: encode(x), setting.device) for _ in range(_ENCODED))


def seconds(work: Callable[[], Any], device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def versions() -> dict[str, str]:
    """Of the peers that are installed."""
    found = {}
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def show(row: dict[str, Any], fastest: dict[str, float]) -> None:
    trained, encoded = row["trained_per_second"], row["encoded_per_second"]
    beside = [
        f"{rate / fastest[name]:6.2f} x" if rate and name in fastest else ""
        for name, rate in (("trained", trained), ("encoded", encoded))
    ]
    print(
        f"  {row['library']:20} {trained:10,.0f} trained/s {beside[0]:8} {encoded or 0:10,.0f} encoded/s "
        f"{beside[1]:8}  variance unexplained {row['unexplained']:.4f}",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--d", type=int, default=512)
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--batch-size", type=int, default=2048)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--lr", type=float, default=1e-3)
    options.add_argument("--n-features", type=int, nargs="+", default=[1024, 16384, 65536])
    options.add_argument("--device", default="cpu")
    options.add_argument("--out", type=Path, help="folder for a JSON file of what was measured")
    given = options.parse_args()
    mend()
    found = circumstances(given.device)
    found["versions"] |= versions()
    found["size"] = {
        name: getattr(given, name.replace("-", "_")) for name in ("d", "k", "batch_size", "steps", "lr")
    }
    found["rows"] = []
    for n_features in given.n_features:
        print(
            f"{n_features:,} features, d {given.d}, k {given.k}, {given.steps} batches of {given.batch_size}"
        )
        setting = Setting(given.d, n_features, given.k, given.lr, given.device)
        rows = race(setting, given.batch_size, given.steps)
        peers = [row for row in rows if row["library"] in PEERS]
        fastest = {
            name: max(row[f"{name}_per_second"] for row in peers) for name in ("trained", "encoded") if peers
        }
        for row in rows:
            show(row, fastest)
        found["rows"] += rows
    if given.out is not None:
        name = f"peers-{given.device}{'-long' if given.steps >= _WHOLE else ''}.json"
        write_document(given.out / name, "modalens benchmark of peers", 1, found)


if __name__ == "__main__":
    main()
