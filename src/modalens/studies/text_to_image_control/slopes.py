"""How fast a measure changes with the strength of an edit, and whether faster than for random features."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from modalens.statistics.controls import AgainstRandom, t_test

_RESAMPLES = 2000


@dataclass(frozen=True)
class Mean:
    """A mean over references and seeds with its 95 % interval; NaN ends where there is one reference."""

    value: float
    low: float
    high: float


def slope_of(
    values: Float[np.ndarray, "... s n r"], strengths: Float[np.ndarray, " s"]
) -> Float[np.ndarray, "... n r"]:
    """Slope of the least-squares line over strengths: change of a measure from strength 0 to 1."""
    centred = strengths - strengths.mean()
    slopes: np.ndarray = np.einsum("...snr,s->...nr", values, centred) / (centred**2).sum()
    return slopes


def mean_of(values: Float[np.ndarray, "n r"], seed: int) -> Mean:
    """Mean over references and seeds.

    Notes
    -----
    The interval has the standard error of a bootstrap that draws references and seeds anew, each on its own
    (Owen 2007), which errs to the wide side, and Student's t of as many references as there are.
    """
    value, references = float(values.mean()), values.shape[0]
    if references < 2:
        return Mean(value, np.nan, np.nan)
    reach = float(student.ppf(0.975, references - 1) * np.sqrt(_variance(values[None], seed)[0]))
    return Mean(value, value - reach, value + reach)


def against_random_sets(
    own: Float[np.ndarray, "n r"], draws: Float[np.ndarray, "a n r"], seed: int
) -> AgainstRandom:
    """Whether a set's slope is what random sets have.

    Parameters
    ----------
    own
        Of the set, by reference and seed.
    draws
        Of each of a random sets, on the same references and seeds, so that what all share falls out.
    seed
        Of the bootstrap.

    Notes
    -----
    See :func:`modalens.statistics.controls.t_test`: noise is the bootstrap variance of means over references and seeds,
    and references are the groups.
    """
    shared = draws.mean(axis=0)
    noise = _variance(np.concatenate([own[None], draws]) - shared, seed)
    return t_test(
        float(own.mean() - shared.mean()),
        draws.mean(axis=(1, 2)),
        noise[0],
        noise[1:].mean(),
        groups=own.shape[0],
    )


def _variance(values: Float[np.ndarray, "k n r"], seed: int) -> Float[np.ndarray, " k"]:
    """Bootstrap variance of means over references and seeds, drawn anew independently of each other."""
    _, n, r = values.shape
    generator = np.random.default_rng(np.random.SeedSequence([seed, n, r]))
    references = generator.multinomial(n, np.full(n, 1 / n), _RESAMPLES) / n
    seeds = generator.multinomial(r, np.full(r, 1 / r), _RESAMPLES) / r
    means = np.einsum("knr,bn,br->kb", values, references, seeds, optimize=True)
    # Draws from n values vary by (n - 1) / n of what fresh ones would.
    variance: np.ndarray = means.var(axis=1) * n / max(n - 1, 1)
    return variance
