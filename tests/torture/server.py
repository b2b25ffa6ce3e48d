"""A process that has imported everything once and forks a job for each command that it is asked to run.

Imports take seconds, the jobs tenths of one; so kills strike work, and many fit into a minute. Forking is safe
because the server has no second thread, which it checks.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from modalens.store.atomic import PARTIAL_SUFFIX
from tests.torture.jobs import ask_explorer, shorten_demo

ROOT = Path(__file__).resolve().parents[2]
# What the commands import on their way.
_NEEDED = (
    "modalens.cli.app", "modalens.cli.output", "modalens.runs.reporting", "modalens.runs.interpreting",
    "modalens.runs.studying", "modalens.features.trainer", "matplotlib.pyplot", "sklearn.linear_model",
    "sklearn.manifold", "transformers.models.clip.modeling_clip", "transformers.models.clip.processing_clip",
    "transformers.models.clip.image_processing_pil_clip", "torch._dynamo",
)  # fmt: skip
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "COLUMNS": "120",
}
_LIMIT_SECONDS = 1_800


@dataclass(frozen=True)
class Strike:
    """When a job is killed: after so many seconds, or at the n-th change it makes to the disk.

    At a change that renames a finished file into place, the file is cut to ``cut`` of its length first, as a kill in
    the middle of a write leaves it. A job that is to ``wait`` is not killed there: it goes on when :func:`let_go`
    says so. With ``group``, the processes that the job has started die with it, as when a machine goes down.
    """

    after: float | None = None
    at_change: int | None = None
    cut: float = 1.0
    group: bool = False
    wait: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    ``code`` is its exit code (negative: the signal), ``changes`` counts those it made to the disk, ``said`` is what
    it printed, and ``ended`` is False if processes that it had started went on without it.
    """

    code: int
    seconds: float
    changes: int
    said: str
    ended: bool = True

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def beside(folder: Path, ending: str) -> Path:
    """A file that belongs to the jobs of a folder and lies beside it."""
    return folder.with_name(f"{folder.name}.{ending}")


def let_go(folder: Path) -> None:
    """Let the job that waits in a folder go on."""
    beside(folder, "go").touch()


class Server:
    """A context in which commands are run; ``hash_seed`` decides the order in which Python walks its sets."""

    def __init__(self, hash_seed: int = 0) -> None:
        self._environment = {**os.environ, **_ENVIRONMENT, "PYTHONHASHSEED": str(hash_seed)}

    def __enter__(self) -> "Server":
        command = [sys.executable, "-m", "tests.torture.server"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, env=self._environment, cwd=ROOT, text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # it has no work that could be lost
        self._process.communicate()

    def run(self, words: Sequence[object], folder: Path, strike: Strike | None = None) -> Outcome:
        """Run ``modalens`` (or ``torchrun``) with these words in a folder, to its end or until it is struck."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        strike_values = None if strike is None else asdict(strike)
        job = {"words": [str(word) for word in words], "folder": str(folder), "strike": strike_values}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("The server of forks has ended.")
        return Outcome(**json.loads(answer))


def _serve() -> None:
    for name in _NEEDED:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    threads = Path("/proc/self/task")
    if threads.is_dir() and len(list(threads.iterdir())) > 1:
        sys.exit("The server has several threads, so it cannot fork safely.")
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), file=answers, flush=True)


def _run(words: list[str], folder: str, strike: dict[str, Any] | None) -> dict[str, Any]:
    planned = Strike(**(strike or {}))
    # Two jobs may run in one folder, each of a server of its own.
    said, changes = (beside(Path(folder), f"{os.getpid()}.{ending}") for ending in ("said", "changes"))
    said.write_text("")  # a job may be killed before it has opened its own
    changes.write_text("0")
    started = time.monotonic()
    job = os.fork()
    if job == 0:
        _become(words, Path(folder), planned, said, changes)
    with contextlib.suppress(OSError):  # the job does so too; whoever is first
        os.setpgid(job, job)
    while True:
        ended, status = os.waitpid(job, os.WNOHANG)
        if ended:
            break
        seconds = time.monotonic() - started
        if seconds > (_LIMIT_SECONDS if planned.after is None else planned.after):
            with contextlib.suppress(ProcessLookupError):
                kill = os.killpg if planned.group else os.kill
                kill(job, signal.SIGKILL)
            _, status = os.waitpid(job, 0)
            break
        time.sleep(0.001)
    ended = _all_ended(job)
    return {
        "ended": ended,
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - started,
        "changes": int(changes.read_text() or 0),  # or in the middle of writing how many
        "said": said.read_text(errors="replace"),
    }


def _all_ended(job: int, limit: float = 150.0) -> bool:
    """Wait until the processes that a job has started have ended too; whether they did so by themselves.

    Ray's look for a lost cluster for a minute before they end.
    """
    until = time.monotonic() + limit
    while time.monotonic() < until:
        try:
            os.killpg(job, 0)
        except ProcessLookupError:
            return True
        if not any(_is_at_work(process, job) for process in psutil.process_iter()):
            return True
        time.sleep(0.05)
    os.killpg(job, signal.SIGKILL)
    return False


def _is_at_work(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _become(words: list[str], folder: Path, strike: Strike, said: Path, changes: Path) -> None:
    """Turn a fork into the command; never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        if words[0] == "torchrun":
            scripts = Path(sys.executable).parent
            os.environ["PATH"] = f"{scripts}{os.pathsep}{os.environ['PATH']}"
            os.execv(scripts / words[0], words)
        if words[0] == "demo":
            shorten_demo()
        if words[0] == "explore":
            ask_explorer()
        counter = _watch_changes(folder, strike)
        sys.argv = ["modalens", *words]
        from modalens.cli import main

        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        changes.write_text(str(counter[0]))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch_changes(folder: Path, strike: Strike) -> list[int]:
    """Count the changes to files in a folder from now on, and strike at the one that is named."""
    counted = [0]
    within = str(folder) + os.sep

    def see(event: str, values: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = values
            if not isinstance(path, str | bytes | os.PathLike) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event in ("os.rename", "os.remove", "os.truncate"):
            path = values[0]
        else:
            return
        if not str(Path(os.fsdecode(path)).absolute()).startswith(within):
            return
        counted[0] += 1
        if counted[0] == strike.at_change and strike.wait:
            beside(folder, "waits").touch()
            while not beside(folder, "go").exists():
                time.sleep(0.005)
        elif counted[0] == strike.at_change:
            # What is moved as a whole was written long before.
            if event == "os.rename" and os.fsdecode(path).endswith(PARTIAL_SUFFIX):
                os.truncate(path, int(Path(os.fsdecode(path)).stat().st_size * strike.cut))
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(see)
    return counted


if __name__ == "__main__":
    _serve()
