"""The explorer on a run of sounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from modalens.features import SAEConfig
from modalens.pairs import load_pairs
from modalens.runs import ScoreConfig, embed, origin
from modalens.runs.layout import RunFolder
from modalens.runs.learning import train_on
from modalens.runs.representations import representations
from modalens.runs.scoring import score_into
from tests.browser import chromium
from tests.explore.conftest import served
from tests.explore.test_explorer_browser import Page
from tests.fakes import FakeVLM
from tests.report.test_sounds_browser import PLAY
from tests.small_run import TRAINING

SAE = "/api/photos/sae"


class HearingVLM(FakeVLM):
    """Hears how loud a sound is, and how often it crosses zero."""

    modalities = ("audio", "text")

    def embed_images(self, images: Sequence[Any]) -> np.ndarray:
        rows = [
            (1, np.abs(each.samples).mean(), np.mean(np.diff(np.sign(each.samples)) != 0)) for each in images
        ]
        return np.array(rows, dtype=np.float32) @ self.weights

    def card(self) -> dict[str, Any]:
        return {**super().card(), "modalities": list(self.modalities)}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of forty tones."""
    tmp_path = tmp_path_factory.mktemp("sounds")
    lines = ["id,audio,caption"]
    for number in range(40):
        wave = np.sin(2 * np.pi * (200 + 20 * number) * np.arange(800) / 8000) * (number % 5 + 1) / 5
        wavfile.write(tmp_path / f"{number}.wav", 8000, (wave * 2**14).astype(np.int16))
        lines.append(f"p{number},{number}.wav,a tone of {'high' if number > 20 else 'low'} pitch {number}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    run = RunFolder(tmp_path / "photos")
    embed(load_pairs(f"csv:{tmp_path / 'pairs.csv'}"), HearingVLM(), run.embeddings)
    train_on(SAEConfig(6, n_features=16, k=2), run.store(), TRAINING, run.learned("sae").folder)
    score_into(run.scores, run.store(), ScoreConfig(resamples=10))
    representations(run)
    return run.folder


def test_a_run_of_sounds(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "load_vlm", lambda *args, **kwargs: HearingVLM())
    with served(sounds) as explorer:
        about = explorer.json("/api/photos")
        assert about["modalities"] == ["audio", "text"]
        assert not about["draws"]
        row = explorer.json(f"{SAE}/features")["features"][0]["feature"]
        explorer.json(f"{SAE}/features/{row}")
        status, headers, data = explorer.ask("/media/photos/0")
        assert (status, headers["content-type"], data[:4]) == (200, "audio/wav", b"RIFF")
        own = explorer.json("/api/photos/text", {"text": "a tone"})["key"]
        assert len(explorer.json(f"{SAE}/own/{own}")["nearest"]["image"]) == 8
        assert "give it a sentence" in explorer.refused("/api/photos/picture", b"x")[1]
        asked = {"label": "text", "gain": 0, "side": "image", "row": 0}
        if explorer.json(f"{SAE}/features?label=text")["total"] == 0:
            asked["features"] = [row]
        assert explorer.json(f"{SAE}/steer", asked)["rank"]["before"] >= 1
        assert "Nothing draws" in explorer.refused(f"{SAE}/drawn", asked)[1]


@pytest.mark.browser
def test_sounds_play_beside_the_links_to_their_pairs(sounds: Path, tmp_path: Path) -> None:
    with served(sounds) as explorer, chromium(tmp_path / "profile", 390) as browser:
        page = Page(browser, explorer)
        rows = explorer.json(f"{SAE}/features?sort=rate_image&descending=1")["features"]
        for view in (f"feature/{rows[0]['feature']}", "pair/0"):
            page.open(view)
            players = browser.driver.find_elements("css selector", "main audio")
            assert players, view
            assert browser.driver.find_elements("css selector", "a audio") == []
            assert browser.driver.execute_async_script(PLAY, players[0]) == pytest.approx(0.1)
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
            assert browser.driver.find_elements("id", "own-picture") == []
        page.open("map?colour=verdict")  # the run is not interpreted
        page.until(lambda: "None has a verdict." in page.text(".legend"))
        page.open("features")
        assert "Fires, sounds" in browser.driver.page_source
        assert browser.complaints() == []
