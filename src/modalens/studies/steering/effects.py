"""What adding directions does: how many samples they move to their label, beside random directions and features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import LEVEL, corrected
from modalens.statistics.intervals import hull_interval, percentile_interval, share_interval
from modalens.studies.steering.moved import SteeredSide

RESAMPLES = 200
Read = Int[np.ndarray, "m s n"]


@dataclass(frozen=True, eq=False)
class Effects:
    """What m directions do to what is read from one side.

    Attributes
    ----------
    hits
        Mean over doses of whether a sample is read as the direction's label, less whether it is without steering;
        (m, n) float32, 0 for samples of that label.
    others
        Whether a sample has another label, (m, n) of 0 and 1.
    by_dose
        Mean over samples of other labels at each dose, (m, s).
    stray
        Share of samples of other labels that are read as a third label than before, mean over doses, (m,).
    """

    hits: Float[np.ndarray, "m n"]
    others: Float[np.ndarray, "m n"]
    by_dose: Float[np.ndarray, "m s"]
    stray: Float[np.ndarray, " m"]

    @property
    def effect(self) -> Float[np.ndarray, " m"]:
        """Mean over doses and over samples of other labels."""
        found: np.ndarray = self.hits.sum(axis=1) / self.others.sum(axis=1)
        return found

    def resampled(
        self, keys: Int[np.ndarray, " n"], seed: int, less: Float[np.ndarray, "m n"] | None = None
    ) -> Float[np.ndarray, "m r"]:
        """The effect, less what controls do to each sample, on bootstrap resamples of the samples by group."""
        hits = self.hits if less is None else self.hits - less
        whole = resampled_means(self.others, keys, RESAMPLES, seed)
        found: np.ndarray = resampled_means(hits, keys, RESAMPLES, seed) / np.where(whole > 0, whole, np.nan)
        return found


def effects_of(side: SteeredSide, now: Int[np.ndarray, " n"], read: Read, targets: np.ndarray) -> Effects:
    """What directions do, from the labels that are read with each at each dose, and the label each goes for."""
    m, s, n = read.shape
    found = Effects(np.zeros((m, n), np.float32), np.zeros((m, n), np.float32), np.zeros((m, s)), np.zeros(m))
    for target in np.unique(targets):
        members, others = np.flatnonzero(targets == target), side.others(target)
        for start in range(0, len(members), 256):
            some = members[start : start + 256]
            own = read[some][:, :, others]
            moved = (own == target).astype(np.float32) - (now[others] == target)
            found.hits[np.ix_(some, others)] = moved.mean(axis=1)
            found.others[np.ix_(some, others)] = 1
            found.by_dose[some] = moved.mean(axis=2)
            found.stray[some] = ((own != now[others]) & (own != target)).mean(axis=(1, 2))
    return found


def alike_in_energy(energy: Float[np.ndarray, " m"], draws: int, seed: int) -> Int[np.ndarray, "m r"]:
    """For each feature ``draws`` others at random, of the three times as many that are nearest in energy."""
    order = np.argsort(energy, kind="stable")
    m = len(order)
    wide = min(3 * draws, m - 1)
    found = np.empty((m, min(draws, m - 1)), dtype=np.int64)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 7]))
    for place, feature in enumerate(order):
        first = int(np.clip(place - wide // 2, 0, m - 1 - wide))
        near = order[first : first + wide + 1]
        found[feature] = rng.choice(near[near != feature], found.shape[1], replace=False)
    return found


def hits_of_others(
    side: SteeredSide,
    now: Int[np.ndarray, " n"],
    read: Read,
    targets: np.ndarray,
    beside: Int[np.ndarray, "m r"],
) -> Float[np.ndarray, "m n"]:
    """What the features beside each one do to that one's label, mean over them: :attr:`Effects.hits` of controls."""
    found = np.zeros((len(targets), read.shape[2]), dtype=np.float32)
    for place, target in enumerate(targets):
        moved = (read[beside[place]] == target).mean(axis=(0, 1)) - (now == target)
        found[place] = np.where(side.others(target), moved, 0)
    return found


@dataclass(frozen=True, eq=False)
class Tested:
    """Directions of one side with one reader beside their controls.

    Attributes
    ----------
    effects
        What they do.
    random
        Effect of each random direction of equal norm, (R,).
    beyond
        Effect less that of other features of equal energy, (m,).
    draws, random_draws, beyond_draws
        The three on the same bootstrap resamples.
    """

    effects: Effects
    random: Float[np.ndarray, " R"]
    beyond: Float[np.ndarray, " m"]
    draws: Float[np.ndarray, "m r"]
    random_draws: Float[np.ndarray, "R r"]
    beyond_draws: Float[np.ndarray, "m r"]

    @property
    def p(self) -> Float[np.ndarray, " m"]:
        """One-sided: how many random directions do as much."""
        return rank_p(self.effects.effect, self.random)

    @property
    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """95 % interval of the effect, (m,) each."""
        return percentile_interval(self.draws)

    @property
    def beyond_interval(self) -> tuple[np.ndarray, np.ndarray]:
        """95 % interval of what is beyond other features, (m,) each."""
        return percentile_interval(self.beyond_draws)


def rank_p(own: Float[np.ndarray, " m"], random: Float[np.ndarray, " R"]) -> Float[np.ndarray, " m"]:
    """Share of random directions, this one among them, that do at least as much."""
    below = np.searchsorted(np.sort(random), own, side="left")
    found: np.ndarray = (1 + len(random) - below) / (1 + len(random))
    return found


@dataclass(frozen=True)
class Share:
    """Which directions are steerable, and their share with its 95 % interval over pairs."""

    q: Float[np.ndarray, " m"]
    steerable: Bool[np.ndarray, " m"]
    value: float
    low: float
    high: float


def steerable(tested: Tested, independent: bool = False) -> Share:
    """Directions that move more samples to their label than random directions and other features of equal energy do.

    The false-discovery rate over the directions is 5 % (Benjamini and Hochberg), and the interval of what is beyond
    other features lies over 0. The interval of the share is the hull of the percentile and the basic bootstrap
    interval, since noise moves features over the bound, in the sample and again in each resample; of ``independent``
    directions, and where every resample has the same share, such as none, it is Wilson's over directions.
    """
    q = corrected(tested.p)
    found = (q < LEVEL) & (tested.beyond_interval[0] > 0)
    if independent:
        return Share(q, found, *share_interval(found))
    reach = tested.beyond - tested.beyond_interval[0]
    shares = np.array(
        [
            (
                (corrected(rank_p(np.nan_to_num(own), np.nan_to_num(random))) < LEVEL) & (beyond - reach > 0)
            ).mean()
            for own, random, beyond in zip(
                tested.draws.T, tested.random_draws.T, tested.beyond_draws.T, strict=True
            )
        ]
    )
    if (shares == found.mean()).all():
        return Share(q, found, *share_interval(found))
    low, high = hull_interval(np.asarray(found.mean()), shares)
    return Share(q, found, float(found.mean()), max(0.0, float(low)), min(1.0, float(high)))


def tested(
    side: SteeredSide,
    name: str,
    directions: Float[np.ndarray, "m d"],
    targets: Int[np.ndarray, " m"],
    energy: Float[np.ndarray, " m"],
    random: tuple[Float[np.ndarray, "R d"], Int[np.ndarray, " R"]],
    *,
    draws: int,
    seed: int,
    advance: Callable[[int], None],
) -> tuple[Tested, Read]:
    """Add unit directions to the samples of one side, read them with one reader, and hold them against the controls.

    Parameters
    ----------
    side, name
        The samples, and the reader.
    directions, targets, energy
        Unit directions, the label that each goes for, and its energy.
    random
        Random unit directions and the labels that they go for.
    draws, seed
        Other features of equal energy beside each, and the seed.
    advance
        Called for every direction.
    """
    reader = side.readers[name]
    now, read = side.now(reader), side.read(reader, directions, advance)
    own = effects_of(side, now, read, targets)
    beside = hits_of_others(side, now, read, targets, alike_in_energy(energy, draws, seed))
    null = effects_of(side, now, side.read(reader, random[0], advance), random[1])
    beyond = own.effect - beside.sum(axis=1) / own.others.sum(axis=1)
    found = Tested(
        own,
        null.effect,
        beyond,
        own.resampled(side.keys, seed),
        null.resampled(side.keys, seed),
        own.resampled(side.keys, seed, beside),
    )
    return found, read
