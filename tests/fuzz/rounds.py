"""Change good files at random, read them, and see what comes of it."""

import resource
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from modalens.errors import ModalensError
from tests.fuzz.mutators import mutate
from tests.fuzz.target import Target

SECONDS = 10
"""How much time of the CPU one read may take: by the clock, a busy machine would count."""
WAITING = 60
"""How many seconds it may take by the clock: a read that waits takes no time of the CPU."""
KIBIBYTES = 2**20
"""How far the memory of the process may grow in one read."""


class _TooSlow(BaseException):
    pass


@dataclass
class Tally:
    """What came of the inputs: of each reader how many were read and refused, and what went wrong."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{name}: {self.read[name]} read, {self.refused[name]} refused"
            for name in sorted({*self.read, *self.refused})
        ]
        return "\n".join([*lines, *self.failures])


def fuzz(
    targets: Mapping[str, Target],
    inputs: int,
    seed: int,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
) -> Tally:
    """Give ``inputs`` changed inputs to the readers in turn; an input follows from the seed, its number and the name.

    The files of inputs that fail stay in the folder ``failed``.
    """
    tally = Tally()
    good: dict[str, Any] = {}
    for name, target in targets.items():
        (folder / "good" / name).mkdir(parents=True)
        target.make(folder / "good" / name)
        good[name] = target.read(folder / "good" / name)
    names = list(targets)
    for number in range(inputs):
        name = names[number % len(names)]
        target, place = targets[name], folder / "input"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "good" / name, place)
        _change(place, target, Random(f"{seed} {number} {name}"))
        failure = _try(name, target, place, good[name], tally)
        if failure:
            kept = folder / "failed" / f"{name}-{seed}-{number}"
            shutil.copytree(place, kept)
            tally.failures.append(f"{name}, input {number} of seed {seed} ({kept}): {failure}")
            say(tally.failures[-1])
        if number % 1000 == 999:
            say(f"{number + 1} inputs, {len(tally.failures)} failures")
    return tally


def _change(place: Path, target: Target, random: Random) -> None:
    files = sorted(path for path in place.glob(target.files) if path.is_file())
    for path in random.sample(files, min(len(files), random.choice((1, 1, 2)))):
        path.write_bytes(mutate(path.read_bytes(), random, tuple(target.mutators)))


def _try(name: str, target: Target, place: Path, good: Any, tally: Tally) -> str:
    """Read once; what went wrong, or nothing."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        with _in_time():
            found = target.read(place)
        tally.read[name] += 1
        wrong = "the result changed in spite of its checksum" if target.checked and found != good else ""
    except ModalensError as error:
        tally.refused[name] += 1
        wrong = f"a sentence of several lines: {error!r}" if "\n" in str(error) else ""
        wrong = wrong or (f"a sentence of {len(str(error))} characters" if len(str(error)) > 4000 else "")
    except _TooSlow:
        wrong = f"more than {SECONDS} s of the CPU or {WAITING} s\n{traceback.format_exc(limit=-3)}"
    except Exception:
        wrong = traceback.format_exc(limit=-3)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown > KIBIBYTES:
        wrong = wrong or f"the memory grew by {grown / 2**20:.1f} GiB"
    if time.process_time() - started > SECONDS:
        wrong = wrong or f"more than {SECONDS} s of the CPU"
    return wrong


@contextmanager
def _in_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooSlow

    timers = {signal.ITIMER_PROF: (signal.SIGPROF, SECONDS), signal.ITIMER_REAL: (signal.SIGALRM, WAITING)}
    before = {number: signal.signal(number, stop) for number, _ in timers.values()}
    for timer, (_, seconds) in timers.items():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
