"""Slow, plain versions of the measures, straight from their definitions."""

import math

import numpy as np


def naive_scores(image: np.ndarray, text: np.ndarray, estimator: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores and counted pairs by a double loop."""
    n, d = image.shape
    scores, pairs = np.full(d, np.nan), np.zeros(d, dtype=int)
    for feature in range(d):
        ratios, above, below = [], 0.0, 0.0
        for i in range(n):
            a, b = float(image[i, feature]), float(text[i, feature])
            if a == 0 and b == 0:
                continue
            pairs[feature] += 1
            above += a * a
            below += a * a + b * b
            if estimator == "mean_ratio":
                ratios.append(abs(a) / (abs(a) + abs(b)))
            elif estimator == "signed_ratio":
                ratios.append(a / (a + b))
        if pairs[feature]:
            scores[feature] = (
                above / below if estimator == "energy_ratio" else math.fsum(ratios) / len(ratios)
            )
    return scores, pairs


def naive_classes(scores: np.ndarray, rule: str) -> list[str]:
    live = [score for score in scores if not math.isnan(score)]
    mean = sum(live) / len(live)
    std = math.sqrt(sum((score - mean) ** 2 for score in live) / len(live))
    low, high = (mean - std, mean + std) if rule == "mu_sigma" else (1 / 3, 2 / 3)
    return [
        "dead" if math.isnan(score) else "text" if score < low else "image" if score > high else "cross"
        for score in scores
    ]


def naive_gap(image: np.ndarray, text: np.ndarray) -> dict[str, float]:
    """L2M, L2I and RMG with every pair of samples."""
    image = [row / np.linalg.norm(row) for row in image]
    text = [row / np.linalg.norm(row) for row in text]
    n = len(image)

    def distance(x: np.ndarray, y: np.ndarray) -> float:
        return (1 - float(x @ y)) / 2

    def within(rows: list[np.ndarray]) -> float:
        return float(np.mean([distance(rows[i], rows[j]) for i in range(n) for j in range(n) if i != j]))

    paired = float(np.mean([distance(a, b) for a, b in zip(image, text, strict=True)]))
    spread = (within(image) + within(text)) / 2
    return {
        "l2m": float(np.linalg.norm(np.mean(image, axis=0) - np.mean(text, axis=0))),
        "l2i": float(np.mean([np.linalg.norm(a - b) for a, b in zip(image, text, strict=True)])),
        "rmg": paired / (paired + spread),
    }
