"""What a benchmark ran on; nothing that names the machine."""

import datetime
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modalens.compiled import cores
from modalens.version import __version__

_LIBRARIES = ("numpy", "scipy", "numba", "torch", "scikit-learn", "transformers")


def circumstances(device: str) -> dict[str, Any]:
    """Machine, versions, date and device, as a document keeps them.

    ``load`` is the number of processes that wanted to run in the minute before: where it is far over 0, other work
    took part of the machine.
    """
    return {
        "machine": {
            "processor": _processor(),
            "cores": cores(),
            "memory_gib": _memory(),
            "system": platform.system(),
            "gpu": _gpu() if device != "cpu" else None,
        },
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {"modalens": __version__, "python": platform.python_version(), **dict(_versions())},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": device,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _memory() -> float | None:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name()


def _versions() -> Iterator[tuple[str, str]]:
    for library in _LIBRARIES:
        try:
            yield library, version(library)
        except PackageNotFoundError:
            continue
