"""One thing to measure at one size: ours, what it is held against, and the floor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

Work: TypeAlias = Callable[[], Any]
# Numbers by letter: pairs, features, k, ...
Size: TypeAlias = Mapping[str, int]


class Place(NamedTuple):
    """Where a case works: an empty folder of its own, and a device."""

    folder: Path
    device: str = "cpu"


@dataclass(frozen=True)
class Case:
    """What is timed, in one process and in turns.

    Attributes
    ----------
    ours, theirs, floor
        The work of modalens; the plain way that it is held against; and what no way can do without, such as
        reading the data once. The last two may be None.
    difference
        How far two results are apart, given those of ``ours`` and ``theirs``; None where there is nothing to compare.
    tolerance
        The largest difference at which results agree.
    theirs_times
        Where ``theirs`` does only a share of the work: how many times it would have to be done.
    repeats
        Rounds of which the fastest counts; more for what is short.
    warm_up
        Done once before, on little data, so that loops are compiled.
    facts
        Numbers to be told beside, from the result of ``ours``.
    """

    ours: Work
    theirs: Work | None = None
    floor: Work | None = None
    difference: Callable[[Any, Any], float] | None = None
    tolerance: float = 0.0
    theirs_times: float = 1.0
    repeats: int = 1
    warm_up: Work | None = None
    facts: Callable[[Any], dict[str, float]] | None = None
