"""Synthetic joint spaces: sparse sums of known concepts, cones and noise, from easy to like a real CLIP."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.planted.space import SpaceStatistics

# Strengths of a firing concept: log-normal, and either side's own factor about it.
_SPREAD, _OWN = 0.4, 0.2
_MOST_OFTEN = 0.5  # largest rate of a concept

# Of 2,000 pairs of Flickr8k under OpenAI's CLIP ViT-B/32, by modalens.planted.space.measure_space.
CLIP_B32 = SpaceStatistics(image_mean=0.7192, text_mean=0.7092, mean_cosine=0.3373, common=0.2982, rank=52.1)


@dataclass(frozen=True)
class World:
    """How a synthetic joint space is made.

    Attributes
    ----------
    d
        Width of the embeddings.
    shared, split, private
        Number of concepts that both modalities write along one direction, that each writes along a direction of its
        own, and that one modality alone has (so many in each).
    active
        Concepts that fire in a sample of a modality, on average.
    skew
        Concept r of a kind fires at a rate in proportion to r to the power of minus this.
    children
        Share of the concepts of a kind that fire only where a parent of the same kind does.
    kept
        Chance that a side of a pair shows a concept that fires.
    split_cosine, shared_cosine
        Cosine of the two directions of a split concept, and of a shared one.
    tilt
        How many times as strong as in the other modality a shared concept is at most in one.
    image_mean, text_mean, mean_cosine
        As in :class:`modalens.planted.space.SpaceStatistics`: the cones.
    noise
        Share of the variance about the means that is noise, alike in all directions.
    """

    d: int = 128
    shared: int = 48
    split: int = 24
    private: int = 24
    active: float = 6.0
    skew: float = 0.0
    children: float = 0.0
    kept: float = 1.0
    split_cosine: float = 0.3
    shared_cosine: float = 1.0
    tilt: float = 1.0
    image_mean: float = 0.0
    text_mean: float = 0.0
    mean_cosine: float = 0.0
    noise: float = 0.02

    def like(self, statistics: SpaceStatistics) -> "World":
        """This world with the cones, the common share of variance and the spread of a real space.

        Noise is what lowers the share that pairs have in common to the real one, and the skew of rates what brings the
        participation ratio nearest to it.
        """
        made = [
            replace(
                self,
                image_mean=statistics.image_mean,
                text_mean=statistics.text_mean,
                mean_cosine=statistics.mean_cosine,
                skew=skew,
            )
            for skew in np.arange(0, 1.51, 0.1).round(1).tolist()
        ]
        made = [
            replace(each, noise=float(np.clip(1 - statistics.common / each.common(), 0.0, 0.95)))
            for each in made
        ]
        return min(made, key=lambda each: abs(each.rank() - statistics.rank))

    def common(self) -> float:
        """Share of the concepts' variance that the two sides of a pair have in common."""
        variance, covariance = self._moments()
        shared, split = (
            covariance[start:][:n].sum() for start, n in ((0, self.shared), (self.shared, self.split))
        )
        return float((self.shared_cosine * shared + self.split_cosine * split) / variance.sum())

    def rank(self) -> float:
        """Participation ratio of the covariance that directions at random lead to."""
        variance, _ = self._moments()
        weights = (1 - self.noise) * variance / variance.sum()
        square = (weights**2).sum() + (1 - (weights**2).sum()) / self.d
        return float(1 / square)

    def rates(self) -> list[Float[np.ndarray, " c"]]:
        """How often each concept fires: shared, split, private to images, private to texts."""
        kinds = [np.arange(1, n + 1) ** -self.skew for n in (self.shared, self.split, self.private)]
        total = sum(float(kind.sum()) for kind in kinds)
        rates = [np.minimum(self.active * kind / total, _MOST_OFTEN) for kind in kinds]
        return [*rates, rates[-1]]

    def _moments(self) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
        """Variance of the strength of each concept of one modality, and its covariance with that in the other."""
        rates = np.concatenate(self.rates()[:3])
        mean, square = np.exp(_SPREAD**2 / 2), np.exp(2 * _SPREAD**2)  # of strengths of median 1
        apart = (rates * self.kept * mean) ** 2
        variance = rates * self.kept * square * (1 + _OWN**2 / 3) - apart
        return variance, rates * self.kept**2 * square - apart


# From easy to like a real CLIP.
WORLDS: dict[str, World] = {
    "easy": World(),
    "cones": World(kept=0.9, image_mean=0.7, text_mean=0.7, mean_cosine=0.4, noise=0.1),
    "hierarchies": World(skew=0.7, children=0.4, kept=0.9, tilt=1.6, noise=0.1),
    "like-clip": World(children=0.3, kept=0.85, tilt=1.6, shared_cosine=0.85).like(CLIP_B32),
}


@dataclass(frozen=True, eq=False)
class Planted:
    """Pairs of a synthetic space with what they were made of.

    An *atom* is what concepts are written along: one a concept, two a split one.

    Attributes
    ----------
    image, text
        Embeddings, (n, d), float32.
    image_codes, text_codes
        Strength of each atom in each sample, (n, a), sparse.
    atoms
        Unit direction of each atom in images and in texts, (2, a, d); the two differ for shared concepts at most.
    kind
        "shared", "split" or "private", (a,).
    owner
        "image", "text" or "cross": the modality that writes the atom, (a,).
    partner
        The other half of a split concept's atom, (a,); -1 for others.
    """

    image: Float[np.ndarray, "n d"]
    text: Float[np.ndarray, "n d"]
    image_codes: sp.csr_array
    text_codes: sp.csr_array
    atoms: Float[np.ndarray, "2 a d"]
    kind: np.ndarray
    owner: np.ndarray
    partner: Int[np.ndarray, " a"]

    def rows(self, rows: slice) -> "Planted":
        """Some of the pairs."""
        taken = {name: getattr(self, name)[rows] for name in ("image", "text", "image_codes", "text_codes")}
        return replace(self, **taken)


def plant(world: World, n: int, seed: int) -> Planted:
    """Draw the directions of a world and n pairs of it.

    Parameters
    ----------
    world
        What the space is like.
    n
        Number of pairs.
    seed
        Seed of everything.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 7]))
    shared, split, image_rates, text_rates = world.rates()
    atoms, kind, owner, partner = _directions(world, rng)
    codes = np.zeros((2, n, len(kind)))
    both = np.arange(world.shared)
    first = world.shared + np.arange(world.split)
    second = first + world.split
    for rates, places in ((shared, (both, both)), (split, (first, second))):
        strength = _fire(rates, world.children, n, rng)
        for side, place in enumerate(places):
            codes[side][:, place] = _seen(strength, world.kept, rng)
    tilt = world.tilt ** rng.uniform(-0.5, 0.5, world.shared)
    codes[0][:, both] *= tilt
    codes[1][:, both] /= tilt
    start = world.shared + 2 * world.split
    for side, rates in enumerate((image_rates, text_rates)):
        place = start + side * world.private + np.arange(world.private)
        codes[side][:, place] = _seen(_fire(rates, world.children, n, rng), world.kept, rng)
    image, text = (
        _embedded(each @ directions, mean, world.noise, rng)
        for each, directions, mean in zip(codes, atoms, _means(world, rng), strict=True)
    )
    sparse = [sp.csr_array(each.astype(np.float32)) for each in codes]
    return Planted(image, text, sparse[0], sparse[1], atoms, kind, owner, partner)


def _directions(
    world: World, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Atoms with their kinds, owners and partners: shared, halves of images, halves of texts, private ones."""
    sizes = [world.shared, world.split, world.split, world.private, world.private]
    image, other = _unit(rng.standard_normal((2, sum(sizes), world.d)))
    first = world.shared + np.arange(world.split)
    second = first + world.split
    image[second] = _at_cosine(image[first], other[first], world.split_cosine)
    text = image.copy()
    text[: world.shared] = _at_cosine(image[: world.shared], other[: world.shared], world.shared_cosine)
    atoms = np.stack([image, text])
    partner = np.full(sum(sizes), -1)
    partner[first], partner[second] = second, first
    kind = np.repeat(["shared", "split", "split", "private", "private"], sizes)
    owner = np.repeat(["cross", "image", "text", "image", "text"], sizes)
    return atoms, kind, owner, partner


def _fire(
    rates: Float[np.ndarray, " c"], children: float, n: int, rng: np.random.Generator
) -> Float[np.ndarray, "n c"]:
    """Strength of each concept in each pair, 0 where it does not fire; the last ones are children of the first."""
    fires = rng.random((n, len(rates))) < rates
    n_children = int(children * len(rates))
    parents = len(rates) - n_children
    for child in range(parents, len(rates)):
        parent = (child - parents) % parents
        given = min(rates[child] / rates[parent], 1.0)
        fires[:, child] = fires[:, parent] & (rng.random(n) < given)
    strength: np.ndarray = fires * rng.lognormal(0, _SPREAD, fires.shape)
    return strength


def _seen(strength: np.ndarray, kept: float, rng: np.random.Generator) -> np.ndarray:
    """What one side of each pair shows of it."""
    seen: np.ndarray = strength * rng.uniform(1 - _OWN, 1 + _OWN, strength.shape)
    return seen * (rng.random(strength.shape) < kept)


def _means(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means of both modalities, with the norms and the cosine of the world."""
    first, other = _unit(rng.standard_normal((2, 1, world.d)))
    second = _at_cosine(first, other, world.mean_cosine)
    return world.image_mean * first[0], world.text_mean * second[0]


def _embedded(
    concepts: Float[np.ndarray, "n d"], mean: np.ndarray, noise: float, rng: np.random.Generator
) -> Float[np.ndarray, "n d"]:
    """Embeddings of mean length one with this mean, whose spread is that of concepts and of noise."""
    centred = concepts - concepts.mean(axis=0)
    spread = 1 - float(mean @ mean)
    centred *= np.sqrt(spread * (1 - noise) / (centred**2).sum(axis=1).mean())
    centred += rng.standard_normal(centred.shape) * np.sqrt(spread * noise / centred.shape[1])
    embedded: np.ndarray = (centred + mean).astype(np.float32)
    return embedded


def _at_cosine(rows: np.ndarray, others: np.ndarray, cosine: float) -> np.ndarray:
    """Unit rows at a cosine to unit rows, in the planes that these span with others."""
    across = _unit(others - (others * rows).sum(axis=-1, keepdims=True) * rows)
    found: np.ndarray = cosine * rows + np.sqrt(1 - cosine**2) * across
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
