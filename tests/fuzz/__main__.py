"""``python -m tests.fuzz --inputs N --seed S [--only READER ...]``."""

import argparse
import faulthandler
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.rounds import fuzz
from tests.fuzz.targets import all_targets


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many inputs, over all readers")
    parser.add_argument("--seed", type=int, default=0, help="seed of the changes")
    parser.add_argument("--only", nargs="+", metavar="READER", help="only these readers")
    wanted = parser.parse_args()
    targets = all_targets()
    if unknown := [name for name in wanted.only or () if name not in targets]:
        sys.exit(f"There is no reader {unknown[0]}; the readers are {', '.join(targets)}.")
    chosen = {name: targets[name] for name in wanted.only or targets}
    faulthandler.enable()
    logging.disable()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    print(f"The input at hand lies in {folder / 'input'}.", flush=True)
    started = time.monotonic()
    tally = fuzz(chosen, wanted.inputs, wanted.seed, folder, lambda line: print(line, flush=True))
    print(tally)
    print(f"{wanted.inputs} inputs in {time.monotonic() - started:.0f} s")
    if tally.failures:
        sys.exit(f"{len(tally.failures)} failures; their files are in {folder / 'failed'}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
