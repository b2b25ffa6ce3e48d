"""Rounds of torture: every command of a run struck a few times, rerun to its end and compared."""

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modalens.store.atomic import PARTIAL_SUFFIX
from tests.torture.jobs import commands, more_features, prepare, prepare_uses, slow_commands, uses
from tests.torture.server import Outcome, Server, Strike

# Strikes at each command of a round: what is killed goes on from where it was, so one run to the end pays for several.
_STRIKES = 4
# Commands that start processes come in every so many rounds. Ray's own processes live for a minute after a kill, so of
# 1,000 kills about eight are Ray's.
_EVERY = {
    "embed --workers": 3,
    "score --workers": 3,
    "torchrun train": 3,
    "train baselines": 2,
    "train sweep": 2,
    "demo": 5,
    "embed --engine ray": 9,
}
# The share of their time in which fresh processes only import; strikes come after it.
_IMPORTS = {"embed --workers": 0.4, "score --workers": 0.4, "torchrun train": 0.5, "embed --engine ray": 0.4}
# Share of the strikes that come at a change to the disk; the others come by the clock.
_AT_CHANGE = 0.4
# Share of the strikes by the clock that also kill what the command has started; torchrun's workers need that.
_WITH_GROUP = 0.5


@dataclass
class Tally:
    """What a torture came to: kills by command, how many at a change to the disk, and every difference found.

    ``missed`` counts strikes that came after the end of the work, ``torn`` kills that left a file half made.
    """

    kills: Counter[str] = field(default_factory=Counter)
    at_change: Counter[str] = field(default_factory=Counter)
    torn: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{'':18}{'kills':>7}{'at a change':>13}{'torn':>7}{'too late':>10}"]
        columns = (self.kills, self.at_change, self.torn, self.missed)
        for name in [*self.kills, *(name for name in self.missed if name not in self.kills)]:
            kills, at_change, torn, missed = (column[name] for column in columns)
            lines.append(f"{name:18}{kills:7}{at_change:13}{torn:7}{missed:10}")
        kills, at_change, torn, missed = (column.total() for column in columns)
        lines.append(f"{'all':18}{kills:7}{at_change:13}{torn:7}{missed:10}")
        lines.append(f"{self.compared} files compared, {len(self.differences)} differences")
        return "\n".join([*lines, *self.differences])


def contents(folder: Path) -> dict[str, str]:
    """Checksum of every file of a folder, by its path there; how long a recipe's step took does not count."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.parent.name == "steps" and path.suffix == ".json":
            content = re.sub(rb'"seconds": [^,\n]*', b'"seconds"', content)
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def undisturbed(
    server: Server, jobs: Mapping[str, Sequence[object]], folder: Path
) -> Iterator[tuple[str, Outcome]]:
    """Run commands one after the other in a new folder, and give how each ended."""
    folder.mkdir()
    for name, words in jobs.items():
        outcome = server.run(words, folder)
        if outcome.code:
            raise RuntimeError(
                f"modalens {name} failed undisturbed (exit code {outcome.code}): {outcome.said}"
            )
        yield name, outcome


def torture(
    folder: Path,
    kills: int,
    seed: int,
    tell: Callable[[str], None] = lambda line: None,
    only: Collection[str] = (),
) -> Tally:
    """Run every command undisturbed, then in rounds of strikes until so many have killed.

    Commands that take long come in some of the rounds, the first among them. A folder that came out different is left
    for a look at it.
    Where ``only`` names commands, the others are left out.
    """
    source = folder / "source"
    source.mkdir(parents=True)
    prepare(source)
    more = uses(source) | more_features(source)
    every = commands(source) | more | slow_commands(source)
    jobs = {name: words for name, words in every.items() if not only or name in only}
    if not jobs.keys().isdisjoint(more):
        prepare_uses(source)
    whole: dict[str, dict[str, str | None]] = {}
    plain: dict[str, Outcome] = {}
    known: dict[str, str] = {}
    # Another hash seed than that of the rounds, so that no file may hang on the order of a set.
    with Server(hash_seed=1) as server:
        for name, outcome in undisturbed(server, jobs, folder / "undisturbed"):
            before, known = known, contents(folder / "undisturbed")
            whole[name], plain[name] = changes(before, known), outcome
            tell(f"{name}: {outcome.seconds:.2f} s, {outcome.changes} changes, {len(known)} files")
    rng = np.random.default_rng(seed)
    tally = Tally()
    number = 0
    with Server(hash_seed=2) as server:
        while tally.kills.total() < kills and not tally.differences:
            number += 1
            tortured = folder / f"round-{number}"
            tortured.mkdir()
            expected: dict[str, str] = {}
            for name, words in jobs.items():
                if (number - 1) % _EVERY.get(name, 1):
                    continue
                for path, checksum in whole[name].items():
                    expected.pop(path, None)
                    if checksum is not None:
                        expected[path] = checksum
                _strike(server, name, words, tortured, plain[name], rng, tally)
                found = contents(tortured)
                tally.compared += len(found)
                wrong = differences(expected, found)
                if wrong:
                    tally.differences += [f"round {number}, {name}: {each}" for each in wrong]
                    break
            else:
                shutil.rmtree(tortured)
            tell(f"round {number}: {tally.kills.total()} kills")
    return tally


def _strike(
    server: Server,
    name: str,
    words: list[object],
    folder: Path,
    plain: Outcome,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Run a command, struck a few times, to its end."""
    for _ in range(_STRIKES):
        group = words[0] == "torchrun" or rng.random() < _WITH_GROUP
        strike = Strike(after=rng.uniform(_IMPORTS.get(name, 0), 1) * plain.seconds, group=group)
        if plain.changes and rng.random() < _AT_CHANGE:
            strike = Strike(at_change=int(rng.integers(1, plain.changes + 1)), cut=rng.random())
        outcome = server.run(words, folder, strike)
        if not outcome.ended:
            tally.differences.append(f"{name} was killed, and what it had started went on")
        if not outcome.killed:
            tally.missed[name] += 1
            break
        tally.kills[name] += 1
        tally.at_change[name] += strike.at_change is not None
        tally.torn[name] += any(folder.rglob("*" + PARTIAL_SUFFIX))
    else:
        outcome = server.run(words, folder)
    if outcome.code:
        tally.differences.append(f"{name} ended with code {outcome.code}: {outcome.said}")


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """What a command did to a folder: checksums of files that are new or changed, None for those that are gone."""
    made = {path: checksum for path, checksum in after.items() if before.get(path) != checksum}
    return {**made, **dict.fromkeys(before.keys() - after.keys())}


def differences(whole: dict[str, str], found: dict[str, str]) -> list[str]:
    """What a folder lacks, has too much or has otherwise, by what :func:`contents` says of both."""
    return [
        f"{path} {'is missing' if path not in found else 'is left over' if path not in whole else 'differs'}"
        for path in sorted(whole.keys() | found.keys())
        if whole.get(path) != found.get(path)
    ]
