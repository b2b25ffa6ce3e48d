"""Labels of pairs by an image classifier, where the data carries none."""

from pathlib import Path

import numpy as np

from modalens.studies.attribute_probing.attributes import attribute_named
from modalens.studies.subject import Subject
from modalens.towers.classifiers import load_image_classifier


def labels_by_classifier(
    subject: Subject, classifier: str, attribute: str, threshold: float, folder: Path
) -> np.ndarray:
    """The value of an attribute that a classifier sees in each pair's image.

    Parameters
    ----------
    subject
        Whose pairs; their images come from the source that its store names.
    classifier
        Hub id or folder of an image-classification model of transformers.
    attribute
        What to tell apart; the names of the classes say which value they stand for.
    threshold
        Probability, in [0.5, 1), over which an image has a label.
    folder
        Where probabilities are kept: what is there is not classified again.

    Returns
    -------
    ndarray
        One value a pair (N,), None where the classifier is not sure.

    Raises
    ------
    ModalensError
        If the classifier or an image cannot be read, or its classes are not of this attribute.
    """
    model = load_image_classifier(classifier)
    value_of = attribute_named(attribute).value_of
    model.labels(np.zeros((0, model.dim), np.float32), value_of, threshold)  # refuse before hours of work
    return np.array(model.labels(subject.embed_samples(model, folder), value_of, threshold), dtype=object)
