"""``python -m tests.torture --kills N --seed S``."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture.rounds import torture


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=150, help="at least so many kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument(
        "--only", nargs="+", default=(), help="only these commands; they need those before them"
    )
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    started = time.monotonic()
    tally = torture(folder, wanted.kills, wanted.seed, lambda line: print(line, flush=True), wanted.only)
    print(tally)
    print(f"{time.monotonic() - started:.0f} s")
    if tally.differences:
        sys.exit(f"What came out different is in {folder}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
