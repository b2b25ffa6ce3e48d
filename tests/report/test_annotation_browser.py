"""The annotation page in a real browser: a rater answers, takes back, comes again and saves."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from modalens.report.annotation import write_annotation
from modalens.report.cards import FeatureCard, Gallery
from modalens.studies.rater_agreement.answers import load_key, load_sheets
from tests.browser import Browser, chromium

pytestmark = pytest.mark.browser

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
FEATURES = 6


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        browser.driver.get("about:blank")
        browser.requests()  # the first empty tab's own
        yield browser


@pytest.fixture
def page(tmp_path: Path, browser: Browser) -> Path:
    samples = {}
    for number in range(12):
        buffer = io.BytesIO()
        Image.new("RGB", (24, 16), (20 * number, 90, 200)).save(buffer, "PNG")
        samples[f"s{number}"] = (buffer.getvalue(), EVIL if number == 0 else f"caption {number}")
    cards = [
        FeatureCard(
            feature=number,
            label=("image", "cross", "text")[number % 3],
            score=0.5,
            top_images=[(f"s{number}", 1.0)],
            top_texts=[("s0", 1.0)],
        )
        for number in range(FEATURES)
    ]
    written = write_annotation(
        Gallery("SAE", "", ("image", "text"), "twofold", cards), samples, tmp_path / "page", top=4
    )
    downloads = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    browser.open(written)
    browser.driver.execute_script("localStorage.clear()")
    browser.open(written)
    return written


def text(browser: Browser, selector: str) -> str:
    return browser.driver.find_element("css selector", selector).text


def press(browser: Browser, keys: str) -> None:
    for key in keys:
        browser.driver.find_element("css selector", "body").send_keys(key)


def click(browser: Browser, selector: str) -> None:
    browser.driver.find_element("css selector", selector).click()


def saved(folder: Path) -> Path:
    for _ in range(100):
        if files := list(folder.glob("answers-*.json")):
            return files[0]
        time.sleep(0.05)
    raise AssertionError("nothing was saved")


def test_a_rater_answers_everything_and_saves(browser: Browser, page: Path, tmp_path: Path) -> None:
    press(browser, "12")
    click(browser, "button[value=both]")
    press(browser, "4")
    assert text(browser, "#item-title") == f"Feature 5 of {FEATURES}"
    press(browser, "u")
    assert text(browser, "#item-title") == f"Feature 4 of {FEATURES}"
    browser.open(page)
    assert text(browser, "#item-title") == f"Feature 4 of {FEATURES}"
    press(browser, "119")  # there is no ninth answer
    click(browser, "#save")
    assert "Write your name first" in text(browser, "#status")
    browser.driver.find_element("id", "rater").send_keys("Ada 12 u")
    assert text(browser, "#item-title") == f"Feature 6 of {FEATURES}"  # typing a name answers nothing
    click(browser, "button[value=neither]")
    assert text(browser, "#done-title") == f"All {FEATURES} features are answered"
    assert not browser.driver.find_element("id", "item").is_displayed()
    click(browser, "#save")
    (sheet,) = load_sheets([saved(tmp_path)])
    assert sheet.rater == "Ada 12 u"
    assert list(sheet.answers.values()) == ["image", "text", "both", "image", "image", "neither"]
    assert load_key(page.parent / "key.json", [sheet]).features.keys() == sheet.answers.keys()
    assert browser.complaints() == []
    assert browser.requests() == []


def test_samples_are_shown_and_captions_stay_text(browser: Browser, page: Path) -> None:
    images = browser.driver.find_elements("css selector", "#previews img")
    assert len(images) == 4
    assert all(image.get_property("naturalWidth") == 24 for image in images)
    texts = [entry.text for entry in browser.driver.find_elements("css selector", "#texts li")]
    assert len(texts) == 4
    assert EVIL in texts
    assert browser.driver.execute_script("return document.scripts.length") == 2
    assert browser.complaints() == []


def test_it_fits_a_phone(browser: Browser, page: Path) -> None:
    browser.resize(390, 844)
    try:
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
        bar = browser.driver.find_element("css selector", ".choices").rect
        assert bar["height"] < 170
    finally:
        browser.resize(1280, 900)


def test_damaged_progress_is_forgotten(browser: Browser, page: Path) -> None:
    place = "modalens-annotation-" + json.loads((page.parent / "key.json").read_text())["page"]
    for kept in ('{"answers": ["image", "maybe"]}', "not json", "[]", "3", '{"answers": 5, "rater": 6}'):
        browser.driver.execute_script("localStorage.setItem(arguments[0], arguments[1])", place, kept)
        browser.open(page)
        assert text(browser, "#item-title") == f"Feature 1 of {FEATURES}"
        press(browser, "1")
        assert text(browser, "#item-title") == f"Feature 2 of {FEATURES}"
    assert browser.complaints() == []
