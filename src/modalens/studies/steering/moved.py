"""What is read from steered embeddings: which label, and which of the other side's samples are nearest."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from modalens.arrays import normalize_rows
from modalens.studies.steering.halves import Halves, Reader

TOP = 10
_QUERIES = 200


@dataclass(frozen=True, eq=False)
class SteeredSide:
    """The steered half's samples of one side, to which directions are added.

    Attributes
    ----------
    halves
        The pairs.
    side
        0 or 1.
    doses
        In mean lengths of an embedding of this side.
    """

    halves: Halves
    side: int
    doses: tuple[float, ...]

    @cached_property
    def x(self) -> Float[np.ndarray, "n d"]:
        """The samples as they are."""
        found: np.ndarray = self.halves.embeddings[self.side][self.halves.steered]
        return found

    @cached_property
    def labels(self) -> Int[np.ndarray, " n"]:
        """Their labels."""
        found: np.ndarray = self.halves.labels[self.halves.steered]
        return found

    @cached_property
    def keys(self) -> Int[np.ndarray, " n"]:
        """Their groups."""
        found: np.ndarray = self.halves.keys[self.halves.steered]
        return found

    @cached_property
    def readers(self) -> dict[str, Reader]:
        """What reads the label."""
        return self.halves.readers(self.side)

    @cached_property
    def lengths(self) -> Float[np.ndarray, " s"]:
        """Lengths of what is added."""
        found: np.ndarray = np.array(self.doses) * np.linalg.norm(self.x, axis=1).mean()
        return found

    def read(
        self, reader: Reader, directions: Float[np.ndarray, "m d"], advance: Callable[[int], None]
    ) -> Int[np.ndarray, "m s n"]:
        """The label that is read from every sample with a dose of each direction, which has length one."""
        logits = reader.logits(self.x).astype(np.float32)
        shifts = (directions @ reader.weights).astype(np.float32)
        kind = np.uint8 if logits.shape[1] < 256 else np.int64
        found = np.empty((len(directions), len(self.lengths), len(logits)), dtype=kind)
        for place, shift in enumerate(shifts):
            for dose, length in enumerate(self.lengths.astype(np.float32)):
                found[place, dose] = (logits + length * shift).argmax(axis=1)
            advance(1)
        return found

    def now(self, reader: Reader) -> Int[np.ndarray, " n"]:
        """The label that is read without steering."""
        found: np.ndarray = reader.logits(self.x).astype(np.float32).argmax(axis=1)
        return found

    def others(self, target: int) -> Bool[np.ndarray, " n"]:
        """Samples of other labels than one: those that steering can move to it."""
        found: np.ndarray = self.labels != target
        return found

    @cached_property
    def gallery(self) -> "Gallery":
        """The other side's samples, to be retrieved."""
        rng = np.random.default_rng(np.random.SeedSequence([len(self.x), 11]))
        queries = np.sort(rng.permutation(len(self.x))[:_QUERIES])
        candidates = normalize_rows(self.halves.embeddings[1 - self.side][self.halves.steered])[0]
        same = self.keys[queries, None] == self.keys
        same[np.arange(len(queries)), queries] = False  # a query's own partner is what it should find
        cosines = (self.x[queries] @ candidates.T).astype(np.float32)
        cosines[same] = -np.inf
        return Gallery(queries, cosines, candidates, self.labels)


@dataclass(frozen=True, eq=False)
class Gallery:
    """Some samples as queries for the other side's.

    Attributes
    ----------
    queries
        Their places in the steered half, (q,).
    products
        Of queries with unit candidates, (q, n); minus infinity for the other candidates of a query's own group.
    candidates
        Unit rows, (n, d).
    labels
        Labels of the candidates, (n,).
    """

    queries: Int[np.ndarray, " q"]
    products: Float[np.ndarray, "q n"]
    candidates: Float[np.ndarray, "n d"]
    labels: Int[np.ndarray, " n"]

    @property
    def least(self) -> int:
        """How many are retrieved: 10, or fewer of few candidates."""
        return min(TOP, int(self.products.shape[1]) - 1)

    def retrieved(
        self, direction: Float[np.ndarray, " d"] | None, lengths: Sequence[float], target: int
    ) -> Iterator[tuple[Float[np.ndarray, " q"], Bool[np.ndarray, " q"]]]:
        """At each dose, the share of the target label among each query's top 10, and whether its partner is there."""
        shift = 0.0 if direction is None else (self.candidates @ direction).astype(np.float32)
        is_target = self.labels == target
        rows = np.arange(len(self.queries))
        for length in lengths:
            scores = self.products + np.float32(length) * shift
            top = np.argpartition(-scores, self.least - 1, axis=1)[:, : self.least]
            own = scores[rows, self.queries]
            kept = (scores > own[:, None]).sum(axis=1) < self.least
            yield is_target[top].mean(axis=1), kept
