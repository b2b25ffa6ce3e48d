"""Captions that have something against captions of the same length without it, by permutation of whole groups.

Shares of activity are far from normal: most captions have next to none in the features of another side, and a few have
much. Of words that few captions have, Student's test with the variance over groups then found differences in a tenth of
comparisons of nothing. A permutation keeps the shape of the outcomes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from modalens.statistics.controls import LEVEL, POWER
from modalens.statistics.intervals import percentile_interval

# Numbers of a block of permuted outcomes.
_ENTRIES = 2**22


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences of o outcomes for each of w things that captions have or lack; (w, o) by default.

    Attributes
    ----------
    having, lacking
        Mean outcome of captions that have it, and of those that lack it, at equal lengths; NaN if no length has both.
    low, high
        95 % interval of ``having - lacking``: the values that the permutation test does not rule out, if having it
        moves outcomes by one amount.
    p
        Two-sided, of no difference: twice the share of permutations, the real one counted, that lie as far out.
    detectable
        The smallest difference that a test at level .05 finds with power .8, (1.96 + .84) standard deviations.
    captions, groups
        Captions that have it and have others of their length beside them, (w,); groups that have it, (w,).
    drawn
        Differences of the permutations, (w, o, r).
    """

    having: Float[np.ndarray, "w o"]
    lacking: Float[np.ndarray, "w o"]
    low: Float[np.ndarray, "w o"]
    high: Float[np.ndarray, "w o"]
    p: Float[np.ndarray, "w o"]
    detectable: Float[np.ndarray, "w o"]
    captions: Int[np.ndarray, " w"]
    groups: Int[np.ndarray, " w"]
    drawn: Float[np.ndarray, "w o r"]

    @property
    def value(self) -> Float[np.ndarray, "w o"]:
        """having - lacking."""
        found: np.ndarray = self.having - self.lacking
        return found

    def p_of_drawn(self, draws: int) -> Float[np.ndarray, "w o r"]:
        """p of the first permutations, each in the place of the real one: what comes out where nothing is there."""
        return tail_p(self.drawn[..., :draws], self.drawn)


@dataclass(frozen=True, eq=False)
class Matched:
    """Outcomes of captions, ready to be compared.

    Attributes
    ----------
    outcomes
        Of each caption, without NaN, (n, o).
    strata
        What captions are matched in: from 0, such as the number of words, (n,).
    groups
        Captions of one group, such as an image, are no independent evidence; from 0, none empty, (n,).
    """

    outcomes: Float[np.ndarray, "n o"]
    strata: Int[np.ndarray, " n"]
    groups: Int[np.ndarray, " n"]

    def compare(self, has: Bool[np.ndarray, "w n"] | sp.csr_array, draws: int, seed: int) -> Differences:
        """Differences between captions that have each of w things and matched ones that lack it.

        Parameters
        ----------
        has
            Which captions have what.
        draws, seed
            Permutations, and their seed.

        Notes
        -----
        Within each stratum means differ by m1 - m0, and strata are weighted by n1 n0 / (n1 + n0), as a regression with
        a constant for every stratum weights them; the difference is then sum(x e) / sum(n1 n0 / n) over captions, with
        e what outcomes exceed their stratum's mean by and x whether a caption has it, less the share of its stratum
        that does. A permutation gives e of one group to another: of single captions within a stratum, which is exact,
        of larger groups among those of equal size (Freedman and Lane 1983). A group without its like keeps its own.
        """
        has = sp.csr_array(has, dtype=np.float64)
        inside = has @ self._stratum
        inside = inside.toarray()
        sizes = np.asarray(self._stratum.sum(axis=0)).ravel()
        weights = inside * (sizes - inside) / sizes
        total = weights.sum(axis=1)
        total = np.where(total > 0, total, np.nan)
        means = [self._means(has, inside, sizes, place) for place in range(self.outcomes.shape[1])]
        having, lacking = (np.stack(each, axis=1) / total[:, None] for each in zip(*means, strict=True))
        drawn = self._drawn(has, inside / sizes, draws, seed) / total[:, None, None]
        value = having - lacking
        low, high = percentile_interval(drawn)
        return Differences(
            having=having,
            lacking=lacking,
            low=value - high,
            high=value - low,
            p=tail_p(value[..., None], drawn)[..., 0],
            detectable=(ndtri(1 - LEVEL / 2) + ndtri(POWER)) * drawn.std(axis=-1),
            captions=(inside * (sizes > inside)).sum(axis=1).astype(np.int64),
            groups=np.diff((has @ self._group).tocsr().indptr).astype(np.int64),
            drawn=drawn,
        )

    @cached_property
    def _stratum(self) -> sp.csr_array:
        return _indicator(np.unique(self.strata, return_inverse=True)[1].reshape(-1))

    @cached_property
    def _group(self) -> sp.csr_array:
        return _indicator(self.groups)

    @cached_property
    def _excess(self) -> Float[np.ndarray, "n o"]:
        """What outcomes exceed the mean of their stratum by."""
        sizes = np.asarray(self._stratum.sum(axis=0)).ravel()
        found: np.ndarray = self.outcomes - self._stratum @ (
            (self._stratum.T @ self.outcomes) / sizes[:, None]
        )
        return found

    def _means(
        self, has: sp.csr_array, inside: Float[np.ndarray, "w s"], sizes: Float[np.ndarray, " s"], place: int
    ) -> tuple[Float[np.ndarray, " w"], Float[np.ndarray, " w"]]:
        """Weighted sums over strata of the means of those that have it and of those that lack it."""
        of_stratum = sp.csr_array(self._stratum.multiply(self.outcomes[:, [place]]))
        sums = (has @ of_stratum).toarray()
        rest = np.asarray(of_stratum.sum(axis=0)).ravel() - sums
        # m1 n1 n0 / n is the sum of those that have it, times n0 / n.
        both = (inside > 0) & (inside < sizes)
        having = np.where(both, sums * (sizes - inside) / sizes, 0).sum(axis=1)
        return having, np.where(both, rest * inside / sizes, 0).sum(axis=1)

    def _drawn(
        self, has: sp.csr_array, share: Float[np.ndarray, "w s"], draws: int, seed: int
    ) -> Float[np.ndarray, "w o r"]:
        """Sums over captions of permuted excess, for those that have it less what their strata give."""
        n, outcomes = self.outcomes.shape
        rng = np.random.default_rng(seed)
        found = np.empty((has.shape[0], outcomes, draws), dtype=np.float32)
        step = max(1, _ENTRIES // n)
        for start in range(0, draws, step):
            source = self._permuted(min(step, draws - start), rng)
            for place in range(outcomes):
                moved = self._excess[:, place][source].T
                sums = has @ moved - share @ (self._stratum.T @ moved)
                found[:, place, start : start + step] = sums
        return found

    def _permuted(self, draws: int, rng: np.random.Generator) -> Int[np.ndarray, "r n"]:
        """Whose excess each caption is given."""
        source = np.tile(np.arange(len(self.groups)), (draws, 1))
        for places in self._exchangeable():
            given = rng.permuted(np.tile(np.arange(len(places)), (draws, 1)), axis=1)
            source[:, places.ravel()] = places[given].reshape(draws, -1)
        return source

    def _exchangeable(self) -> Iterator[Int[np.ndarray, "g k"]]:
        """Captions of groups that are exchanged with each other, a row each."""
        order = np.argsort(self.groups, kind="stable")
        sizes = np.bincount(self.groups)
        starts = np.cumsum(sizes) - sizes
        for size in np.unique(sizes).tolist():
            places = order[starts[sizes == size][:, None] + np.arange(size)]
            if size > 1:
                yield places
                continue
            stratum = self.strata[places[:, 0]]
            for each in np.unique(stratum):
                yield places[stratum == each]


def tail_p(
    values: Float[np.ndarray, "... v"], drawn: Float[np.ndarray, "... r"]
) -> Float[np.ndarray, "... v"]:
    """Twice the share of draws, the value itself counted, on the side where fewer lie as far out; NaN stays."""
    draws = drawn.shape[-1]
    flat = np.sort(drawn.reshape(-1, draws), axis=1)
    found = np.full((len(flat), values.shape[-1]), np.nan)
    for row, (ordered, given) in enumerate(zip(flat, values.reshape(len(flat), -1), strict=True)):
        if np.isnan(ordered[-1]):
            continue
        slack = 1e-6 * max(abs(ordered[0]), abs(ordered[-1]))
        above = draws - np.searchsorted(ordered, given - slack, side="left")
        below = np.searchsorted(ordered, given + slack, side="right")
        found[row] = np.minimum(1.0, 2 * (1 + np.minimum(above, below)) / (1 + draws))
    return found.reshape(values.shape)


def _indicator(codes: Int[np.ndarray, " n"]) -> sp.csr_array:
    n = len(codes)
    return sp.csr_array((np.ones(n), (np.arange(n), codes)), shape=(n, int(codes.max(initial=0)) + 1))
