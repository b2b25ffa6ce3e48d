"""The whole report in a real browser: galleries, meaning and studies on one page that is quiet, offline and safe."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modalens.report import ReportData, Sample, StudyOf, write_report
from modalens.report.cards import Gallery
from modalens.studies.result import Picture, StudyResult
from tests.browser import Browser, chromium
from tests.galleries import SCRIPT, make_gallery, make_samples, square, with_sample, with_texts
from tests.interpreted import make_interpreted

pytestmark = pytest.mark.browser

IMAGE = "<img src=x onerror=alert(2)>"
LINK = "</script><a href='javascript:alert(3)'>closing</a>"
STRANGE = {"script": SCRIPT, "image": f"{IMAGE} strange", "closing": LINK}
WIDE = "unbroken" * 60


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    """Feature 0 comes first of its class, and its strongest samples of both sides are the strange ones."""
    sae = make_gallery(make_samples(), f"SAE {IMAGE}", 30, seed=1)
    first = sae.cards[0]
    images, texts = first.top_images, first.top_texts
    for name in STRANGE:
        images, texts = with_sample(images, name), with_sample(texts, name)
    first = dataclasses.replace(first, top_images=images, top_texts=texts, mono_image=5.0)
    return dataclasses.replace(sae, note=f"Features {SCRIPT}", cards=[first, *sae.cards[1:]])


@pytest.fixture(scope="module")
def page(data: ReportData, gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = pd.DataFrame(
        {"word": list(STRANGE.values()), "score": [0.5, 0.25, float("nan")], WIDE: [1, 2, 3]}
    ).assign(score_low=0.1, score_high=0.9)
    study = StudyResult(
        "words",
        f"Words {SCRIPT}",
        {"words": table},
        [f"The word {SCRIPT} is first."],
        {},
        pictures={"strip": Picture(square((9, 9, 9), 40), SCRIPT)},
    )
    main = dataclasses.replace(data.main, interpreted=[make_interpreted(f"SAE {IMAGE}", steps=(1, 2))])
    twin = dataclasses.replace(
        data.baselines[0], interpreted=[make_interpreted(f"SAE {IMAGE}", meaningful=False)]
    )
    whole = dataclasses.replace(
        data,
        main=main,
        baselines=[twin, *data.baselines[1:]],
        samples=[Sample(name, data.samples[0].preview, text) for name, text in STRANGE.items()],
        studies=[StudyOf("SAE", each.name, study) for each in (main, twin)],
        galleries=[gallery],
        previews=with_texts(make_samples(), STRANGE) | {"script": (square((1, 2, 3)), SCRIPT)},
    )
    return write_report(whole, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chrome: Browser, page: Path) -> Iterator[Browser]:
    """The browser on the page; whatever the test did, nothing was logged, asked for or announced."""
    from selenium.common.exceptions import NoAlertPresentException

    chrome.resize(1280, 900)
    chrome.prefer(prefers_reduced_motion="reduce")
    chrome.complaints(), chrome.requests()
    chrome.open(page)
    yield chrome
    with pytest.raises(NoAlertPresentException):
        chrome.driver.switch_to.alert.accept()
    assert chrome.complaints() == []
    assert chrome.requests() == []


def ask(browser: Browser, expression: str, *values: Any) -> Any:
    return browser.driver.execute_script(f"return {expression}", *values)


def until(holds: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError(f"after 10 seconds still not: {what}")


def texts(browser: Browser, selector: str) -> list[str]:
    return ask(
        browser, "[...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", selector
    )


def features(browser: Browser) -> list[int]:
    return [int(name.removeprefix("Feature ")) for name in texts(browser, ".card h4")]


def test_every_part_of_the_page_is_alive(browser: Browser, page: Path) -> None:
    assert ask(browser, "document.querySelector('.browse').hidden") is False
    assert ask(browser, "document.getElementById('feature-tools').hidden") is False
    order = ask(browser, "[...document.querySelectorAll('.chapter > section[id]')].map((each) => each.id)")
    assert {"gallery", "meaning", "study-words"} <= set(order)
    for anchor in ("meaning", "study-words"):
        browser.driver.find_element("id", f"chapter-{anchor}").find_element("css selector", "summary").click()
        assert ask(browser, "document.getElementById(arguments[0]).checkVisibility()", anchor)
        browser.open(page, f"#{anchor}")
        assert (
            0
            < ask(browser, "document.getElementById(arguments[0]).getBoundingClientRect().top", anchor)
            < 450
        )
    assert features(browser)  # the galleries keep what they showed while one reads on


def test_search_finds_strange_captions_and_plain_ones(browser: Browser, page: Path, gallery: Gallery) -> None:
    browser.open(page, "#gallery")
    for words, expected in (("strange", [0]), ("alert", [0]), ("dog", None)):
        field = browser.driver.find_element("id", "gallery-search")
        field.clear()
        field.send_keys(words)
        until(lambda words=words: texts(browser, "#gallery-title")[0].startswith(f"“{words}”"), words)
        if expected is None:
            captions = {name: text.lower().split() for name, (_, text) in make_samples().items()}
            expected = [
                card.feature
                for card in gallery.cards
                if any("dog" in captions.get(name, ()) for name, _ in card.top_texts)
            ]
            assert len(expected) > 3
        assert texts(browser, "#gallery-status")[0].startswith(f"{len(expected)} feature")
        shown = features(browser)
        assert len(shown) == min(24, len(expected))
        assert set(shown) <= set(expected)


def test_strange_words_are_text_wherever_they_stand(browser: Browser, page: Path) -> None:
    browser.open(page, f"#features/SAE%20{'%3Cimg%20src%3Dx%20onerror%3Dalert(2)%3E'}/0")
    assert set(STRANGE.values()) <= set(texts(browser, ".card .lines span"))
    assert SCRIPT in texts(browser, ".about")[0]
    alts = ask(browser, "[...document.querySelectorAll('.card img')].map((each) => each.alt)")
    assert SCRIPT in alts
    assert set(STRANGE.values()) <= set(texts(browser, "#study-words tbody th, #study-words tbody td"))
    assert texts(browser, "#study-words-h") == [f"Words {SCRIPT}"]
    assert f"The word {SCRIPT} is first." in texts(browser, "#study-words li")
    assert texts(browser, "#study-words figcaption") == [f"SAE: {SCRIPT}"] * 2
    assert any(f"SAE {IMAGE}" in each for each in texts(browser, "#meaning tbody th"))
    assert texts(browser, ".samples span") == list(STRANGE.values())
    assert ask(browser, "document.querySelectorAll('[onerror], a[href^=javascript], img[src=x]').length") == 0
    scripts = ask(browser, "[...document.scripts].filter((each) => each.type !== 'application/json').length")
    assert scripts == 3


def test_studies_and_meaning_of_baselines_unfold(browser: Browser, page: Path) -> None:
    for section in ("meaning", "study-words"):
        browser.open(page, f"#{section}")
        hidden = f"#{section} details table"
        assert ask(browser, "document.querySelector(arguments[0]).checkVisibility()", hidden) is False
        browser.driver.find_element("css selector", f"#{section} details:has(table) summary").click()
        assert ask(browser, "document.querySelector(arguments[0]).checkVisibility()", hidden) is True
    ask(browser, "document.querySelector('#study-words details img').scrollIntoView()")
    until(
        lambda: ask(browser, "document.querySelector('#study-words details img').naturalWidth") == 40,
        "the picture of a study",
    )


def test_missing_numbers_are_dashes(browser: Browser) -> None:
    cells = texts(browser, "#study-words tbody td")
    assert "—0.100 to 0.900" in cells
    assert not any(word in cell for cell in cells for word in ("nan", "None"))


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(browser: Browser, page: Path, width: int) -> None:
    browser.resize(width, 800)
    browser.open(page)
    ask(browser, "document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert ask(browser, "document.documentElement.scrollWidth") <= width
