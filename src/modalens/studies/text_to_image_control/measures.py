"""What a generated picture has of a reference image: its content, by a model that looks, and its surface."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import ndimage

from modalens.arrays import normalize_rows
from modalens.errors import ModalensError
from modalens.pairs.modality import many
from modalens.towers.base import VLM
from modalens.towers.samples.base import SampleEmbedder

REFERENCE, OWN, UNEDITED, PROMPT = "to_reference", "to_own_reference", "to_unedited", "to_prompt"
COLOUR, EDGES = "colour_distance", "edge_distance"

# Pictures are measured at one size: statistics of edges depend on it.
_SIDE = 64
_LEVELS = 8  # of each colour channel
# Upper ends of the classes of edge strength, of a grey level that goes from 0 to 1; halving is one class.
_STRENGTHS = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
_DIRECTIONS = 8


def colour_histogram(image: Image.Image) -> Float[np.ndarray, " c"]:
    """Share of the pixels in each of 8 x 8 x 8 boxes of RGB colour."""
    levels = _pixels(image).astype(np.int64) * _LEVELS // 256
    boxes = (levels * [_LEVELS**2, _LEVELS, 1]).sum(axis=-1).ravel()
    shares: np.ndarray = np.bincount(boxes, minlength=_LEVELS**3) / boxes.size
    return shares


def edge_statistics(image: Image.Image) -> Float[np.ndarray, " e"]:
    """Share of the pixels by strength and direction of the edge they lie on; where does not matter.

    Edges are Sobel gradients of the grey picture. Weak gradients have no direction and are one class.
    """
    grey = _pixels(image).astype(np.float64) @ [0.299, 0.587, 0.114] / 255
    across, down = (ndimage.sobel(grey, axis) / 4 for axis in (1, 0))
    strength = np.digitize(np.hypot(across, down), _STRENGTHS)
    # Dark on light and light on dark are one direction.
    turn = np.mod(np.arctan2(down, across), np.pi) / np.pi
    direction = np.round(turn * _DIRECTIONS).astype(np.int64) % _DIRECTIONS
    kind = np.where(strength == 0, 0, 1 + (strength - 1) * _DIRECTIONS + direction)
    shares: np.ndarray = np.bincount(kind.ravel(), minlength=1 + len(_STRENGTHS) * _DIRECTIONS) / kind.size
    return shares


def hellinger(p: Float[np.ndarray, "... c"], q: Float[np.ndarray, "... c"]) -> Float[np.ndarray, "..."]:
    """Distance of two distributions, in [0, 1]: 0 if they are the same, 1 if they share nothing.

    sqrt(1 - sum sqrt(p q)), Hellinger 1909.
    """
    distance: np.ndarray = np.sqrt(np.clip(1 - np.sqrt(p * q).sum(axis=-1), 0, 1))
    return distance


class SimilarityMeasures:
    """Measures of pictures against references, the unedited picture and, with a dual encoder, the prompt.

    Parameters
    ----------
    references
        Reference images, at least one.
    judge
        Embeds images; not the model whose features are edited.
    prompt
        What the pictures were to show.
    reader
        A dual encoder that says how well a picture fits the prompt; not the edited one. Without it there is
        no such measure.

    Raises
    ------
    ModalensError
        If the judge embeds something other than images.
    """

    def __init__(
        self,
        references: Sequence[Image.Image],
        judge: SampleEmbedder,
        prompt: str,
        reader: VLM | None = None,
    ) -> None:
        if judge.modality != "image":
            raise ModalensError(
                f"{judge.name} embeds {many(judge.modality)}; pictures need a judge of images."
            )
        self._judge, self._reader = judge, reader
        self._content = self._unit(references)
        self._colours = np.stack([colour_histogram(image) for image in references])
        self._edges = np.stack([edge_statistics(image) for image in references])
        self._text = None if reader is None else _normalised(reader.embed_texts([prompt]))[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The measures there are."""
        several = (OWN,) if len(self._content) > 1 else ()
        return (REFERENCE, *several, UNEDITED, *((PROMPT,) if self._reader else ()), COLOUR, EDGES)

    def __call__(
        self, pictures: Sequence[Image.Image], reference: int
    ) -> Mapping[str, Float[np.ndarray, " n"]]:
        """Measure pictures that were moved towards one of the references; the first is the unedited one.

        Returns
        -------
        dict
            ``to_reference``, ``to_unedited``, ``to_prompt``: cosines, in [-1, 1], higher is nearer.
            ``to_own_reference``: the first less its mean over the other references, so that what brings a
            picture nearer to any image does not count. ``colour_distance``, ``edge_distance``: Hellinger
            distances to the reference, in [0, 1], lower is nearer.
        """
        content = self._unit(pictures)
        cosines = content @ self._content.T
        own = cosines[:, reference]
        found = {
            REFERENCE: own,
            OWN: own - np.delete(cosines, reference, axis=1).mean(axis=1) if cosines.shape[1] > 1 else own,
            UNEDITED: content @ content[0],
            COLOUR: hellinger(
                np.stack([colour_histogram(each) for each in pictures]), self._colours[reference]
            ),
            EDGES: hellinger(np.stack([edge_statistics(each) for each in pictures]), self._edges[reference]),
        }
        if self._reader is not None and self._text is not None:
            seen = np.concatenate([self._reader.embed_images([each]) for each in pictures])
            found[PROMPT] = _normalised(seen) @ self._text
        return {name: found[name] for name in self.names}

    def _unit(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        return _normalised(self._judge.embed(list(images)))


def _normalised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    unit: np.ndarray = normalize_rows(np.asarray(x, dtype=np.float64))[0]
    return unit


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
