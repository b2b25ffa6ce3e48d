"""The annotation page: it hides what it must, shows what it should, and no caption gets out."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.report.annotation import write_annotation
from modalens.report.cards import FeatureCard, Gallery
from modalens.store.atomic import write_text

LABELS = ("image", "cross", "text")
EVIL = "</script><script>alert(1)</script><!-- \u2028 \u202e & \" ' \ud800"


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 255 - number, 0)).save(buffer, "PNG")
    return buffer.getvalue()


SAMPLES = {f"s{i}": (picture(i), f"caption {i}") for i in range(40)}


def cards(count: int = 30) -> list[FeatureCard]:
    """Features of three classes in turn; the third of an image feature's texts fire, and the reverse."""
    rng = np.random.default_rng(0)

    def top(n: int) -> list[tuple[str, float]]:
        return [(f"s{i}", 9.0 - place) for place, i in enumerate(rng.permutation(40)[:n])]

    return [
        FeatureCard(
            feature=7 * number + 3,
            label=LABELS[number % 3],
            score=(0.9, 0.5, 0.1)[number % 3],
            top_images=top(2 if number % 3 == 2 else 9),
            top_texts=top(2 if number % 3 == 0 else 9),
        )
        for number in range(count)
    ]


def gallery(of: list[FeatureCard] | None = None) -> Gallery:
    return Gallery("SAE", "Sparse features.", ("image", "text"), "twofold", cards() if of is None else of)


def data_of(page: Path) -> dict[str, Any]:
    blocks = re.findall(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text("utf-8"), re.DOTALL
    )
    assert len(blocks) == 1
    return json.loads(blocks[0])


def key_of(page: Path) -> dict[str, Any]:
    return json.loads((page.parent / "key.json").read_text("utf-8"))


def test_nothing_in_the_page_depends_on_classes_scores_or_activations(tmp_path):
    page = write_annotation(gallery(), SAMPLES, tmp_path / "a")
    turned = [
        replace(
            card,
            label=LABELS[(LABELS.index(card.label) + 1) % 3],
            score=1 - card.score,
            certainty=0.3,
            mono_image=0.7,
            verdict="split",
            partner=3,
            top_images=[(name, value / 3 + 1) for name, value in card.top_images],
        )
        for card in reversed(cards())
    ]
    other = write_annotation(gallery(turned), SAMPLES, tmp_path / "b")
    assert page.read_bytes() == other.read_bytes()
    assert key_of(page)["items"] != key_of(other)["items"]


def test_every_feature_looks_alike(tmp_path):
    data = data_of(write_annotation(gallery(), SAMPLES, tmp_path))
    assert len(data["items"]) == 30
    for item in data["items"]:
        for side in item:
            assert len(set(side)) == len(side) == 9
    assert set(data) == {"kind", "schema_version", "page", "items", "previews", "texts"}


def test_strongest_samples_are_all_there_and_the_key_counts_the_random_ones(tmp_path):
    page = write_annotation(gallery(), SAMPLES, tmp_path)
    data, key = data_of(page), key_of(page)
    by_feature = {card.feature: card for card in cards()}
    places = []
    for item, (images, texts) in zip(key["items"], data["items"], strict=True):
        card = by_feature[item["feature"]]
        assert item["class"] == card.label
        assert item["random_samples"] == {"image": 9 - len(card.top_images), "text": 9 - len(card.top_texts)}
        shown = [data["texts"][index] for index in texts]
        strongest = [SAMPLES[name][1] for name, _ in card.top_texts]
        assert set(strongest) <= set(shown)
        places.append(shown.index(strongest[0]))
        uris = {data["previews"][index] for index in images}
        for name, _ in card.top_images:
            assert f"data:image/png;base64,{base64.b64encode(SAMPLES[name][0]).decode()}" in uris
    assert len(set(places)) > 4  # the strongest stands anywhere
    assert [item["item"] for item in key["items"]] == list(range(1, 31))
    features = [item["feature"] for item in key["items"]]
    assert features != sorted(features)
    assert set(features) == set(by_feature)


def test_silent_samples_do_not_count_as_strongest(tmp_path):
    card = FeatureCard(1, "image", 0.9, top_images=[("s1", 1.0)], top_texts=[("s2", 0.0), ("s3", 0.0)])
    key = key_of(write_annotation(gallery([card]), SAMPLES, tmp_path, top=4))
    assert key["items"][0]["random_samples"] == {"image": 3, "text": 4}


def test_classes_are_drawn_evenly(tmp_path):
    many = [
        FeatureCard(number, label, 0.5, top_images=[("s1", 1.0)], top_texts=[("s2", 1.0)])
        for number, label in enumerate(["image"] * 200 + ["cross"] * 30 + ["text"] * 4)
    ]
    items = key_of(write_annotation(gallery(many), SAMPLES, tmp_path, features=40))["items"]
    counts = {label: sum(item["class"] == label for item in items) for label in LABELS}
    assert counts == {"image": 18, "cross": 18, "text": 4}
    changes = sum(a["class"] != b["class"] for a, b in pairwise(items))
    assert changes > 10  # not class after class


def test_the_seed_decides(tmp_path):
    first = write_annotation(gallery(), SAMPLES, tmp_path / "a", features=12)
    again = write_annotation(gallery(), SAMPLES, tmp_path / "b", features=12)
    other = write_annotation(gallery(), SAMPLES, tmp_path / "c", features=12, seed=1)
    assert first.read_bytes() == again.read_bytes()
    assert key_of(first) == key_of(again)
    assert key_of(first)["page"] == data_of(first)["page"] != data_of(other)["page"]


def test_one_picture_shown_by_several_samples_comes_once(tmp_path):
    shared = {name: (picture(0 if int(name[1:]) < 5 else 1), text) for name, (_, text) in SAMPLES.items()}
    card = FeatureCard(
        1, "cross", 0.5, top_images=[(f"s{i}", 1.0) for i in range(9)], top_texts=[("s1", 1.0)]
    )
    data = data_of(write_annotation(gallery([card]), shared, tmp_path))
    assert sorted(data["items"][0][0]) == [0, 1]
    assert len(data["previews"]) == 2


def test_captions_cannot_leave_the_data(tmp_path):
    samples = {**SAMPLES, "evil": (picture(99), EVIL), "long": (None, "x" * 5000), "blank": (None, "  ")}
    card = FeatureCard(
        1, "text", 0.1, top_images=[("s1", 1.0)], top_texts=[("evil", 2.0), ("long", 1.0), ("blank", 1.0)]
    )
    page = write_annotation(
        Gallery("<b>SAE</b>", "", ("image", "text"), "twofold", [card]), samples, tmp_path
    )
    source = page.read_text("utf-8")
    assert source.count("<script") == 2
    assert "alert(1)<" not in source
    assert "<b>SAE</b>" not in source
    data = data_of(page)
    assert EVIL in data["texts"]
    assert max(map(len, data["texts"])) == 401


def test_the_page_allows_its_own_script_and_nothing_from_outside(tmp_path):
    source = write_annotation(gallery(), SAMPLES, tmp_path).read_text("utf-8")
    script = source[source.rindex("<script>") + len("<script>") : source.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
        in source
    )
    assert "innerHTML" not in script
    assert not re.search(r"https?://|<link|@import|url\(", source)


def test_other_modalities(tmp_path):
    card = FeatureCard(1, "audio", 0.9, top_images=[("s1", 1.0)], top_texts=[("s2", 1.0)])
    page = write_annotation(Gallery("Raw", "", ("audio", "text"), "mu_sigma", [card]), SAMPLES, tmp_path)
    assert key_of(page)["choices"] == ["audio", "text", "both", "neither"]
    assert "Sound samples" in page.read_text("utf-8")


def test_what_cannot_be_asked(tmp_path):
    with pytest.raises(ModalensError, match="There is no live feature"):
        write_annotation(gallery([]), SAMPLES, tmp_path)
    with pytest.raises(ModalensError, match="no images or no texts to show"):
        write_annotation(gallery(), {name: (None, text) for name, (_, text) in SAMPLES.items()}, tmp_path)
    with pytest.raises(ModalensError, match="features is 0"):
        write_annotation(gallery(), SAMPLES, tmp_path, features=0)
    with pytest.raises(ModalensError, match="top is -1"):
        write_annotation(gallery(), SAMPLES, tmp_path, top=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModalensError, match="is a file; name a folder to write to"):
        write_annotation(gallery(), SAMPLES, tmp_path / "file")
    with pytest.raises(ModalensError, match="file is a file; name a folder to write to"):
        write_annotation(gallery(), SAMPLES, tmp_path / "file" / "within")


def test_the_key_of_another_page_is_set_aside(tmp_path, caplog):
    """Raters may have that page, and nobody could say what they answered."""
    sent = write_annotation(gallery(), SAMPLES, tmp_path, seed=0)
    kept = {path.name: path.read_bytes() for path in (sent, sent.with_name("key.json"))}
    write_annotation(gallery(), SAMPLES, tmp_path, seed=0)
    assert not (tmp_path / "replaced").exists()
    write_annotation(gallery(), SAMPLES, tmp_path, seed=1)
    (aside,) = (tmp_path / "replaced").iterdir()
    assert aside.name == json.loads(kept["key.json"])["page"] in caplog.text
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == kept
    assert data_of(sent)["page"] == key_of(sent)["page"] != aside.name
    # The same page of features that are in other classes now.
    turned = [replace(card, label=LABELS[(LABELS.index(card.label) + 1) % 3]) for card in cards()]
    write_annotation(gallery(turned), SAMPLES, tmp_path, seed=1)
    (tmp_path / "key.json").write_text("somebody's own")
    write_annotation(gallery(), SAMPLES, tmp_path, seed=1)
    assert len(list((tmp_path / "replaced").iterdir())) == 3
    assert (tmp_path / "replaced/unknown/key.json").read_text() == "somebody's own"


def test_two_runs_at_once_never_mix_a_page_with_the_key_of_the_other(tmp_path, monkeypatch):
    refused = []

    def another_meanwhile(path, text):
        thread = Thread(target=attempt)
        thread.start()
        thread.join()
        write_text(path, text)

    def attempt():
        with pytest.raises(ModalensError, match="Another process is writing a page to"):
            write_annotation(gallery(), SAMPLES, tmp_path, seed=2)
        refused.append(True)

    monkeypatch.setattr("modalens.report.annotation.write_text", another_meanwhile)
    page = write_annotation(gallery(), SAMPLES, tmp_path, seed=1)
    assert refused
    assert data_of(page)["page"] == key_of(page)["page"]
