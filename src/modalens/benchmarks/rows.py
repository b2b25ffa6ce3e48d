"""What is measured, row by row. A row is a function that sets up its case, three sizes and its goals."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from modalens.benchmarks.case import Case, Place, Size
from modalens.errors import InputError

_CASES = "modalens.benchmarks.cases"
_ARRAYS = "reading both arrays once"
# Sizes at which everything is measured: in minutes, as large studies have them, and in tests.
SIZES = ("short", "full", "tiny")


@dataclass(frozen=True)
class Goal:
    """One number that is wanted of a row.

    Attributes
    ----------
    of
        ``ratio``: times as fast as what it is held against; ``floor``: share of the floor's speed; ``seconds``; or
        ``gib``: growth of memory.
    bound
        At least this much of ``ratio`` and ``floor``; at most this much of the other two.
    """

    of: str
    bound: float

    def met(self, found: float) -> bool:
        """Whether a number meets it."""
        return found >= self.bound if self.of in ("ratio", "floor") else found <= self.bound

    def __str__(self) -> str:
        words = {"ratio": "{:g} times", "floor": "{:g} of the floor", "seconds": "{:g} s", "gib": "{:g} GiB"}
        return words[self.of].format(self.bound)


@dataclass(frozen=True)
class Row:
    """One thing that is measured.

    Attributes
    ----------
    name, what
        Its name on the command line, and one sentence.
    against, floor
        What it is held against, and what no way can do without; None where there is none.
    case
        "module:function" below :mod:`modalens.benchmarks.cases`, which takes a place and the numbers of a size.
    short, full, tiny
        The numbers of each size.
    goals
        What is wanted.
    on_gpu
        Whether it can work on a GPU.
    """

    name: str
    what: str
    case: str
    against: str | None = None
    floor: str | None = None
    short: Size = field(default_factory=dict)
    full: Size = field(default_factory=dict)
    tiny: Size = field(default_factory=dict)
    goals: Sequence[Goal] = ()
    on_gpu: bool = False

    def size(self, name: str) -> dict[str, int]:
        """The numbers of one of :data:`SIZES`; what a smaller one leaves out is as in ``full``."""
        return {**self.full, **getattr(self, name)}

    def set_up(self, at: Place, size: Size) -> Case:
        """The case at some size."""
        module, _, function = self.case.partition(":")
        made: Any = getattr(import_module(f"{_CASES}.{module}"), function)
        found: Case = made(at, **size)
        return found


def find_rows(names: Sequence[str] = ()) -> list[Row]:
    """The rows of some names, in the order of the list; all of them where none is named.

    Raises
    ------
    InputError
        If there is no row of a name.
    """
    known = {row.name: row for row in ROWS}
    for name in names:
        if name not in known:
            raise InputError(f"There is no row {name!r}; choose from {', '.join(known)}.")
    return [row for row in ROWS if not names or row.name in names]


def _resampled(resamples: int) -> Row:
    return Row(
        f"resamples-{resamples}",
        f"The same with {resamples:,} resamples, label swaps and certainty.",
        "dominance:resampled",
        against="the scores alone",
        floor=_ARRAYS,
        full={"pairs": 200_000, "width": 1_024, "resamples": resamples},
        short={"pairs": 50_000},
        tiny={"pairs": 500, "width": 8, "resamples": 20},
        goals=(Goal("ratio", 0.67),),
    )


def _trained(features: int, width: int, batch: int, steps: int, goal: float) -> Row:
    return Row(
        f"train-{features}",
        f"Training steps of a sparse autoencoder of {features:,} features.",
        "training:steps",
        against="plain autograd from the same start",
        full={"features": features, "width": 512, "k": 32, "batch": 2_048, "steps": 20},
        short={"width": width, "batch": batch, "steps": steps},
        tiny={"features": 64, "width": 16, "k": 4, "batch": 32, "steps": 2},
        goals=(Goal("ratio", goal),),
        on_gpu=True,
    )


ROWS: tuple[Row, ...] = (
    Row(
        "dominance",
        "Dominance scores of dense embeddings in single precision.",
        "dominance:dense",
        against="the score in NumPy, single precision",
        floor=_ARRAYS,
        full={"pairs": 200_000, "width": 1_024},
        short={"pairs": 50_000},
        tiny={"pairs": 500, "width": 40},
        goals=(Goal("ratio", 4), Goal("floor", 0.5)),
    ),
    _resampled(200),
    _resampled(1_000),
    Row(
        "dominance-store",
        "Dominance scores of a store in half precision whose files are in memory.",
        "dominance:stored",
        against="NumPy on one file after another",
        floor="reading the files",
        full={"pairs": 1_000_000, "width": 512},
        short={"pairs": 150_000},
        tiny={"pairs": 500, "width": 8},
        goals=(Goal("floor", 0.5),),
    ),
    Row(
        "dominance-csr",
        "Dominance scores of sparse codes of many features.",
        "dominance:sparse",
        against="as many codes of 1,024 features",
        floor="reading the values",
        full={"pairs": 500_000, "features": 65_536, "k": 32, "few": 1_024},
        short={"pairs": 50_000},
        tiny={"pairs": 500, "features": 128, "k": 4, "few": 32},
        goals=(Goal("ratio", 0.67),),
    ),
    Row(
        "dominance-densified",
        "Dominance scores of sparse codes, which are never made dense.",
        "dominance:densified",
        against="NumPy on dense blocks of them",
        full={"pairs": 100_000, "features": 16_384, "k": 32},
        short={"pairs": 10_000, "features": 4_096},
        tiny={"pairs": 300, "features": 64, "k": 4},
        goals=(Goal("ratio", 4),),
    ),
    Row(
        "score-csr",
        "All estimators, intervals, gap and retrieval of sparse codes of many features.",
        "dominance:all_estimators",
        full={"pairs": 100_000, "features": 65_536, "k": 32, "resamples": 200},
        short={"pairs": 2_000, "features": 16_384},
        tiny={"pairs": 300, "features": 64, "k": 4, "resamples": 20},
        goals=(Goal("gib", 1),),
    ),
    Row(
        "gap",
        "L2M, L2I, RMG and separability with intervals.",
        "dominance:gap",
        against="L2M, L2I and RMG in NumPy, no intervals",
        floor=_ARRAYS,
        full={"pairs": 100_000, "width": 1_024, "resamples": 200},
        short={"pairs": 50_000, "width": 512},
        tiny={"pairs": 500, "width": 8, "resamples": 20},
        goals=(Goal("floor", 0.33),),
    ),
    _trained(1_024, 512, 2_048, 10, 2),
    _trained(16_384, 512, 1_024, 3, 4),
    _trained(65_536, 256, 512, 2, 6),
    Row(
        "several-saes",
        "Nine sparse autoencoders (three k, three seeds) on one pass.",
        "training:several",
        against="one after another",
        full={"pairs": 100_000, "width": 512, "features": 512, "batch": 1_024, "steps": 100},
        short={"pairs": 10_000, "steps": 5},
        tiny={"pairs": 100, "width": 8, "features": 64, "batch": 32, "steps": 2},
        goals=(Goal("ratio", 1.8),),
        on_gpu=True,
    ),
    Row(
        "encode",
        "Encoding embeddings to sparse codes.",
        "codes:encode",
        against="PyTorch's topk and to_sparse_csr",
        floor="the encoder's product",
        full={"samples": 16_384, "width": 512, "features": 16_384, "k": 32},
        short={"samples": 2_048},
        tiny={"samples": 50, "width": 16, "features": 128, "k": 4},
        goals=(Goal("ratio", 1.5),),
        on_gpu=True,
    ),
    Row(
        "top-samples",
        "The strongest samples of every dense feature.",
        "codes:top_of_dense",
        against="sorting each column",
        full={"samples": 400_000, "features": 512, "m": 20},
        short={"samples": 50_000, "features": 256},
        tiny={"samples": 200, "features": 8, "m": 5},
        goals=(Goal("ratio", 10),),
    ),
    Row(
        "top-samples-csr",
        "The strongest samples of every sparse feature.",
        "codes:top_of_sparse",
        against="sorting the entries of each column",
        full={"samples": 400_000, "features": 65_536, "k": 32, "m": 20},
        short={"samples": 50_000, "features": 16_384},
        tiny={"samples": 200, "features": 64, "k": 4, "m": 5},
        goals=(Goal("ratio", 1),),
    ),
    Row(
        "monosemanticity",
        "Monosemanticity of sparse features, their strongest samples known.",
        "interpretation:mono",
        against="a plain loop over features",
        full={
            "samples": 50_000,
            "features": 65_536,
            "k": 32,
            "width": 384,
            "m": 20,
            "draws": 5,
            "loop": 2_000,
        },
        short={"samples": 20_000, "features": 8_192, "loop": 500},
        tiny={"samples": 200, "features": 64, "k": 4, "width": 8, "m": 5, "draws": 2, "loop": 20},
        goals=(Goal("ratio", 5),),
    ),
    Row(
        "bridges",
        "Bridges and verdicts of one-sided features.",
        "interpretation:bridge",
        against="dense products of shuffled pairs alone",
        full={
            "pairs": 20_000,
            "features": 65_536,
            "k": 32,
            "shuffles": 200,
            "dense": 1_024,
            "dense_shuffles": 5,
        },
        short={"pairs": 5_000, "features": 2_048, "shuffles": 100},
        tiny={"pairs": 200, "features": 64, "k": 4, "shuffles": 100, "dense": 16, "dense_shuffles": 2},
        goals=(Goal("ratio", 5),),
    ),
    Row(
        "removal",
        "Classifiers without each of many sets of features.",
        "studies:removal",
        against="scikit-learn on one core, one fit after another",
        full={"pairs": 15_000, "features": 1_024, "labels": 80, "sets": 33, "theirs": 4},
        short={"pairs": 3_000, "features": 256, "labels": 20, "sets": 20, "theirs": 6},
        tiny={"pairs": 400, "features": 16, "labels": 3, "sets": 2, "theirs": 3},
        goals=(Goal("ratio", 10),),
    ),
    Row(
        "close-gap",
        "Every measure of edits that close the gap.",
        "studies:close_gap",
        against="each measure by itself",
        full={"pairs": 15_000, "features": 1_024, "labels": 80, "edits": 2},
        short={"pairs": 3_000, "features": 256},
        tiny={"pairs": 200, "features": 16, "labels": 3},
        goals=(Goal("ratio", 5),),
    ),
    Row(
        "embed",
        "Embedding a folder of photos with a CLIP of random weights.",
        "embedding:embed",
        against="transformers by hand, one batch after another",
        floor="the bare towers on decoded tensors",
        full={"photos": 256, "batch": 32, "width": 768, "layers": 12, "side": 224, "patch": 16},
        short={"photos": 32, "batch": 8, "width": 384, "layers": 4},
        tiny={"photos": 6, "batch": 2, "width": 32, "layers": 1, "side": 32},
        goals=(Goal("floor", 0.95),),
        on_gpu=True,
    ),
    Row(
        "help",
        "`modalens --help`, in a process of its own.",
        "start:listing",
        against="`import torch`",
        floor="Python alone",
        full={"rounds": 4},
        short={"rounds": 2},
        tiny={"rounds": 1},
        goals=(Goal("seconds", 0.3),),
    ),
    Row(
        "import",
        "`import modalens`, in a process of its own.",
        "start:importing",
        against="`import torch`",
        floor="Python alone",
        full={"rounds": 4},
        short={"rounds": 2},
        tiny={"rounds": 1},
        goals=(Goal("seconds", 0.1),),
    ),
)
