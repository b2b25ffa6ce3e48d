"""What a pair is, and what a source of pairs promises."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from modalens.pairs.text import plain_label, plain_text


@runtime_checkable
class ImageRef(Protocol):
    """An image, or what stands in its place such as a sound, that is decoded only when asked for."""

    @property
    def key(self) -> str:
        """Name of the image, stable across runs; two pairs with one key share one image."""
        ...

    def load(self) -> Any:
        """Decode: to an RGB image of Pillow, or a :class:`~modalens.pairs.audio.Audio`.

        Raises
        ------
        ModalensError
            If it is missing, truncated or something else; one sentence.
        """
        ...


@dataclass(frozen=True)
class Pair:
    """One image with one text.

    ``label`` holds what else the source says about the pair (category, split, ...); it becomes columns of
    the store's metadata. Whatever the source, texts become such that UTF-8 holds them and integers beyond 64 bits
    become text (:mod:`modalens.pairs.text`).
    """

    id: str
    ref: ImageRef
    text: str
    label: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", plain_text(self.id))
        object.__setattr__(self, "text", plain_text(self.text))
        object.__setattr__(self, "label", plain_label(self.label))

    @property
    def image(self) -> Any:
        """The decoded RGB image, or what stands in its place."""
        return self.ref.load()


@dataclass(frozen=True)
class Skipped:
    """Something in the source that could not become a pair, and why, in one sentence."""

    id: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", plain_text(self.id))
        object.__setattr__(self, "reason", plain_text(self.reason))


class Pairs(ABC):
    """A source of pairs, in an order that does not change between two walks.

    Every item of a walk, good or bad, has an id of its own.
    """

    example: ClassVar[str]
    """What to write to :func:`~modalens.pairs.load_pairs` to get such a source."""
    name: str
    """What the source was asked for, e.g. ``folder:photos``."""
    modalities: tuple[str, str] = ("image", "text")
    """What the two sides of a pair are; the first is what ``Pair.ref`` decodes to."""

    @abstractmethod
    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over everything in the source, good and bad, without decoding images."""

    def __iter__(self) -> Iterator[Pair]:
        """Walk over the good pairs."""
        return (item for item in self.scan() if isinstance(item, Pair))

    def count(self) -> int | None:
        """Number of items :meth:`scan` gives, or None when only a full walk could tell."""
        return None

    def card(self) -> dict[str, Any]:
        """What a manifest records about the source: name, version, terms."""
        return {"source": self.name}
