"""How feature learners are trained."""

from dataclasses import dataclass

from modalens.errors import ModalensError

_DECAY_SHARE = 5


@dataclass(frozen=True)
class TrainConfig:
    """How learners are trained.

    Attributes
    ----------
    steps
        Budget of batches.
    batch_size
        Pairs in a batch, over all processes together.
    lr
        Peak learning rate of AdamW, reached after ``warmup_steps`` and brought to 0 over the last fifth.
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

    Raises
    ------
    ModalensError
        If a value is out of range.
    """

    steps: int = 2000
    batch_size: int = 1024
    lr: float = 3e-3
    warmup_steps: int = 50
    weight_decay: float = 0.0
    clip: float = 1.0
    log_every: int = 100
    checkpoint_every: int = 500
    evaluation_pairs: int = 2000
    patience: int = 0
    tolerance: float = 0.005
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "checkpoint_every", "evaluation_pairs"):
            if getattr(self, name) < 1:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("lr", "clip"):
            if not getattr(self, name) > 0:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must be over 0.")
        for name in ("warmup_steps", "weight_decay", "patience", "tolerance", "seed"):
            if not getattr(self, name) >= 0:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must not be negative.")

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        rising = (step + 1) / self.warmup_steps if step < self.warmup_steps else 1.0
        last = max(1, self.steps // _DECAY_SHARE)
        return self.lr * rising * min(1.0, (self.steps - step) / last)
