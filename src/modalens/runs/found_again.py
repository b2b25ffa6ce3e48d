"""Which features of a run other seeds find too."""

import numpy as np

from modalens.features import FeatureModel
from modalens.features.base import MODALITIES as SIDES
from modalens.interpret.matching import FoundAgain, find_again
from modalens.runs.representations import Representation
from modalens.runs.subjects import StudySubject


def found_again(each: Representation) -> FoundAgain | None:
    """How often trainings with the same settings from other seeds found each feature; None where there are none."""
    subject = StudySubject.of(each)
    models = (
        [] if each.learned is None else [each.learned.model, *(model for _, model in subject.retrained())]
    )
    if len(models) < 2:
        return None
    fired = [_fired(each, model) for model in models]
    return find_again([model.W_dec.numpy() for model in models], fired)[0]


def _fired(each: Representation, model: FeatureModel) -> np.ndarray:
    """On how many of the scored samples each feature of a model fires."""
    counts = np.zeros(model.config.n_features, dtype=np.int64)
    for side in SIDES:
        for block in model.encode_blocks(getattr(each.embeddings, side).pick(each.rows), side):
            counts += np.bincount(block.indices, minlength=len(counts))
    return counts
