"""What a reader looks at: cards of features, the galleries they form, and the samples they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modalens.errors import ModalensError

# Sample id: (bytes of its picture or sound, or None where there is none to show; its text). Ids may share a preview.
Samples: TypeAlias = Mapping[str, tuple[bytes | None, str]]

NAN = float("nan")
SIDES = ("first", "cross", "second")
VERDICTS = ("private", "split", "unclear", "")


@dataclass(frozen=True)
class FeatureCard:
    """What a reader sees of one live feature.

    The fields say image and text for the first and the second modality, whatever their names are.

    Attributes
    ----------
    feature
        Its index in the representation.
    label
        Its class: "cross", or the name of the modality it belongs to.
    score, low, high
        Dominance score R in [0, 1] and its 95 % interval; the interval is NaN where there is none.
    certainty
        Share of resamples in which it has this class, in [0, 1]; NaN where there are none.
    mono_image, mono_text
        Monosemanticity on either side, higher is better; NaN where it has no score.
    top_images, top_texts
        Strongest samples of either side as (sample id, activation), strongest first.
    histogram_edges
        Bounds of the b bins of equal width, (b + 1,), rising; empty where there is no histogram.
    image_histogram, text_histogram
        Samples of either side in each bin, (b,).
    image_zeros, text_zeros
        Samples of either side in which the feature is 0; they are in no bin.
    neighbours
        Features that point the same way as (feature, cosine), nearest first.
    verdict
        "private", "split" or "unclear"; "" for a feature that is not one-sided.
    partner, correlation
        The feature of the other side that goes with it best, and their correlation over pairs; -1 and NaN for none.
    name
        A name that tells its samples from others better than other features' names do; empty where there is none.
    name_image, name_text
        The name's detection on held-out samples of either side, an AUC in [0, 1], and that of other features' names;
        NaN where it was not measured.
    found, seeds
        How many of so many other seeds found it too; no seeds where nothing was trained from others.
    """

    feature: int
    label: str
    score: float
    low: float = NAN
    high: float = NAN
    certainty: float = NAN
    mono_image: float = NAN
    mono_text: float = NAN
    top_images: Sequence[tuple[str, float]] = ()
    top_texts: Sequence[tuple[str, float]] = ()
    histogram_edges: Sequence[float] = ()
    image_histogram: Sequence[int] = ()
    text_histogram: Sequence[int] = ()
    image_zeros: int = 0
    text_zeros: int = 0
    neighbours: Sequence[tuple[int, float]] = ()
    verdict: str = ""
    partner: int = -1
    correlation: float = NAN
    name: str = ""
    name_image: tuple[float, float] = (NAN, NAN)
    name_text: tuple[float, float] = (NAN, NAN)
    found: int = 0
    seeds: int = 0

    @property
    def stable(self) -> bool:
        """Whether at least half of the other seeds find it; never where there are no others."""
        return 0 < self.seeds <= 2 * self.found

    def __post_init__(self) -> None:
        """Check what the page relies on."""
        bins = len(self.histogram_edges) - 1
        if {len(self.image_histogram), len(self.text_histogram)} != {max(bins, 0)}:
            raise ModalensError(
                f"Feature {self.feature} has {len(self.histogram_edges)} histogram edges for "
                f"{len(self.image_histogram)} and {len(self.text_histogram)} bins; give one edge more than bins."
            )
        if not 0 <= self.score <= 1:
            raise ModalensError(
                f"Feature {self.feature} has the score {self.score}; a card needs a live feature, scored from 0 to 1."
            )
        if self.verdict not in VERDICTS:
            raise ModalensError(
                f"Feature {self.feature} has the verdict {self.verdict!r}; it can be private, split, unclear or empty."
            )


@dataclass(frozen=True)
class Gallery:
    """The features of one representation.

    Attributes
    ----------
    name
        Short and unlike the others', e.g. "SAE"; part of the page's links.
    note
        One sentence: what these features are.
    modalities
        Names of the two sides, the one at R = 1 first.
    rule
        The class rule behind the labels.
    cards
        Its live features in any order, each once.
    """

    name: str
    note: str
    modalities: tuple[str, str]
    rule: str
    cards: Sequence[FeatureCard]

    def __post_init__(self) -> None:
        """Check what the page relies on."""
        for card in self.cards:
            if card.label not in self.roles:
                raise ModalensError(
                    f"Feature {card.feature} of {self.name} has the class {card.label!r}; a card's class is one of "
                    f"{', '.join(self.roles)}."
                )
        if len({card.feature for card in self.cards}) < len(self.cards):
            raise ModalensError(f"A feature of {self.name} has two cards; give each feature one.")

    @property
    def roles(self) -> dict[str, str]:
        """Role of each label, in the order a reader meets them: see :class:`modalens.report.naming.Naming`."""
        return dict(zip((self.modalities[0], "cross", self.modalities[1]), SIDES, strict=True))
