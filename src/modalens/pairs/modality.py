"""What images, texts and sounds need: decoding, cleaning, a preview for a page, a model that judges likeness."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from io import BytesIO
from typing import Any, ClassVar, NamedTuple

import numpy as np
from PIL import Image

from modalens.errors import InputError
from modalens.pairs.audio import Audio
from modalens.pairs.rgb import flatten_rgb
from modalens.pairs.text import clean_caption, escape_name

OWN = "own"
"""In place of a judge: the embeddings of the run itself."""


class Preview(NamedTuple):
    """Something small that a browser shows or plays.

    Attributes
    ----------
    mime
        Type of the data, such as ``image/webp``.
    data
        The encoded file; of a text, its UTF-8 bytes.
    cut
        What the preview leaves out, in a few words; empty where it leaves out nothing that one would miss.
    """

    mime: str
    data: bytes
    cut: str = ""


class Modality(ABC):
    """One kind of sample.

    Attributes
    ----------
    name
        As manifests, classes and columns of tables spell it.
    singular, plural
        As sentences speak of one and of many.
    judge
        Sample embedder that says how alike samples are unless the user names another
        (see :func:`modalens.towers.samples.load_sample_embedder`), or ``own`` where none comes with modalens.
    """

    name: ClassVar[str]
    singular: ClassVar[str]
    plural: ClassVar[str]
    judge: ClassVar[str]

    def decode(self, ref: Any) -> Any:
        """What a tower takes, from the reference that a source gives.

        Parameters
        ----------
        ref
            An :class:`~modalens.pairs.base.ImageRef`; a text stands for itself.

        Raises
        ------
        ModalensError
            If it is missing, damaged, or of another modality.
        """
        return self.clean(ref.load())

    @abstractmethod
    def clean(self, sample: Any) -> Any:
        """A decoded sample as towers take it: RGB, one channel of sound, text without surrounding white space.

        Raises
        ------
        ModalensError
            If it is of another modality, or nothing is left.
        """

    @abstractmethod
    def preview(self, sample: Any, scale: float = 1.0) -> Preview:
        """Something small that shows what a decoded sample is.

        Parameters
        ----------
        sample
            As :meth:`clean` gives it.
        scale
            How large it may be, beside what is usual: more or fewer pixels a side, a longer or shorter sound.
        """


class _Images(Modality):
    """Pictures: RGB images of Pillow."""

    name = singular = "image"
    plural = "images"
    judge = "efficientnet-lite0"

    side = 96
    """Most pixels of a preview's width and height."""
    quality = 75

    def clean(self, sample: Any) -> Image.Image:
        """RGB, transparency laid over white."""
        if not isinstance(sample, Image.Image):
            raise _of_another_modality(self, sample)
        return sample if sample.mode == "RGB" else flatten_rgb(sample)

    def preview(self, sample: Image.Image, scale: float = 1.0) -> Preview:
        """A thumbnail of at most 96 pixels a side, in WEBP."""
        small = sample.copy()
        small.thumbnail(2 * (round(scale * self.side),))
        buffer = BytesIO()
        small.save(buffer, "WEBP", quality=self.quality)
        return Preview("image/webp", buffer.getvalue())


class _Texts(Modality):
    """Captions: str."""

    name = singular = "text"
    plural = "texts"
    judge = "minilm"

    def decode(self, ref: Any) -> str:
        """The text itself, cleaned."""
        return self.clean(ref)

    def clean(self, sample: Any) -> str:
        """Without surrounding white space."""
        return clean_caption(sample)

    def preview(self, sample: str, scale: float = 1.0) -> Preview:  # noqa: ARG002 (a text is small)
        """The whole text; halves of surrogate pairs, which are no UTF-8, are spelt out."""
        return Preview("text/plain", escape_name(sample).encode("utf-8"))


class _Sounds(Modality):
    """Sounds: :class:`modalens.pairs.audio.Audio`."""

    name = "audio"
    singular, plural = "sound", "sounds"
    judge = OWN

    rate = 16_000
    """Most samples a second of a preview."""
    seconds = 3.0
    """A preview is at most so long: 96 kB at 16,000 samples of two bytes a second."""

    def clean(self, sample: Any) -> Audio:
        """One channel already."""
        if not isinstance(sample, Audio):
            raise _of_another_modality(self, sample)
        return sample

    def preview(self, sample: Audio, scale: float = 1.0) -> Preview:
        """The first 3 s as a WAV file of 16 bits and at most 16,000 samples a second."""
        from scipy.io import wavfile

        seconds = scale * self.seconds
        start = sample.first(seconds)
        short = start if start.rate <= self.rate else start.resampled(self.rate)
        buffer = BytesIO()
        wavfile.write(buffer, short.rate, np.round(short.samples.clip(-1, 1) * (2**15 - 1)).astype(np.int16))
        left_out = "" if start is sample else f"the first {seconds:g} s of {sample.seconds:.1f} s"
        return Preview("audio/wav", buffer.getvalue(), left_out)


def _of_another_modality(wanted: Modality, sample: Any) -> InputError:
    return InputError(
        f"The source gives {type(sample).__name__} in place of {wanted.plural}; take a source of {wanted.plural}."
    )


IMAGE, TEXT, SOUND = _Images(), _Texts(), _Sounds()

MODALITIES: Mapping[str, Modality] = {each.name: each for each in (IMAGE, TEXT, SOUND)}
"""The modalities by name."""


def find_modality(name: str) -> Modality:
    """The modality of a name.

    Raises
    ------
    ModalensError
        If there is none.
    """
    if name not in MODALITIES:
        raise InputError(f"There is no modality {name!r}; there are {', '.join(MODALITIES)}.")
    return MODALITIES[name]


def many(name: str) -> str:
    """What samples of a modality are called: images, texts, sounds."""
    return MODALITIES[name].plural if name in MODALITIES else f"{name}s"
