"""Several processes that train as one: the little that they tell each other.

Every process holds the same weights, takes its slice of the same batch and averages its gradients with the
others'. A lone process goes through the same functions, which then do nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from modalens.engine.parents import end_with_launcher


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, inside the block; a lone process stays alone.

    Messages between CPUs go over gloo, between GPUs over NCCL; each process takes the GPU of its local rank.
    """
    if dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    end_with_launcher()
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        dist.barrier()


def any_process(*flags: bool) -> tuple[bool, ...]:
    """For each flag, whether it is up in any process."""
    if world_size() == 1:
        return flags
    up = torch.tensor(flags, dtype=torch.uint8)
    dist.all_reduce(up, dist.ReduceOp.MAX)
    return tuple(bool(flag) for flag in up)


def from_first(number: int) -> int:
    """The first process's number."""
    if world_size() == 1:
        return number
    shared = torch.tensor(number)
    dist.broadcast(shared, src=0)
    return int(shared)


def average_(tensor: Tensor) -> Tensor:
    """Replace a tensor by its mean over the processes."""
    if world_size() > 1:
        dist.all_reduce(tensor)
        tensor /= world_size()
    return tensor


def maximum_(tensor: Tensor) -> Tensor:
    """Replace a tensor by its maximum over the processes."""
    if world_size() > 1:
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return tensor


def minimum_(tensor: Tensor) -> Tensor:
    """Replace a tensor by its minimum over the processes."""
    if world_size() > 1:
        dist.all_reduce(tensor, dist.ReduceOp.MIN)
    return tensor


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients of all processes."""
    for parameter in parameters:
        if parameter.grad is not None:
            average_(parameter.grad)


def gather(rows: Float[Tensor, "n d"]) -> Float[Tensor, "m d"]:
    """Rows of all processes, by rank; gradients fit a loss that every process computes in full.

    Such a loss gives each process the gradient of its own rows. They are scaled by the number of processes,
    so that averaging the gradients of parameters afterwards gives the whole gradient.
    """
    gathered: Tensor = rows if world_size() == 1 else _gather(rows)
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.n = len(rows)
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        start = rank() * ctx.n
        return grads[0][start : start + ctx.n] * world_size()


_gather: Any = _Gather.apply
