"""How long it takes to start."""

import subprocess
import sys

from modalens.benchmarks.case import Case, Place, Work


def listing(at: Place, *, rounds: int) -> Case:
    """``modalens --help``, beside importing PyTorch."""
    return _beside_torch(rounds, "-m", "modalens", "--help")


def importing(at: Place, *, rounds: int) -> Case:
    """``import modalens``, beside importing PyTorch."""
    return _beside_torch(rounds, "-c", "import modalens")


def _beside_torch(rounds: int, *words: str) -> Case:
    return Case(
        ours=_python(*words),
        theirs=_python("-c", "import torch"),
        floor=_python("-c", "pass"),
        repeats=rounds,
    )


def _python(*words: str) -> Work:
    return lambda: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
