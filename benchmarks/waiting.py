"""The share of samples in which no thread of a process ran or stood in line for a processor.

``python -m benchmarks.waiting PID`` looks from outside, on Linux, since a thread of the process would hold up
others: from the first line of its input to the end of it.
"""

import select
import sys
from pathlib import Path

_EVERY = 0.01


def main() -> None:
    tasks = Path("/proc", sys.argv[1], "task")
    samples = idle = 0
    sys.stdin.readline()
    while not select.select([sys.stdin], [], [], _EVERY)[0]:
        samples += 1
        idle += not any(_runs(task / "stat") for task in tasks.iterdir())
    print(idle / samples if samples else "")


def _runs(stat: Path) -> bool:
    """Whether a thread runs or could; its state stands behind its name, which is in brackets."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "R"
    except OSError:  # it has ended
        return False


if __name__ == "__main__":
    main()
