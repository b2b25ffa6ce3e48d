"""Work for workers in other processes, which import it from here; what takes long to import, only where it is used."""

import errno
import os
import signal
import time
from pathlib import Path

from modalens.errors import ModalensError


def square(number: int) -> int:
    return number * number


def slow_first(number: int) -> tuple[int, int]:
    """The first pieces take longest."""
    time.sleep(0.05 * max(0, 4 - number))
    return number, os.getpid()


def die_once(folder: Path, fatal: int, number: int) -> int:
    """Kill the worker in the middle of one piece, the first time it is tried."""
    marker = folder / f"died-{number}"
    if number == fatal and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def always_die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse(number: int) -> int:
    if number == 2:
        raise ModalensError("Two is not allowed; take three.")
    return number


def crash(number: int) -> int:
    return 1 // (number - 2)


def run_out(number: int) -> int:
    """The system refuses, as it does when a disk is full or the memory ends."""
    raise MemoryError if number else OSError(errno.ENOSPC, "No space left on device", "a.npy")


def folder(_: int) -> str:
    return str(Path.cwd())


def threads(_: int) -> list[int]:
    """How many threads each library of this process computes with."""
    import numpy as np
    import torch
    from threadpoolctl import threadpool_info

    assert np.eye(2) @ np.eye(2) is not None
    return [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]


def embed_and_die(marker: Path, model, config, strict, shard):
    """Embed a shard by the model's name; the worker of shard 1 is killed in the middle, once."""
    from modalens.runs import shards

    if shard.index == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return shards.embed_shard_by_name(model, config, strict, shard)


def sum_and_die(marker: Path, kind, folder, device, plan, part):
    """Sum over a part; the worker of the third part is killed, once."""
    from modalens.runs import scoring

    if part.start == 22 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return scoring._sum_stored(kind, folder, device, plan, part)


def embed_and_wait(pid: Path, model, config, strict, shard):
    """Embed a shard by a fake; shard 2, the first time, gives its process away and waits for its end."""
    from modalens.runs.shards import embed_shard
    from tests.fakes import FakeVLM

    if shard.index == 2 and not pid.exists():
        pid.write_text(str(os.getpid()))
        time.sleep(60)
    return embed_shard(FakeVLM(), config, strict, shard)


def say_and_wait(folder: Path, number: int) -> int:
    """Tell which process this is, and work on for a minute."""
    (folder / f"{number}.partial").write_text(str(os.getpid()))
    (folder / f"{number}.partial").rename(folder / f"{number}.pid")
    time.sleep(60)
    return number
