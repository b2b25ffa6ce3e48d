"""The part of the report where people look at features: cards to browse by class, search and draw at random."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modalens.errors import ModalensError
from modalens.report.naming import Naming
from modalens.report.sample_table import Samples, SampleTable

__all__ = ["HEADING", "FeatureCard", "Gallery", "GalleryPart", "Samples", "build_gallery"]

HEADING = "What the features mean"
NAN = float("nan")
ROLES = ("first", "cross", "second")
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
        return dict(zip((self.modalities[0], "cross", self.modalities[1]), ROLES, strict=True))


@dataclass(frozen=True)
class GalleryPart:
    """The galleries, ready to be put into a page.

    Attributes
    ----------
    html
        A section with id ``gallery`` that holds the data; no word of it comes from a sample unescaped.
    script
        To run after the section, under the page's content security policy.
    style
        Goes after the page's own style and uses its colour variables.
    """

    html: Markup
    script: str
    style: str


def build_gallery(galleries: Sequence[Gallery], samples: Samples, top: int = 12) -> GalleryPart:
    """Put galleries and the samples they show into one part of a page.

    Parameters
    ----------
    galleries
        One for each representation; the first is what a reader sees first.
    samples
        Every sample that a card lists, at least. A picture is written once, however many samples share it, and
        only if a card shows it.
    top
        Most samples of either side on a card.

    Raises
    ------
    ModalensError
        If there is no gallery, two share a name, a card lists a sample that is not given, a picture is no PNG,
        JPEG, WebP or GIF file, or ``top`` is not positive.
    """
    if not galleries:
        raise ModalensError("There is no gallery to show; give at least one representation.")
    names = [gallery.name for gallery in galleries]
    if len(set(names)) < len(names):
        raise ModalensError(f"Galleries of one page need different names, not {', '.join(names)}.")
    if top < 1:
        raise ModalensError(f"A card shows at least 1 sample of either side, not {top}.")
    table = SampleTable(samples)
    packed = [_pack(gallery, table, top) for gallery in galleries]
    loader = PackageLoader("modalens.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # Plain ASCII without "<": no caption can end the element that holds the data, or spoil the file's encoding.
    data = json.dumps({"galleries": packed, **table.packed()}, allow_nan=False, separators=(",", ":"))
    data = data.replace("<", "\\u003c")
    html = environment.get_template("gallery.html.j2").render(heading=HEADING, data=Markup(data))
    script, style = (loader.get_source(environment, name)[0] for name in ("gallery.js", "gallery.css"))
    return GalleryPart(Markup(html), script, style)


def _pack(gallery: Gallery, table: SampleTable, top: int) -> dict[str, Any]:
    naming = Naming(*gallery.modalities)
    cards = sorted(gallery.cards, key=lambda card: (-_rank(card, gallery), card.feature))
    roles = gallery.roles
    return {
        "name": gallery.name,
        "note": gallery.note,
        "rule": gallery.rule,
        "modalities": gallery.modalities,
        "labels": list(roles),
        "shorts": [naming.short(role) for role in ROLES],
        # Most monosemantic first, so every class is ranked as it stands.
        "cards": [_pack_card(card, ROLES.index(roles[card.label]), table, top) for card in cards],
    }


def _rank(card: FeatureCard, gallery: Gallery) -> float:
    """Mono on the feature's own side, or the mean of both; what has none comes last."""
    own = {
        gallery.modalities[0]: card.mono_image,
        gallery.modalities[1]: card.mono_text,
    }.get(card.label, (card.mono_image + card.mono_text) / 2)
    return -math.inf if math.isnan(own) else own


def _pack_card(card: FeatureCard, role: int, table: SampleTable, top: int) -> dict[str, Any]:
    images, texts = list(card.top_images)[:top], list(card.top_texts)[:top]
    return {
        "feature": int(card.feature),
        "role": role,
        "score": _number(card.score, 4),
        "interval": [_number(card.low, 4), _number(card.high, 4)],
        "certainty": _number(card.certainty, 4),
        "mono": [_number(card.mono_image), _number(card.mono_text)],
        "top": [[table.picture(name) for name, _ in images], [table.text(name) for name, _ in texts]],
        "values": [[_number(value) for _, value in side] for side in (images, texts)],
        "range": [_number(edge) for edge in (card.histogram_edges[0], card.histogram_edges[-1])]
        if len(card.histogram_edges)
        else [],
        "counts": [[int(count) for count in side] for side in (card.image_histogram, card.text_histogram)],
        "zeros": [int(card.image_zeros), int(card.text_zeros)],
        "near": [[int(feature), _number(cosine)] for feature, cosine in card.neighbours],
        "verdict": card.verdict,
        "partner": int(card.partner),
        "correlation": _number(card.correlation),
    }


def _number(value: float, digits: int = 3) -> float | None:
    """Rounded to significant digits, which is what a reader sees; None for what is not known."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
