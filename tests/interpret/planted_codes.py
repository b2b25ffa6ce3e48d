"""Codes of pairs made from known concepts, to see whether private and split ones are told apart."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from modalens.dominance import Dominance, modality_dominance


@dataclass(frozen=True)
class PlantedCodes:
    image: sp.csr_array  # (n, f)
    text: sp.csr_array
    decoder: np.ndarray  # (f, d), unit rows
    truth: np.ndarray  # (f,) of "split", "private", "shared"
    partner: np.ndarray  # (f,), -1 for none
    mds: Dominance


def plant_codes(
    n=3000, splits=40, private=40, shared=40, d=48, kept=0.85, rates=(0.01, 0.1), groups=None, seed=0
):
    """Split concepts fire one feature for images and another for texts, private ones fire for one side only.

    Either half of a split concept misses a pair with a chance of 1 - kept, their strengths agree up to noise,
    and every feature fires now and then for no reason. Pairs of one group share their concepts' firing.
    """
    rng = np.random.default_rng(seed)
    groups = np.arange(n) if groups is None else groups
    f = 2 * splits + 2 * private + shared
    truth = np.repeat(["split", "private", "shared"], [2 * splits, 2 * private, shared])
    partner = np.full(f, -1)
    partner[: 2 * splits] = np.r_[np.arange(splits, 2 * splits), np.arange(splits)]
    codes = np.zeros((2, n, f))
    spans = {"split": (0, splits), "image": (2 * splits, private), "text": (2 * splits + private, private)}

    def fire(count):
        rate = rng.uniform(*rates, count)
        on = (rng.random((groups.max() + 1, count)) < rate)[groups]
        return on * rng.lognormal(0, 0.4, (groups.max() + 1, count))[groups]

    def noisy(strength):
        return strength * (rng.random(strength.shape) < kept) * rng.uniform(0.7, 1.3, strength.shape)

    concept = fire(splits)
    codes[0][:, :splits], codes[1][:, splits : 2 * splits] = noisy(concept), noisy(concept)
    for side, name in enumerate(("image", "text")):
        start, count = spans[name]
        codes[side][:, start : start + count] = fire(count)
    both = fire(shared)
    codes[:, :, f - shared :] = noisy(both), noisy(both)
    home = np.array([0] * splits + [1] * splits + [0] * private + [1] * private + [2] * shared)
    for side in (0, 1):
        stray = (rng.random((n, f)) < 0.002) & (home != 1 - side)
        codes[side] += stray * rng.uniform(0.2, 1.0, (n, f))
    decoder = rng.standard_normal((f, d))
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    halves = np.arange(splits)
    decoder[splits + halves] = 0.6 * decoder[halves] + 0.8 * decoder[splits + halves]
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    image, text = (sp.csr_array(side) for side in codes)
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    return PlantedCodes(image, text, decoder, truth, partner, mds)


@dataclass(frozen=True)
class PlantedEmbeddings:
    image: np.ndarray  # (n, d)
    text: np.ndarray
    atoms: np.ndarray  # (a, d), unit rows
    truth: np.ndarray  # (a,) of "split", "private", "shared"


def plant_embeddings(n=3000, d=64, concepts=8, active=2, cosine=0.5, seed=0):
    """Sparse sums of unit atoms: split concepts have one atom for images and another, at a cosine, for texts."""
    rng = np.random.default_rng(seed)

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def fire():
        on = rng.random((n, concepts)).argsort(axis=1) < active
        return on * rng.uniform(0.5, 1.5, (n, concepts))

    def noisy(strength):
        return strength * rng.uniform(0.9, 1.1, strength.shape)

    first, private_image, private_text, shared, apart = unit(rng.standard_normal((5 * concepts, d))).reshape(
        5, concepts, d
    )
    second = unit(cosine * first + np.sqrt(1 - cosine**2) * apart)
    concept, both = fire(), fire()
    image = noisy(concept) @ first + fire() @ private_image + noisy(both) @ shared
    text = noisy(concept) @ second + fire() @ private_text + noisy(both) @ shared
    return PlantedEmbeddings(
        image=image,
        text=text,
        atoms=np.concatenate([first, second, private_image, private_text, shared]),
        truth=np.repeat(["split", "private", "shared"], [2 * concepts, 2 * concepts, concepts]),
    )
