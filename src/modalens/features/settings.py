"""How feature learners are trained."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modalens.features.config import FeatureConfig
from modalens.features.registry import kind_of
from modalens.options import Options, option

_DECAY_SHARE = 5


@dataclass(frozen=True)
class TrainConfig(Options):
    """How learners are trained.

    Attributes
    ----------
    steps
        Budget of batches.
    batch_size
        Pairs in a batch, over all processes together.
    lr
        Peak learning rate of AdamW, reached after ``warmup_steps`` and brought to 0 over the last fifth; None
        for each learner's own (see :mod:`modalens.features.registry`).
    warmup_steps, weight_decay, clip
        Warm-up, weight decay, and the largest norm of a gradient.
    log_every, checkpoint_every
        Steps between evaluations (which the log keeps) and between checkpoints.
    evaluation_pairs
        Pairs that evaluations look at.
    patience, tolerance
        Stop before the budget when the active features of images and of texts have moved by no more than
        ``tolerance`` of their number over ``patience`` evaluations (the papers' rule). Patience 0 never stops.
    seed
        Seed of the order of the pairs.
    device
        PyTorch name of the device to train on; None for the GPU if there is one, else the CPU.

    Raises
    ------
    ModalensError
        If a value is out of range.
    """

    steps: int = option(2000, "Budget of batches.", unit="batches", least=1)
    batch_size: int = option(1024, "Pairs in a batch, over all processes together.", unit="pairs", least=1)
    lr: float | None = option(None, "Peak learning rate (default: the learner's own).", over=0)
    warmup_steps: int = option(50, "Batches until the peak learning rate.", unit="batches", least=0)
    weight_decay: float = option(0.0, "Weight decay.", least=0)
    clip: float = option(1.0, "Largest norm of a gradient.", over=0)
    log_every: int = option(100, "Batches between evaluations.", unit="batches", least=1)
    checkpoint_every: int = option(500, "Batches between checkpoints.", unit="batches", least=1)
    evaluation_pairs: int = option(2000, "Pairs that evaluations look at.", unit="pairs", least=1)
    patience: int = option(
        0, "Stop when active features have settled over this many evaluations; 0 never stops.", least=0
    )
    tolerance: float = option(0.005, "Share of active features that may change once settled.", least=0)
    seed: int = option(0, "Seed of the initial values and of the order of the pairs.", least=0)
    device: str | None = option(None, "Device to train on, such as cpu or cuda (default: the best there is).")

    def inputs(self, configs: Sequence[FeatureConfig]) -> dict[str, Any]:
        """What of it decides the weights of some configurations: all but the device, with the learning rates."""
        settings = asdict(self)
        del settings["device"]
        rates = self.rates(configs)
        settings["lr"] = rates[0] if len(set(rates)) == 1 else rates
        return settings

    def rates(self, configs: Sequence[FeatureConfig]) -> list[float]:
        """Peak learning rate of each configuration."""
        return [kind_of(config).lr if self.lr is None else self.lr for config in configs]

    def rate(self, step: int, peak: float) -> float:
        """Learning rate of a step, for a learner whose peak is ``peak``."""
        rising = (step + 1) / self.warmup_steps if step < self.warmup_steps else 1.0
        last = max(1, self.steps // _DECAY_SHARE)
        return peak * rising * min(1.0, (self.steps - step) / last)
