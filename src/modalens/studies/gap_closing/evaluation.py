"""Remove sets of features and measure what is left, with the controls of every set beside it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import BLOCK_ROWS, Block, Matrix, read_rows
from modalens.edit import IndexSet, equal_energy_sets, feature_energy, random_sets, zero
from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import CLASS, RANDOM, VARIANCE, feature_variance, strongest_set
from modalens.statistics.controls import AgainstRandom, t_test
from modalens.studies.gap_closing.measures import GapMeasures, Measured, cells, over_draws, without_means

# Codes of a side ("image" or "text", whatever the modalities are called) to embeddings (n, d).
Decode: TypeAlias = Callable[[Block, str], np.ndarray]

ONE_SIDED, VERDICT = "one_sided", "verdict"
# What tables call the rows of each kind of set, and those that no set of features makes.
KINDS = {
    CLASS: "class",
    VERDICT: "verdict",
    ONE_SIDED: "one-sided first",
    RANDOM: "random, equal count",
    EQUAL_ENERGY: "random, equal energy",
    VARIANCE: "largest variance",
}
EMBEDDINGS, NOTHING = "embeddings", "nothing"
MEAN_DIFFERENCE, MEANS = "mean difference", "both means"
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Features to remove sets from, and the measures of what is left.

    Attributes
    ----------
    image, text
        Paired features (n, f), dense or CSR.
    decode
        Makes embeddings of them; None measures the features themselves.
    measures
        The pairs, and what they are measured by.
    live
        The features that controls may take.
    seed
        Of random sets and resamples.
    """

    image: Block
    text: Block
    decode: Decode | None
    measures: GapMeasures
    live: Int[np.ndarray, " k"]
    seed: int

    @cached_property
    def energy(self) -> Float[np.ndarray, "2 f"]:
        """Energy of every feature on each side."""
        return np.stack([feature_energy(self.image), feature_energy(self.text)])

    @cached_property
    def _variance(self) -> Float[np.ndarray, " f"]:
        """Variance of every feature over the samples of both sides."""
        both = (self.image, self.text)
        return feature_variance(
            sp.vstack(both, format="csr") if sp.issparse(self.image) else np.concatenate(both)
        )

    def without(self, removed: Int[np.ndarray, " k"]) -> tuple[Block, Block]:
        """Both sides with some features zeroed, decoded; with none, what was there."""
        image, text = (zero(side, removed) for side in (self.image, self.text))
        if self.decode is None:
            return image, text
        decoded = (self.decode(image, "image"), self.decode(text, "text"))
        return decoded[0].astype(np.float64), decoded[1].astype(np.float64)

    def baselines(self, embeddings: tuple[Block, Block] | None) -> Iterator[dict[str, Any]]:
        """A row for what was encoded, for nothing removed, and for the removal of means alone."""
        if embeddings is not None:
            yield self._row(EMBEDDINGS, 0, 0.0, self.measures.measure(*embeddings, RESAMPLES))
        whole = self.without(np.arange(0))
        yield self._row(NOTHING, 0, 0.0, self.measures.measure(*whole, RESAMPLES))
        for kind in (MEAN_DIFFERENCE, MEANS):
            moved = without_means(*whole, self.measures.keys, self.seed, common=kind == MEANS)
            yield self._row(kind, 0, 0.0, self.measures.measure(*moved, RESAMPLES))

    def beside_controls(
        self, each: IndexSet, draws: int, advance: Callable[[int], None]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """A set, its two kinds of random sets, and as many features of largest variance.

        Returns
        -------
        rows
            One for each of the four.
        tests
            One for each tested measure and kind of random sets: the set's value beside those of the sets.
        """
        size, total = len(each), self.energy.sum(axis=0)
        randoms = (
            random_sets(self.live, size, draws, self.seed),
            equal_energy_sets(self.live, total, float(total[each.indices].sum()), draws, self.seed),
        )
        own = self.measures.measure(*self.without(each.indices), RESAMPLES)
        advance(1)
        rows, tests = [self._row(KINDS[each.kind], size, self._share(each), own)], []
        for sets in randoms:
            measured = []
            for one in sets:
                measured.append(self.measures.measure(*self.without(one.indices)))
                advance(1)
            rows.append(
                self._row(
                    KINDS[sets[0].kind],
                    float(np.mean([len(one) for one in sets])),
                    float(np.mean([self._share(one) for one in sets])),
                    over_draws(measured),
                )
            )
            tests += [
                self._tested(name, KINDS[sets[0].kind], own[name][0], [one[name][0] for one in measured])
                for name in self.measures.tested
            ]
        important = strongest_set(VARIANCE, self._variance, size, self.live)
        found = self.measures.measure(*self.without(important.indices), RESAMPLES)
        advance(1)
        rows.append(self._row(KINDS[VARIANCE], size, self._share(important), found))
        return rows, tests

    def _tested(self, measure: str, control: str, own: float, draws: list[float]) -> dict[str, Any]:
        """Whether the set is one more random one, on these pairs."""
        means = np.array([value for value in draws if not np.isnan(value)])
        against = AgainstRandom(np.nan, np.nan, np.nan, np.nan, np.nan)
        if len(means) > 1 and not np.isnan(own):
            groups = len(np.unique(self.measures.keys))
            against = t_test(own - float(means.mean()), means, groups=groups)
        return {
            "measure": measure,
            "control": control,
            "value": own,
            "random": float(means.mean()) if len(means) else np.nan,
            "difference": against.difference,
            "difference_low": against.low,
            "difference_high": against.high,
            "p": against.p,
            "q": np.nan,  # known when the table is whole
            "detectable": against.detectable,
        }

    def _share(self, each: IndexSet) -> float:
        total = self.energy.sum(axis=0)
        return float(total[each.indices].sum() / total.sum())

    @staticmethod
    def _row(kind: str, removed: float, energy: float, measured: Measured) -> dict[str, Any]:
        return {"kind": kind, "removed": float(removed), "energy": energy, **cells(measured)}


def read_all(matrix: Matrix, rows: Int[np.ndarray, " m"], name: str) -> Block:
    """Some rows of a matrix in memory, float64, dense or CSR."""
    blocks = []
    for start in range(0, len(rows), BLOCK_ROWS):
        wanted = rows[start : start + BLOCK_ROWS]
        blocks.append(read_rows(matrix[wanted], 0, len(wanted), name))
    return sp.vstack(blocks, format="csr") if sp.issparse(blocks[0]) else np.concatenate(blocks)
