"""Sounds in a real browser: players that play under the page's security policy."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from modalens.report import EncoderResult, ReportData, Sample, write_report
from modalens.report.annotation import write_annotation
from tests.browser import chromium
from tests.galleries import make_gallery, make_samples

pytestmark = pytest.mark.browser

MODALITIES = ("audio", "text")
PLAY = """
const [player, done] = [arguments[0], arguments[1]];
player.muted = true;
player.play().then(() => done(player.duration), (error) => done(String(error)));
"""


def tone(pitch: int) -> bytes:
    """A tenth of a second."""
    buffer = io.BytesIO()
    wave = np.sin(2 * np.pi * pitch * np.arange(800) / 8000)
    wavfile.write(buffer, 8000, (wave * 2**14).astype(np.int16))
    return buffer.getvalue()


SOUNDS = {
    name: (tone(200 + 20 * row) if row else None, text)
    for row, (name, (_, text)) in enumerate(make_samples(30).items())
}


@pytest.fixture
def page(encoder: Callable[..., EncoderResult], tmp_path: Path) -> Path:
    gallery = make_gallery(SOUNDS, "SAE", 12, modalities=MODALITIES)
    first = gallery.cards[0]
    silent = dataclasses.replace(first, mono_image=5.0, top_images=[("pair 0", 9.0), *first.top_images])
    data = ReportData(
        "Sounds",
        "Few.",
        encoder("CLAP", modalities=MODALITIES),
        samples=[Sample("a", tone(300), "a tone")],
        galleries=[dataclasses.replace(gallery, cards=[silent, *gallery.cards[1:]])],
        previews=SOUNDS,
    )
    return write_report(data, tmp_path)


def test_players_play(page: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as browser:
        for width in (1280, 390):
            browser.resize(width, 900)
            browser.open(page, "#features/SAE/audio")
            card = browser.driver.find_element("css selector", "#gallery .card")
            rows = card.find_elements("css selector", ".players li")
            assert len(rows) == 8
            # A sound that is gone has its text alone.
            assert [len(row.find_elements("tag name", "audio")) for row in rows] == [0, *7 * [1]]
            assert rows[0].text.endswith(SOUNDS["pair 0"][1])
            for place in (".samples audio", "#gallery .players audio"):
                player = browser.driver.find_element("css selector", place)
                assert browser.driver.execute_async_script(PLAY, player) == pytest.approx(0.1)
            overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert browser.driver.execute_script(overflow) == 0
        assert browser.complaints() == []
        assert browser.requests() == []


def test_players_play_where_people_annotate(tmp_path: Path) -> None:
    gallery = make_gallery(SOUNDS, "SAE", 12, modalities=MODALITIES)
    page = write_annotation(gallery, SOUNDS, tmp_path / "page", features=3, top=4)
    with chromium(tmp_path / "profile", 390) as browser:
        browser.open(page)
        players = browser.driver.find_elements("css selector", "#previews audio")
        assert len(players) == 4
        assert browser.driver.execute_async_script(PLAY, players[0]) == pytest.approx(0.1)
        assert browser.complaints() == []
