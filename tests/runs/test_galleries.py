"""From interpretations to cards and pictures: what is there is shown as it is, and what is gone costs no more."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.report.cards import FeatureCard, Gallery
from modalens.runs.galleries import check_limits, collect_previews, make_gallery
from modalens.runs.interpretation import SIDES, Interpretation, InterpretConfig, SampleSets
from modalens.runs.interpreting import interpret_features
from modalens.store import EmbeddingStore
from modalens.store.texts import Texts
from tests.galleries import build_gallery
from tests.small_run import SCRIPT, caption, colour

N, SPLIT = 120, 20


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Interpretation:
    """Features of which 2i and 2i + 1 are the halves of a concept, then 20 for both sides, then a dead one."""
    rng = np.random.default_rng(0)
    concepts = (rng.random((N, SPLIT)) < 0.2) * rng.gamma(4, 1, (N, SPLIT))
    image, text = np.zeros((2, N, 3 * SPLIT + 1))
    image[:, 0 : 2 * SPLIT : 2] = concepts
    text[:, 1 : 2 * SPLIT : 2] = concepts * rng.uniform(0.8, 1.2, concepts.shape)
    image[:, 2 * SPLIT : -1] = text[:, 2 * SPLIT : -1] = rng.random((N, SPLIT))
    names = Texts.of(f"pair {row}" for row in range(N))
    every = np.arange(N)
    samples = SampleSets(
        every,
        dict.fromkeys(SIDES, every),
        {side: rng.normal(size=(N, 8)).astype(np.float32) + 0.5 for side in SIDES},
        dict.fromkeys(SIDES, names),
        {side: {"model": "h"} for side in SIDES},
    )
    mds = modality_dominance(image, text, resamples=20)
    config = InterpretConfig(m=8, draws=2, shuffles=100)
    out = tmp_path_factory.mktemp("planted")
    return interpret_features(image, text, mds, samples, None, config, out, about={})


@pytest.fixture
def store(interpreted) -> EmbeddingStore:
    return interpreted[0].store()


@pytest.fixture
def galleries(interpreted) -> list[Gallery]:
    return [make_gallery(name, "", found) for name, found in interpreted[1].items()]


def by_feature(gallery: Gallery) -> dict[int, FeatureCard]:
    return {card.feature: card for card in gallery.cards}


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


@contextmanager
def moved(path: Path) -> Iterator[None]:
    """The file is somewhere else for a while."""
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        away.rename(path)


# Cards


@pytest.mark.parametrize("name", ["raw", "ncl", "sae"])
def test_a_card_says_what_was_found(interpreted, name: str) -> None:
    found = interpreted[1][name]
    gallery = make_gallery("Name", "A note.", found, top=3)
    assert (gallery.name, gallery.note, gallery.rule) == ("Name", "A note.", "twofold")
    assert gallery.modalities == ("image", "text")
    live = np.flatnonzero(~np.isnan(found.mds.score))
    assert [card.feature for card in gallery.cards] == live.tolist()
    for card in gallery.cards:
        d = card.feature
        numbers = (card.score, card.low, card.high, card.mono_image, card.mono_text, card.certainty)
        np.testing.assert_array_equal(
            numbers,
            [found.mds.score[d], found.mds.low[d], found.mds.high[d]]
            + [found.mono[side].mono[d] for side in SIDES]
            + [found.mds.probability[d]],
        )
        assert card.label == found.mds.labels[d]
        for side, shown in (("image", card.top_images), ("text", card.top_texts)):
            rows, values = found.top[side].rows[d], found.top[side].values[d]
            listed = rows >= 0
            expected = list(zip(found.ids[side][rows[listed]], values[listed], strict=True))
            assert list(shown) == expected[:3]
        assert card.image_zeros + sum(card.image_histogram) == found.mds.n_pairs
        assert card.text_zeros + sum(card.text_histogram) == found.mds.n_pairs
        assert all(other >= 0 and other != d for other, _ in card.neighbours)
        assert len(card.neighbours) == min(6, (found.neighbours[0][d] >= 0).sum())


def test_dead_features_have_no_card(planted: Interpretation, interpreted) -> None:
    assert planted.mds.labels[-1] == "dead"
    assert set(by_feature(make_gallery("SAE", "", planted))) == set(range(3 * SPLIT))
    sae = interpreted[1]["sae"]
    dead = np.flatnonzero(sae.mds.labels == "dead")
    assert len(dead)
    assert not set(dead) & set(by_feature(make_gallery("SAE", "", sae)))


def test_halves_of_a_concept_name_each_other(planted: Interpretation) -> None:
    cards = by_feature(make_gallery("SAE", "", planted))
    for d in range(0, 2 * SPLIT, 2):
        assert (cards[d].label, cards[d].verdict, cards[d].partner) == ("image", "split", d + 1)
        assert (cards[d + 1].label, cards[d + 1].verdict, cards[d + 1].partner) == ("text", "split", d)
        assert cards[d].correlation == pytest.approx(planted.bridges.correlation[d])
        assert cards[d].correlation > 0.9
    assert {(cards[d].verdict, cards[d].partner) for d in range(2 * SPLIT, 3 * SPLIT)} == {("", -1)}


@pytest.mark.parametrize("top", [1, 4, 8, 50])
def test_a_card_shows_so_many_samples(planted: Interpretation, top: int) -> None:
    cards = make_gallery("SAE", "", planted, top=top).cards
    for card in cards:
        for side, shown in (("image", card.top_images), ("text", card.top_texts)):
            assert len(shown) == min(top, 8, planted.top[side].counts[card.feature])
    assert max(len(card.top_images) for card in cards) == min(top, 8)


def test_of_many_features_some_are_drawn_with_their_partners(planted: Interpretation) -> None:
    gallery = make_gallery("SAE", "A note.", planted, most=10)
    chosen = set(by_feature(gallery))
    assert 10 <= len(chosen) <= 20
    for card in gallery.cards:
        assert card.partner < 0 or card.partner in chosen
    halves = {d // 2 for d in chosen if d < 2 * SPLIT}
    others = sum(d >= 2 * SPLIT for d in chosen)
    assert others + len(halves) <= 10
    assert others + 2 * len(halves) == len(chosen)
    assert gallery.note == ("A note. 10 of 60 live features are shown, drawn at random, with their partners.")
    assert set(by_feature(make_gallery("SAE", "", planted, most=10))) == chosen
    assert make_gallery("SAE", "A note.", planted, most=60).note == "A note."


def test_every_feature_is_as_likely_to_be_drawn(planted: Interpretation) -> None:
    counts = np.zeros(3 * SPLIT)
    for seed in range(300):
        seeded = replace(planted, config=replace(planted.config, seed=seed))
        counts[list(by_feature(make_gallery("SAE", "", seeded, top=1, most=6)))] += 1
    alone, halves = counts[2 * SPLIT :], counts[: 2 * SPLIT]
    # 6 of 60 are drawn; a half comes with its own draw or its partner's.
    assert abs(alone.mean() / 300 - 0.1) < 0.015
    assert abs(halves.mean() / 300 - (1 - 54 * 53 / 60 / 59)) < 0.015
    assert counts.min() > 0


@pytest.mark.parametrize(
    ("top", "most", "sentence"), [(0, 5, "top is 0"), (3, 0, "features is 0"), (-1, 1, "top is -1")]
)
def test_limits_that_show_nothing(planted: Interpretation, top: int, most: int, sentence: str) -> None:
    with pytest.raises(ModalensError, match=sentence):
        make_gallery("SAE", "", planted, top=top, most=most)
    with pytest.raises(ModalensError, match=sentence):
        check_limits(top, most)
    check_limits(1, 1)


# Pictures


def test_every_sample_that_is_shown_has_its_picture_and_text(store, galleries) -> None:
    found = collect_previews(store, galleries)
    images = {name for gallery in galleries for card in gallery.cards for name, _ in card.top_images}
    texts = {name for gallery in galleries for card in gallery.cards for name, _ in card.top_texts}
    assert set(found) == images | texts
    captions = dict(zip(store.ids, store.metadata["caption"], strict=True))
    for name, (picture, text) in found.items():
        assert text == captions[name]
        assert (picture is not None) == (name in images)
        if picture is not None:
            shown = opened(picture)
            assert (shown.format, shown.size) == ("WEBP", (8, 8))
            number = int(name.removeprefix("p"))
            assert np.abs(np.asarray(shown.convert("RGB"), int).mean((0, 1)) - colour(number)).max() < 8
    name = next(iter(found))
    assert found[name][1] == caption(int(name.removeprefix("p"))).strip()


def test_pictures_are_small(store, interpreted, pictures: Path) -> None:
    gallery = make_gallery("Raw", "", interpreted[1]["raw"])
    name = gallery.cards[0].top_images[0][0]
    path = pictures.parent / f"{name.removeprefix('p')}.png"
    with moved(path):
        Image.new("RGB", (1000, 500), "teal").save(path)
        picture, _ = collect_previews(store, [gallery])[name]
    assert opened(picture).size == (96, 48)


def test_only_what_is_shown_is_collected(store, interpreted) -> None:
    gallery = make_gallery("Raw", "", interpreted[1]["raw"], top=1)
    one = replace(gallery, cards=[replace(gallery.cards[0], top_texts=())])
    assert set(collect_previews(store, [one])) == {one.cards[0].top_images[0][0]}
    assert collect_previews(store, []) == {}


def test_a_source_that_moved_away_costs_the_pictures_alone(store, galleries, pictures: Path, caplog) -> None:
    whole = collect_previews(store, galleries)
    with moved(pictures), caplog.at_level(logging.WARNING, logger="modalens"):
        caplog.clear()
        found = collect_previews(store, galleries)
    assert found == {name: (None, text) for name, (_, text) in whole.items()}
    assert [record.message for record in caplog.records] == [
        f"The galleries show texts alone: There is no file '{pictures}'; give one as in csv:captions.csv."
    ]


def test_a_picture_that_went_bad_costs_itself(store, galleries, pictures: Path) -> None:
    whole = collect_previews(store, galleries)
    name = galleries[0].cards[0].top_images[0][0]
    path = pictures.parent / f"{name.removeprefix('p')}.png"
    with moved(path):
        path.write_bytes(b"no image")
        found = collect_previews(store, galleries)
    assert whole[name][0] is not None
    assert found == {**whole, name: (None, whole[name][1])}


def test_a_pair_that_shows_another_picture_now_has_none(store, galleries, pictures: Path) -> None:
    whole = collect_previews(store, galleries)
    name = galleries[0].cards[0].top_images[0][0]
    content = pictures.read_text(encoding="utf-8")
    with moved(pictures):
        pictures.write_text(content.replace(f"{name},{name[1:]}.png", f"{name},1.png"), encoding="utf-8")
        found = collect_previews(store, galleries)
    assert whole[name][0] is not None
    assert found == {**whole, name: (None, whole[name][1])}


def test_a_store_that_names_no_source_has_texts(store, galleries) -> None:
    whole = collect_previews(store, galleries)
    nameless = EmbeddingStore.open(store.folder)
    nameless.manifest = replace(nameless.manifest, source={})
    found = collect_previews(nameless, galleries)
    assert found == {name: (None, text) for name, (_, text) in whole.items()}


def test_a_hostile_caption_stays_a_caption(store, galleries) -> None:
    cards = [replace(card, top_texts=[("p6", 1.0), *card.top_texts[1:]]) for card in galleries[0].cards]
    galleries = [replace(galleries[0], cards=cards), *galleries[1:]]
    found = collect_previews(store, galleries)
    assert found["p6"][1] == SCRIPT
    assert "<script>alert" not in build_gallery(galleries, found).html
