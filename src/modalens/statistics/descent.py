"""L-BFGS for regressions whose curvature is nearly known: few steps, for one regression or several side by side."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

_MEMORY = 6
_MOST_STEPS, _MOST_TRIES = 200, 6
# Products of changes of weights and gradients under this are rounding, whose inverse would overflow.
_LEAST = 1e-30
# A step along a line ends where the slope is under this share of the first one.
_SLOPE = 0.5

# Weights (f, K) over one row of intercepts.
Weights = Float[np.ndarray, "f_and_1 K"]


class Regression(Protocol):
    """A convex objective of weights: a mean loss of logits that are linear in them, and a penalty of their squares.

    It may be several of the same samples, each with columns of its own; :meth:`dot` then gives a number for each.
    """

    @property
    def penalty(self) -> Float[np.ndarray, "f_and_1 1"]:
        """Second derivative of the penalty by the weights of each feature."""
        ...

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def logits(self, weights: Weights) -> Float[np.ndarray, "n K"]:
        """What each sample gives."""
        ...

    def residual(self, logits: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
        """Derivative of each sample's loss by its logits."""
        ...

    def gradient(self, residual: Float[np.ndarray, "n K"]) -> Weights:
        """Derivative of the mean loss by the weights."""
        ...

    def guess(self, gradient: Weights) -> Weights:
        """About the inverse of the second derivative, times this."""
        ...

    def dot(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Sum of products of what belongs to one regression."""
        ...


def minimised(problem: Regression, start: Weights, tolerance: float) -> tuple[Weights, int]:
    """Weights at the minimum, and how many steps led there.

    Parameters
    ----------
    problem
        What is minimised.
    start
        Where to start, (f + 1, K) float32.
    tolerance
        It ends where every objective lies about this far over its minimum: half the product of gradient and step.

    Notes
    -----
    L-BFGS (Liu and Nocedal 1989), whose first guess is ``problem.guess``. Logits are linear in weights, so a step is
    tried along its line by the slope there, which costs no product with the samples.
    """
    weights, logits, penalty = start, problem.logits(start), problem.penalty
    gradient = problem.gradient(problem.residual(logits)) + penalty * weights
    guess = problem.guess(gradient)
    memory: deque[_Step] = deque(maxlen=_MEMORY)
    for step in range(_MOST_STEPS):
        direction = -_newton(problem, gradient, guess, memory)
        slope = problem.dot(gradient, direction)
        open_ = -slope / 2 > tolerance
        if not open_.any():
            return weights, step
        change = problem.logits(direction)
        pull = (problem.dot(penalty * weights, direction), problem.dot(penalty * direction, direction))
        size, residual = _along(problem, logits, change, np.where(open_, slope, 0.0), pull)
        logits = logits + size * change
        moved = size * direction
        weights = weights + moved
        previous, last_guess = gradient, guess
        gradient = problem.gradient(residual) + penalty * weights
        guess = problem.guess(gradient)
        memory.append(_Step.of(problem, moved, gradient - previous, guess - last_guess))
        if not (memory[-1].inverse > 0).any():  # rounding is all that is left
            return weights, step + 1
    return weights, _MOST_STEPS


@dataclass(frozen=True, eq=False)
class _Step:
    """A step, the change of the gradient, and the guess of the step by this change.

    ``inverse`` is 1 over the product of the first two, 0 where a regression did not move; ``scale`` makes the guess
    right in size along this step.
    """

    moved: Weights
    turned: Weights
    guessed: Weights
    inverse: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, problem: Regression, moved: Weights, turned: Weights, guessed: Weights) -> "_Step":
        curved, by_guess = problem.dot(moved, turned), problem.dot(turned, guessed)
        counts = (curved > _LEAST) & (by_guess > _LEAST)
        inverse = np.where(counts, 1 / np.where(counts, curved, 1), 0)
        scale = np.where(counts, curved / np.where(counts, by_guess, 1), 1)
        return cls(moved, turned, guessed, inverse.astype(np.float32), scale.astype(np.float32))


def _newton(problem: Regression, gradient: Weights, guess: Weights, memory: Sequence[_Step]) -> Weights:
    """The inverse second derivative times the gradient: the guess of it, as the last steps have mended it."""
    found, left, shares = guess, gradient, []
    for step in reversed(memory):
        share = problem.dot(step.moved, left) * step.inverse
        shares.append(share)
        left = left - share * step.turned
        found = found - share * step.guessed
    if memory:
        found = found * memory[-1].scale
    for step, share in zip(memory, reversed(shares), strict=True):
        found = found + (share - problem.dot(step.turned, found) * step.inverse) * step.moved
    return found


def _along(
    problem: Regression,
    logits: Float[np.ndarray, "n K"],
    change: Float[np.ndarray, "n K"],
    slope: np.ndarray,
    pull: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, Float[np.ndarray, "n K"]]:
    """How far to go along a direction of descent, until the slope is small; and the residuals there.

    An objective is convex, so its slope rises along the line: secants between a place before the minimum and one behind
    it close in. One whose slope is 0 stays where it is. ``pull`` is the penalty's part of the slope where the line
    begins, and how it grows.
    """
    low, left = np.zeros_like(slope), slope
    high, right = np.full_like(slope, np.inf), np.ones_like(slope)
    size = (slope < 0).astype(np.float32)
    for attempt in range(_MOST_TRIES):
        residual = problem.residual(logits + size * change)
        there = problem.dot(residual, change) / len(problem) + pull[0] + size * pull[1]
        done = (slope >= 0) | (np.abs(there) <= _SLOPE * np.abs(slope))
        if done.all() or attempt == _MOST_TRIES - 1:
            break
        before = there < 0
        low, left = np.where(before, size, low), np.where(before, there, left)
        high, right = np.where(before, high, size), np.where(before, right, there)
        bounded = np.isfinite(high)
        end = np.where(bounded, high, 4 * size)
        secant = (low * right - end * left) / np.where(right > left, right - left, 1)
        inner = np.clip(secant, 0.9 * low + 0.1 * end, 0.1 * low + 0.9 * end)
        size = np.where(done, size, np.where(bounded, inner, end)).astype(np.float32)
    return size, residual
