"""A generator with a prompt, whose features are moved towards a reference image before it draws."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from modalens.arrays import Matrix, read_rows
from modalens.edit import blend
from modalens.errors import ModalensError
from modalens.studies.text_to_image_control.generator import Generator
from modalens.towers.base import VLM

# A text embedding that another word moves by less than this, relative to its length, has not seen the word.
_UNMOVED = 1e-5


@dataclass(frozen=True, eq=False)
class Edit:
    """Where to move which features of the prompt, and how far.

    Attributes
    ----------
    reference
        Embedding of the reference image, (d,).
    indices
        The features to move, (k,).
    strength
        s in [0, 1]: 0 leaves the prompt as it is, 1 replaces the features by the reference's.
    """

    reference: Float[np.ndarray, " d"]
    indices: Int[np.ndarray, " k"]
    strength: float


class Autoencoder(Protocol):
    """Features learned on embeddings, with a way back, as :class:`modalens.TopKSAE` has."""

    def encode(self, x: Matrix, modality: str | None = None) -> Any:
        """Codes (n, f) of embeddings (n, d)."""
        ...

    def decode(self, codes: Matrix, modality: str | None = None) -> Float[np.ndarray, "n d"]:
        """Embeddings (n, d) of codes (n, f)."""
        ...


class Prompted(ABC):
    """Draws one prompt, as it is or with some features moved towards a reference.

    A picture depends on its own edit and the seed alone, and an edit of strength 0 gives the unedited
    picture to the last bit.
    """

    name: str
    """What it is called in tables and figures."""
    prompt: str
    vlm: VLM
    """The dual encoder whose features are edited."""
    n_features: int
    """How many features there are to move."""
    space: str = "embedding"
    """Where they are moved: in the embedding that is drawn, or as :class:`StableDiffusion` says."""
    rescales: bool = False
    """Whether references are brought to the length of what they are mixed into."""

    @abstractmethod
    def draw(self, edits: Sequence[Edit], seed: int = 0) -> list[Image.Image]:
        """Draw the prompt once for each edit, as RGB pictures.

        Raises
        ------
        ModalensError
            If an edit's strength, indices or reference are out of range.
        """

    @abstractmethod
    def draw_unedited(self, seed: int = 0) -> Image.Image:
        """Draw the prompt as it is."""

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """All that a picture depends on but edit and seed."""

    @property
    @abstractmethod
    def prompt_length(self) -> float:
        """Euclidean length of what is edited, to hold beside that of references."""

    def embed(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        """Embeddings of reference images, each on its own, so that none depends on the others."""
        return np.concatenate([self.vlm.embed_images([image]) for image in images])


class PromptedEmbedding(Prompted):
    """Starts from the text embedding of a prompt and draws the edited embedding.

    Parameters
    ----------
    generator
        Draws pictures from embeddings.
    vlm
        The dual encoder that the generator draws for.
    prompt
        What to draw.
    space
        Features learned on the embeddings, to move those instead. What the features do not hold of the
        prompt stays as it is: the embedding moves by the difference of the decoded codes.

    Raises
    ------
    ModalensError
        If generator and encoder do not fit, or the prompt is blank or longer than the text tower reads.
    """

    def __init__(
        self, generator: Generator, vlm: VLM, prompt: str, *, space: Autoencoder | None = None
    ) -> None:
        check_prompt(prompt)
        if generator.dim != vlm.dim:
            raise ModalensError(
                f"The generator {generator.name} draws from embeddings of {generator.dim} features and {vlm.name} "
                f"gives {vlm.dim}; take the encoder that the generator belongs to."
            )
        self.name, self.prompt, self.vlm = generator.name, prompt, vlm
        self._generator, self._space = generator, space
        self._start = vlm.embed_texts([prompt])[0]
        longer = vlm.embed_texts([f"{prompt} and zebras"])[0]
        if np.linalg.norm(longer - self._start) <= _UNMOVED * np.linalg.norm(self._start):
            raise ModalensError(
                f"The prompt has {len(prompt.split())} words, as many as the text tower of {vlm.name} can read or "
                "more; shorten it."
            )
        self._codes = None if space is None else space.encode(self._start[None], "text")
        self.n_features = vlm.dim if self._codes is None else int(self._codes.shape[1])

    def draw(self, edits: Sequence[Edit], seed: int = 0) -> list[Image.Image]:
        """Draw the edited embeddings (see the base class)."""
        if not edits:
            return []
        return self._generator.generate(np.stack([self.edited(edit) for edit in edits]), seed)

    def draw_unedited(self, seed: int = 0) -> Image.Image:
        """Draw the prompt's own embedding."""
        return self._generator.generate(self._start[None], seed)[0]

    def edited(self, edit: Edit) -> Float[np.ndarray, " d"]:
        """The embedding that an edit gives."""
        if self._space is None:
            moved: np.ndarray = blend(self._start, edit.reference, edit.indices, edit.strength)
            return moved
        reference = self._space.encode(edit.reference[None], "image")
        codes = blend(self._codes, reference, edit.indices, edit.strength)
        # One row at a time: the rounding of products depends on how many rows there are.
        step = self._space.decode(codes, "text") - self._space.decode(self._codes, "text")
        carried: np.ndarray = self._start + read_rows(step, 0, 1)[0].astype(self._start.dtype)
        return carried

    @property
    def prompt_length(self) -> float:
        """Euclidean length of the prompt's embedding."""
        return float(np.linalg.norm(self._start))

    def card(self) -> dict[str, Any]:
        """Generator, encoder, prompt and, if features were learned, how."""
        described = getattr(self._space, "card", None)
        return {
            "generator": self._generator.card(),
            "encoder": self.vlm.card(),
            "prompt": self.prompt,
            "features": None if described is None else described(),
        }


def check_prompt(prompt: str) -> None:
    """Raise if a prompt is blank."""
    if not prompt.strip():
        raise ModalensError("The prompt is blank; say what to draw, such as 'Please draw an animal'.")
