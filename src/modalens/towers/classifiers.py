"""Image classifiers that label pairs whose data carries no label."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from modalens.errors import InputError
from modalens.towers.cards import versions
from modalens.towers.compute import full_precision, pick_device
from modalens.towers.hub import find_model
from modalens.towers.quiet import quiet
from modalens.towers.reading import load_weights, readable, weight_files
from modalens.towers.samples.base import embed_in_batches
from modalens.towers.torchvision_check import check_torchvision

logger = logging.getLogger(__name__)

# The classifier of the published study of gender.
PUBLISHED = "touchtech/fashion-images-gender-age-vit-large-patch16-224-in21k-v3"


class ImageClassifier:
    """An image-classification model of transformers, a :class:`~modalens.towers.samples.base.SampleEmbedder`.

    Attributes
    ----------
    name
        What the user called it.
    classes
        Names of its classes, by number.
    modality, dim
        ``image``, and how many classes there are.
    """

    modality = "image"

    def __init__(self, name: str, model: Any, image_processor: Any, origin: Mapping[str, Any]) -> None:
        self.name = name
        self.classes: tuple[str, ...] = tuple(
            str(model.config.id2label[number]) for number in range(model.config.num_labels)
        )
        self.dim = len(self.classes)
        self._model = model
        self._image_processor = image_processor
        self._origin = dict(origin)

    def embed(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n c"]:
        """Probability of each class for RGB images, any number of them; rows sum to 1."""
        return embed_in_batches(self._one_batch, images, self.dim)

    def labels(
        self,
        probabilities: Float[np.ndarray, "n c"],
        value_of: Callable[[str], str | None],
        threshold: float,
    ) -> list[str | None]:
        """The value of each image that the classifier is sure of, else None.

        Parameters
        ----------
        probabilities
            Of :meth:`embed`.
        value_of
            The value that the name of a class stands for, None for no value; the probabilities of classes with
            one value are added up (``adult-female`` and ``young-female``).
        threshold
            A value is given where its probability is over this, in [0.5, 1).

        Raises
        ------
        ModalensError
            If the threshold is out of range or no two classes stand for different values.
        """
        if not 0.5 <= threshold < 1:
            raise InputError(f"The threshold must lie between 0.5 and 1, not {threshold!r}.")
        members: defaultdict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(self.classes):
            if value := value_of(name):
                members[value].append(number)
        if len(members) < 2:
            raise InputError(
                f"The classes of {self.name} ({', '.join(self.classes[:8])}) do not stand for two values to tell "
                "apart; name another classifier or another attribute."
            )
        values = list(members)
        summed = np.stack([probabilities[:, members[value]].sum(axis=1) for value in values], axis=1)
        return [values[row.argmax()] if row.max() > threshold else None for row in summed]

    def card(self) -> dict[str, Any]:
        """Where the weights come from, the class, its labels, the preprocessing and the versions."""
        return {
            "model": self.name,
            **self._origin,
            "class": type(self._model).__name__,
            "classes": list(self.classes),
            "preprocessing": self._image_processor.to_dict(),
            "versions": versions("torch", "transformers", "pillow"),
        }

    @torch.inference_mode()
    def _one_batch(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "b c"]:
        # Told outright, since an image three pixels high or wide looks like one with channels there.
        inputs = self._image_processor(list(images), return_tensors="pt", input_data_format="channels_last")
        with full_precision(self._model.device):
            logits = self._model(**inputs.to(self._model.device)).logits
        probabilities: np.ndarray = logits.float().softmax(dim=1).cpu().numpy()
        return probabilities


def load_image_classifier(
    name: str = PUBLISHED, *, device: str | None = None, revision: str | None = None
) -> ImageClassifier:
    """Load an image classifier.

    Parameters
    ----------
    name
        Hub id of an image-classification model of transformers (the published one by default), or a folder
        with one as ``save_pretrained`` writes it, for which no network is touched.
    device
        PyTorch's name of a device; by default the GPU if there is one, else the CPU.
    revision
        Branch, tag or commit of a hub id.

    Raises
    ------
    ModalensError
        If there is no such model, it cannot be reached or read, or it classifies no images.
    """
    check_torchvision()
    unknown = (
        f"There is no classifier {name!r}; name a folder with an image-classification model of transformers, or its "
        f"hub id (such as {PUBLISHED})."
    )
    found = find_model(name, revision, unknown=unknown)
    folder = found.path
    origin = found.origin(weight_files(name, folder))
    chosen = pick_device(device)
    transformers: Any = import_module("transformers")
    with quiet():
        model, _ = load_weights(
            name,
            transformers.AutoModelForImageClassification,
            folder,
            dtype=torch.float32,
            advice="it was not trained to classify images, so name a classifier",
        )
        with readable(name, "image processor", folder):
            # Pillow's, on every machine: torchvision's resizing gives slightly other pixels.
            image_processor = transformers.AutoImageProcessor.from_pretrained(
                folder, backend="pil", local_files_only=True
            )
    classifier = ImageClassifier(name, model.to(chosen).eval().requires_grad_(False), image_processor, origin)
    with readable(name, "output for an image"):
        classifier.embed([Image.new("RGB", (32, 32), "grey")])
    logger.info("Loaded %s, a %s, on %s.", name, type(model).__name__, chosen)
    return classifier
