"""The features that images are aligned on, and the way to them from embeddings, with gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modalens.arrays import Matrix
from modalens.dominance.result import Dominance
from modalens.features import FeatureModel
from modalens.studies.adversarial_images.attack import Encode

RAW = "raw"


@dataclass(frozen=True, eq=False)
class StudiedFeatures:
    """One set of features of the encoder under attack.

    Attributes
    ----------
    features
        Of images, (m, f); importance is measured on them.
    mds
        Their dominance scores.
    encode
        From embeddings to these features, with gradients; None where they are the embeddings' own.
    labels
        A label a row of ``features``, for the control of largest F-score; None leaves that out.
    name
        What tables call them.
    """

    features: Matrix
    mds: Dominance
    encode: Encode | None = None
    labels: Sequence[Any] | np.ndarray | None = None
    name: str = RAW


def differentiable_features(model: FeatureModel | None) -> Encode | None:
    """What ``model.encode`` computes of image embeddings, as a dense function that hands gradients on.

    Only features that fire have a gradient. None, for the embeddings themselves, stays None.
    """
    if model is None:
        return None
    return lambda embedded: model.encode_tensor(embedded, "image")
