"""Galleries to test with: features that answer to words, on pairs of a coloured square and a caption."""

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from PIL import Image

from modalens.report.cards import FeatureCard, Gallery, Samples
from modalens.report.environment import environment, json_block, source
from modalens.report.palette import css_variables
from modalens.report.section import TEMPLATE, Section
from modalens.report.sections import gallery
from modalens.report.sections.gallery.packed import pack_galleries

WORDS = (
    "dog",
    "grass",
    "snow",
    "boy",
    "water",
    "ball",
    "street",
    "horse",
    "mountain",
    "red",
    "beach",
    "bicycle",
)
SCRIPT = "<script>alert(1)</script>"


def square(colour: tuple[int, int, int], size: int = 16) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, "PNG")
    return buffer.getvalue()


def make_samples(n: int = 60, seed: int = 0) -> dict[str, tuple[bytes | None, str]]:
    """Captions of three words each, and a square for each."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 255, size=(n, 3))
    return {
        f"pair {row}": (
            square(tuple(colours[row])),
            "A " + " ".join(rng.choice(WORDS, 3, replace=False)),
        )
        for row in range(n)
    }


def make_gallery(
    samples: Samples,
    name: str = "SAE",
    n_features: int = 90,
    *,
    words: Sequence[str] = WORDS,
    top: int = 20,
    seed: int = 0,
    signed: bool = False,
    modalities: tuple[str, str] = ("image", "text"),
) -> Gallery:
    """A gallery over features each of which fires for a word, one third on either side, one third on both."""
    rng = np.random.default_rng(seed)
    ids = list(samples)
    texts = [samples[each][1].lower() for each in ids]
    labels = np.array([modalities[0], "cross", modalities[1]])[np.arange(n_features) % 3]
    directions = rng.normal(size=(n_features, 16))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosine = directions @ directions.T - 2 * np.eye(n_features)
    cards = []
    for feature, label in enumerate(labels.tolist()):
        holds = np.array([words[feature % len(words)] in text for text in texts])
        sides = []
        for side in modalities:
            strength = 1.0 if label in ("cross", side) else 0.15
            values = strength * (holds * rng.gamma(4, 0.6, len(ids)) + 0.4 * rng.gamma(1, 0.5, len(ids)))
            sides.append(values - 0.5 if signed else np.where(rng.random(len(ids)) < 0.4, 0, values))
        fired = np.concatenate(sides)
        edges = np.linspace(fired[fired != 0].min(), fired.max(), 21)
        counts = [np.histogram(values[values != 0], edges)[0].tolist() for values in sides]
        ranked = [np.argsort(-values)[:top] for values in sides]
        tops = [
            [(ids[row], float(values[row])) for row in rows if values[row]]
            for rows, values in zip(ranked, sides, strict=True)
        ]
        score = float(
            {"cross": rng.uniform(0.4, 0.6), modalities[0]: rng.uniform(0.85, 1)}.get(
                label, rng.uniform(0, 0.15)
            )
        )
        width = rng.uniform(0.005, 0.06)
        near = np.argsort(-cosine[feature])[:5]
        verdict, partner = "", -1
        if label != "cross":
            verdict = ("split", "private", "unclear")[feature // 3 % 3]
            partner = feature + (2 if label == modalities[0] else -2)
        partner = partner if 0 <= partner < n_features else -1
        cards.append(
            FeatureCard(
                feature=feature,
                label=label,
                score=score,
                low=max(score - width, 0),
                high=min(score + width, 1),
                certainty=float(rng.uniform(0.6, 1)),
                mono_image=float(rng.normal(0.3, 0.2)),
                mono_text=float("nan") if feature % 7 == 6 else float(rng.normal(0.4, 0.2)),
                top_images=tops[0],
                top_texts=tops[1],
                histogram_edges=edges.tolist(),
                image_histogram=counts[0],
                text_histogram=counts[1],
                image_zeros=int((sides[0] == 0).sum()),
                text_zeros=int((sides[1] == 0).sum()),
                neighbours=[(int(other), float(cosine[feature, other])) for other in near],
                verdict=verdict,
                partner=partner,
                correlation={"split": 0.62, "unclear": 0.21, "private": 0.04}.get(verdict, float("nan")),
            )
        )
    return Gallery(name, f"Features of {name}, made for a test.", modalities, "mu_sigma", cards)


@dataclass(frozen=True)
class GalleryPart:
    """The section of galleries, as the page takes it in."""

    html: Markup
    script: str
    style: str


def build_gallery(galleries: Sequence[Gallery], samples: Samples, **settings: int) -> GalleryPart:
    package = gallery.__name__
    section = Section("gallery", "What the features mean", package)
    packed = json_block(pack_galleries(galleries, samples, **settings))
    html = (
        environment()
        .get_template(f"{package}/{TEMPLATE}")
        .render(
            section=section,
            packed=packed,
            plays=False,
            seeds=any(card.seeds for each in galleries for card in each.cards),
            named=any(card.name for each in galleries for card in each.cards),
        )
    )
    return GalleryPart(Markup(html), source(f"{package}/gallery.js"), source(f"{package}/gallery.css"))


def page_around(part: GalleryPart, style: str) -> str:
    """The smallest page that treats a gallery as the report does: its colours, its style and its security policy."""
    digest = base64.b64encode(hashlib.sha256(part.script.encode()).digest()).decode()
    allowed = "img-src data:; media-src data:; style-src 'unsafe-inline'"
    policy = f"default-src 'none'; {allowed}; script-src 'sha256-{digest}'"
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>Galleries</title><style>'
        f":root {{ color-scheme: light dark; {css_variables(0)} }} "
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {css_variables(1)} }} }}"
        f'{style}{part.style}</style></head><body><div class="page"><main>{part.html}</main></div>'
        f"<script>{part.script}</script></body></html>"
    )


def with_sample(card_top: Sequence[tuple[str, float]], sample_id: str) -> list[tuple[str, float]]:
    """The list with a sample put on top of it."""
    return [(sample_id, max(value for _, value in card_top) + 1), *card_top]


def with_texts(samples: Samples, texts: Mapping[str, str]) -> dict[str, tuple[bytes | None, str]]:
    """The samples and more, which have a text only."""
    return {**samples, **{name: (None, text) for name, text in texts.items()}}
