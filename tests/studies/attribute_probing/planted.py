"""Features in which gender was planted."""

import numpy as np

IMAGE_SIDE, TEXT_SIDE, FEATURES = range(12), range(12, 24), 60


def planted(
    n: int = 240, groups: int = 30, seed: int = 0, signal: float = 2.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Non-negative features: 12 of images, of which 4 show gender there, 12 of texts alike, and 36 of both.

    Of the gendered features two rise with each value, so that no reference is smaller than the other.
    """
    rng = np.random.default_rng(seed)
    female = rng.permuted(np.arange(n) % 2 == 0)
    image, text = rng.exponential(1.0, (2, n, FEATURES))
    image[:, list(TEXT_SIDE)] *= 0.05
    text[:, list(IMAGE_SIDE)] *= 0.05
    for features, start in ((image, 0), (text, 12)):
        features[female, start : start + 2] += signal
        features[~female, start + 2 : start + 4] += signal
    labels = np.where(female, "woman", "man").astype(object)
    return image, text, labels, np.arange(n) % groups
