"""Partners of features as a plain loop finds them, and dominance scores of wanted classes."""

from dataclasses import replace

import numpy as np

from modalens.dominance import Dominance, modality_dominance


def scores(labels, modalities=("image", "text")) -> Dominance:
    """Dominance with the labels wanted and nothing else of interest."""
    value = {modalities[1]: 0.0, "cross": 0.5, modalities[0]: 1.0, "dead": np.nan}
    made = modality_dominance(
        np.ones((2, len(labels))),
        np.ones((2, len(labels))),
        rule="twofold",
        resamples=0,
        modalities=modalities,
    )
    return replace(made, score=np.array([value[label] for label in labels]))


def pearson(x, y):
    x, y = x - x.mean(), y - y.mean()
    return x @ y / np.sqrt((x @ x) * (y @ y))


def naive_partners(image, text, decoder, labels, k):
    """Partners of every one-sided feature as lists of (bridge, correlation, partner), best first."""
    found = {}
    for i, label in enumerate(labels):
        if label not in ("image", "text"):
            continue
        mine, theirs = (image, text) if label == "image" else (text, image)
        listed = []
        for j in np.flatnonzero(labels == ("text" if label == "image" else "image")):
            r = pearson(mine[:, i], theirs[:, j])
            cosine = decoder[i] @ decoder[j] / np.linalg.norm(decoder[i]) / np.linalg.norm(decoder[j])
            listed.append((r * max(0, cosine), r, j))
        found[i] = sorted((entry for entry in listed if entry[0] > 0), reverse=True)[:k]
    return found
