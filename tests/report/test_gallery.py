"""What a gallery puts into a page: every sample once, cards ranked, no caption that can break out."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modalens.errors import ModalensError
from modalens.report.cards import FeatureCard, Gallery, Samples
from modalens.report.sections.gallery.sample_table import words_of
from tests.galleries import SCRIPT, build_gallery, make_gallery, make_samples, square, with_texts

NAN = float("nan")


class Blocks(HTMLParser):
    """Collects what a browser would see: elements, and the text of the block of data."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.data = ""
        self._inside = False
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = ("id", "gallery-data") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        self.data += data if self._inside else ""


def read(galleries: list[Gallery], samples: Samples, **settings: Any) -> dict[str, Any]:
    return json.loads(Blocks(build_gallery(galleries, samples, **settings).html).data)


def listed(data: dict[str, Any], card: dict[str, Any], side: int) -> list[str]:
    return [data["ids"][place] for place in card["top"][side]]


def test_cards_carry_what_they_were_given() -> None:
    samples = make_samples()
    gallery = make_gallery(samples, n_features=12)
    data = read([gallery], samples, top=5)
    packed = {card["feature"]: card for card in data["galleries"][0]["cards"]}
    assert sorted(packed) == list(range(12))
    for card in gallery.cards:
        found = packed[card.feature]
        assert data["galleries"][0]["labels"][found["role"]] == card.label
        assert listed(data, found, 0) == [name for name, _ in card.top_images[:5]]
        assert listed(data, found, 1) == [name for name, _ in card.top_texts[:5]]
        np.testing.assert_allclose(found["values"][1], [value for _, value in card.top_texts[:5]], rtol=5e-3)
        np.testing.assert_allclose(
            found["range"], [card.histogram_edges[0], card.histogram_edges[-1]], rtol=5e-3
        )
        assert found["counts"] == [card.image_histogram, card.text_histogram]
        assert [feature for feature, _ in found["near"]] == [feature for feature, _ in card.neighbours]
        assert (found["verdict"], found["partner"]) == (card.verdict, card.partner)


def test_features_are_ranked_by_mono_of_their_own_side() -> None:
    monos = [(0.2, 0.9), (0.5, 0.1), (NAN, 0.9), (0.5, 0.3)]
    expected = {"image": [1, 3, 0, 2], "text": [0, 2, 3, 1], "cross": [0, 3, 1, 2]}
    for label, order in expected.items():
        cards = [
            FeatureCard(feature, label, 0.5, mono_image=image, mono_text=text)
            for feature, (image, text) in enumerate(monos)
        ]
        packed = read([Gallery("SAE", "", ("image", "text"), "twofold", cards)], {})["galleries"][0]["cards"]
        assert [card["feature"] for card in packed] == order, label


def test_every_picture_and_text_is_stored_once() -> None:
    shared = square((10, 200, 30))
    samples = {
        "a": (shared, "one"),
        "b": (bytes(bytearray(shared)), "two"),
        "c": (square((1, 2, 3)), "one"),
        "unseen": (square((7, 7, 7)), "three"),
        "text only": (square((8, 8, 8)), "four"),
    }
    card = FeatureCard(
        0, "image", 0.9, top_images=[("a", 3), ("b", 2), ("c", 1)], top_texts=[("text only", 2), ("a", 1)]
    )
    galleries = [Gallery(name, "", ("image", "text"), "twofold", [card]) for name in ("Raw", "SAE")]
    data = read(galleries, samples)
    assert len(data["previews"]) == 2
    assert [data["previewOf"][data["ids"].index(each)] for each in ("a", "b", "c", "text only")] == [
        0,
        0,
        1,
        -1,
    ]
    assert sorted(data["texts"]) == ["four", "one", "two"]
    assert data["words"] == ["four", "one"]  # words of pictures' captions find nothing


def test_samples_without_a_picture_are_shown_by_their_text() -> None:
    card = FeatureCard(0, "audio", 0.9, top_images=[("a", 3.0)], top_texts=[("a", 3.0)])
    data = read([Gallery("SAE", "", ("audio", "text"), "twofold", [card])], {"a": (None, "a bell")})
    assert data["previewOf"] == [-1]
    assert data["galleries"][0]["shorts"] == ["AudioD", "CrossD", "TextD"]


def test_index_equals_a_search_through_the_texts() -> None:
    samples = make_samples(40)
    data = read([make_gallery(samples, n_features=24)], samples)
    shown = {listed_id for card in data["galleries"][0]["cards"] for listed_id in listed(data, card, 1)}
    for word, places in zip(data["words"], data["textsWith"], strict=True):
        naive = {samples[each][1] for each in shown if word in samples[each][1].lower().split()}
        assert {data["texts"][place] for place in places} == naive
    assert data["words"] == sorted({word for each in shown for word in samples[each][1].lower().split()})


def test_words() -> None:
    assert words_of("A dog's BALL, snake_case; 3.5 — Über ﬁsh") == {
        "a",
        "dog",
        "s",
        "ball",
        "snake_case",
        "3",
        "5",
        "über",
        "fish",
    }
    assert words_of("  …! ") == set()


EVIL = [
    SCRIPT,
    "</script><script>alert(2)</script>",
    "<!-- <script>",
    "]]>",
    "line\u2028and paragraph\u2029ends",
    "\u202eright to left",
    "{{7*7}} {% raw %}",
    "\x00\x01\x7f",
    "\ud800 half a surrogate",
    "&lt;b&gt; \\u003c \\",
    "long " * 400,
    "",
]


def test_no_caption_breaks_out() -> None:
    names = {f"<{number}>": text for number, text in enumerate(EVIL)}
    card = FeatureCard(0, "text", 0.1, top_texts=[(name, 1.0) for name in names])
    gallery = Gallery("<b>", "</script>", ("image", "text"), "<i>", [card])
    part = build_gallery([gallery], with_texts({}, names), top=len(EVIL))
    blocks = Blocks(part.html)
    plain = Blocks(build_gallery([Gallery("SAE", "", ("image", "text"), "twofold", [])], {}).html)
    assert blocks.tags == plain.tags
    data = json.loads(blocks.data)
    assert [data["texts"][data["textOf"][place]] for place in range(len(EVIL))] == EVIL
    assert data["ids"] == list(names)
    part.html.encode("utf-8")  # it can be written to a file, half surrogates and all


@given(st.text(max_size=60))
def test_any_caption_comes_back_as_it_was(text: str) -> None:
    card = FeatureCard(0, "text", 0.1, top_texts=[("a", 1.0)])
    part = build_gallery([Gallery("SAE", "", ("image", "text"), "twofold", [card])], {"a": (None, text)})
    block = re.search(r'id="gallery-data">(.*?)</script>', part.html, re.DOTALL)
    assert block is not None
    assert "<" not in block[1]
    assert block[1].isascii()
    assert json.loads(block[1])["texts"] == [text]


def test_script_never_turns_text_into_markup() -> None:
    script = build_gallery([make_gallery(make_samples(4), n_features=3)], make_samples(4)).script
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert dangerous not in script
    for outward in ("fetch(", "XMLHttpRequest", "WebSocket", "import(", "https:"):
        assert outward not in script


def test_features_cost_less_than_a_kilobyte_each() -> None:
    samples = {name: (None, text) for name, (_, text) in make_samples(200).items()}
    few, many = (
        len(build_gallery([make_gallery(samples, n_features=n)], samples, top=12).html) for n in (100, 300)
    )
    assert (many - few) / 200 < 1000


def test_bad_input_is_said_in_a_sentence() -> None:
    samples = make_samples(4)
    gallery = make_gallery(samples, n_features=3)
    with pytest.raises(ModalensError, match="no gallery to show"):
        build_gallery([], samples)
    with pytest.raises(ModalensError, match="different names, not SAE, SAE"):
        build_gallery([gallery, gallery], samples)
    with pytest.raises(ModalensError, match="at least 1 sample"):
        build_gallery([gallery], samples, top=0)
    with pytest.raises(ModalensError, match="'pair 0'"):
        build_gallery([gallery], {name: entry for name, entry in samples.items() if name != "pair 0"})
    with pytest.raises(ModalensError, match="'pair 1' is no PNG"):
        build_gallery([gallery], {**samples, "pair 1": (b"GARBAGE", "")})
    with pytest.raises(ModalensError, match="has two cards"):
        replace(gallery, cards=[gallery.cards[0], gallery.cards[0]])
    with pytest.raises(ModalensError, match="'audio'; a card's class is one of image, cross, text"):
        replace(gallery, cards=[replace(gallery.cards[0], label="audio")])
    with pytest.raises(ModalensError, match="one edge more than bins"):
        replace(gallery.cards[0], image_histogram=[1])
    with pytest.raises(ModalensError, match="verdict 'perhaps'"):
        replace(gallery.cards[0], verdict="perhaps")
    with pytest.raises(ModalensError, match="needs a live feature"):
        replace(gallery.cards[0], score=NAN)


def test_what_other_seeds_found_is_on_the_card() -> None:
    samples = make_samples()
    gallery = make_gallery(samples, n_features=4)
    cards = [replace(card, found=card.feature, seeds=3) for card in gallery.cards]
    part = build_gallery([replace(gallery, cards=cards)], samples)
    packed = json.loads(Blocks(part.html).data)["galleries"][0]["cards"]
    assert {card["feature"]: card["found"] for card in packed} == {each: [each, 3] for each in range(4)}
    assert "no other seed found" in part.html
    assert "Found again in ${card.found[0]} of" in part.script
    bare = build_gallery([gallery], samples)
    assert "no other seed found" not in bare.html
    assert all(
        card["found"] == [0, 0] for card in json.loads(Blocks(bare.html).data)["galleries"][0]["cards"]
    )
