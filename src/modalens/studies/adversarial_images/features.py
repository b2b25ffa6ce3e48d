"""From embeddings to the features of a representation, with gradients."""

from modalens.features import FeatureModel
from modalens.studies.adversarial_images.attack import Encode


def differentiable_features(model: FeatureModel | None) -> Encode | None:
    """What ``model.encode`` computes of image embeddings, as a dense function that hands gradients on.

    Only features that fire have a gradient. None, for the embeddings themselves, stays None.
    """
    if model is None:
        return None
    return lambda embedded: model.encode_tensor(embedded, "image")
