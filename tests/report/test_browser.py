"""The galleries in a real browser: quiet, offline, searchable, usable by keyboard, and safe with any caption."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from modalens.report.cards import Gallery
from tests.browser import Browser, chromium
from tests.galleries import (
    SCRIPT,
    WORDS,
    build_gallery,
    make_gallery,
    make_samples,
    page_around,
    with_sample,
    with_texts,
)

pytestmark = pytest.mark.browser

STRANGE = {
    "script": SCRIPT,
    "closing": "</script><img src=x onerror=alert(2)><b>closing</b>",
    "rtl": "\u202eright to left \u2028 שלום",
    "long": "unbroken" * 250,
    "german": "Die Straße über Ärzte",
    "combined": "nai\u0308ve cafe\u0301",
    "hindi": "हिन्दी में",
    "ligature": "ﬁnally 日本語",
}


# What stands over the samples of each side, card by card.
HEADINGS = "[...document.querySelectorAll('.side h5 span')].map((each) => each.textContent)"


@pytest.fixture(scope="module")
def galleries() -> list[Gallery]:
    samples = make_samples()
    sae = make_gallery(samples, "SAE", seed=1)
    top = sae.cards[0].top_texts
    for name in STRANGE:
        top = with_sample(top, name)
    # Feature 0 comes first of its class, and its strongest texts are the strange ones.
    cards = [replace(sae.cards[0], top_texts=top, mono_image=5.0), *sae.cards[1:]]
    return [make_gallery(samples, "Raw/256 dims", 30, signed=True), replace(sae, cards=cards)]


@pytest.fixture(scope="module")
def page(galleries: list[Gallery], tmp_path_factory: pytest.TempPathFactory) -> Path:
    style = files("modalens.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    part = build_gallery(galleries, with_texts(make_samples(), STRANGE))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page_around(part, style), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chrome: Browser) -> Iterator[Browser]:
    """The browser; whatever the test did, nothing was logged and nothing left the page."""
    chrome.resize(1280, 900)
    chrome.prefer(prefers_reduced_motion="reduce")  # or a click aims at where a link was before the page slid
    chrome.complaints(), chrome.requests()
    yield chrome
    assert chrome.complaints() == []
    assert chrome.requests() == []


def ask(browser: Browser, expression: str, *values: Any) -> Any:
    return browser.driver.execute_script(f"return {expression}", *values)


def until(holds: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError(f"after 5 seconds still not: {what}")


def type_into(browser: Browser, text: str) -> None:
    browser.driver.switch_to.active_element.send_keys(text)


def cards(browser: Browser) -> list[int]:
    names = ask(browser, "[...document.querySelectorAll('.card h4')].map((each) => each.textContent)")
    return [int(name.removeprefix("Feature ")) for name in names]


def title(browser: Browser) -> str:
    return ask(browser, "document.getElementById('gallery-title').textContent")


def status(browser: Browser) -> str:
    return ask(browser, "document.getElementById('gallery-status').textContent")


def search(browser: Browser, words: str) -> None:
    field = browser.driver.find_element("id", "gallery-search")
    field.clear()
    field.send_keys(words)
    until(lambda: title(browser).startswith(f"“{words}”"), f"results for {words}")


def test_the_harness_sees_errors_and_requests(chrome: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>missing()</script>", encoding="utf-8")
    chrome.open(bad)
    assert until(chrome.requests, "a request") == ["http://127.0.0.1:9/x.png"]
    assert any("missing is not defined" in each for each in until(chrome.complaints, "a complaint"))


def test_shows_a_class_with_pictures(browser: Browser, page: Path, galleries: list[Gallery]) -> None:
    browser.open(page, "#features/SAE/image")
    assert title(browser) == "ImgD features of SAE"
    owned = [card for card in galleries[1].cards if card.label == "image"]
    expected = [card.feature for card in sorted(owned, key=lambda card: -card.mono_image)]
    assert cards(browser) == expected[:24]
    assert status(browser) == f"{len(owned)} features, highest Mono on the image side first; 24 shown."
    sizes = until(
        lambda: ask(
            browser, "[...document.querySelectorAll('.card:first-child img')].map((i) => i.naturalWidth)"
        ),
        "pictures",
    )
    assert set(sizes[:8]) == {16}
    caption = ask(browser, "document.querySelector('.card figcaption').innerText")
    assert re.search(r"fires for \d+ of \d+ images and \d+ of \d+ texts", caption)
    assert ask(browser, f"{HEADINGS}[0]") == "image"
    browser.driver.find_element("css selector", ".more button").click()
    assert cards(browser) == expected
    assert ask(browser, "document.activeElement.getAttribute('aria-labelledby')") == f"feature-{expected[24]}"
    assert ask(browser, "document.querySelector('.more').hidden")


def test_images_without_pictures_are_said_to_be_shown_by_their_texts(
    browser: Browser, galleries: list[Gallery], tmp_path: Path
) -> None:
    gone = {name: (None, text) for name, (_, text) in make_samples().items()}
    path = tmp_path / "gone.html"
    path.write_text(page_around(build_gallery(galleries, with_texts(gone, STRANGE)), ""), encoding="utf-8")
    browser.open(path, "#features/SAE/image")
    assert ask(browser, HEADINGS)[:2] == ["image, shown by its text", "text"]


def test_pictures_wait_until_their_card_is_near(browser: Browser, page: Path) -> None:
    browser.open(page, "#features/SAE/image")
    last = "document.querySelector('.cards > li:last-child img')"
    until(lambda: ask(browser, "document.querySelector('.card img').src"), "a first picture")
    assert not ask(browser, f"{last}.hasAttribute('src')")
    ask(browser, f"{last}.scrollIntoView()")
    until(lambda: ask(browser, f"{last}.naturalWidth") == 16, "the last picture")


def test_search_finds_features_by_their_strongest_texts(
    browser: Browser, page: Path, galleries: list[Gallery]
) -> None:
    texts = {name: text.lower().split() for name, (_, text) in make_samples().items()}

    def ranked(*prefixes: str) -> list[int]:
        found = []
        for card in galleries[1].cards:
            ranks = [
                rank
                for rank, (name, _) in enumerate(card.top_texts[:12])
                if all(any(word.startswith(prefix) for word in texts.get(name, ())) for prefix in prefixes)
            ]
            own = {"image": card.mono_image, "text": card.mono_text}
            mono = own.get(card.label, (card.mono_image + card.mono_text) / 2)
            if ranks:
                found.append((-len(ranks), sum(ranks), -mono if mono == mono else 9, card.feature))
        return [feature for *_, feature in sorted(found)]

    browser.open(page, "#features/SAE/cross")
    for words in ("dog", "b", "bea", "dog snow", "DOG", "snow  dog"):
        expected = ranked(*words.lower().split())
        assert expected
        search(browser, words.strip())
        assert cards(browser) == expected[:24], words
        assert status(browser).startswith(f"{len(expected)} feature")
    marks = ask(browser, "[...document.querySelectorAll('.lines mark')].map((each) => each.textContent)")
    assert set(marks) == {"dog", "snow"}
    search(browser, "nothing-like-it")
    assert cards(browser) == []
    assert status(browser).startswith("0 features")


@pytest.mark.parametrize(
    "word", ["straße", "STRASSE", "ärz", "naïve", "cafe\u0301", "हिन्दी", "finally", "日本", "alert"]
)
def test_search_splits_words_as_the_index_does(browser: Browser, page: Path, word: str) -> None:
    browser.open(page, "#features/SAE/image")
    search(browser, word)
    # ß is a letter of its own: its capital form is another word.
    assert cards(browser) == ([] if word == "STRASSE" else [0])


def test_captions_are_text_and_nothing_else(browser: Browser, page: Path) -> None:
    from selenium.common.exceptions import NoAlertPresentException

    browser.open(page, "#features/SAE/0")
    shown = ask(
        browser, "[...document.querySelectorAll('.card .lines span')].map((each) => each.textContent)"
    )
    assert set(STRANGE.values()) <= set(shown)
    assert SCRIPT in browser.driver.find_element("css selector", ".card").text
    assert ask(browser, "document.querySelectorAll('.card script, .card [onerror], .lines b').length") == 0
    search(browser, "script")
    assert SCRIPT in browser.driver.find_element("css selector", ".card").text
    with pytest.raises(NoAlertPresentException):
        browser.driver.switch_to.alert.accept()


def test_a_feature_stands_beside_its_other_half(
    browser: Browser, page: Path, galleries: list[Gallery]
) -> None:
    split = next(card for card in galleries[1].cards if card.verdict == "split" and card.partner > 0)
    browser.open(page, f"#features/SAE/{split.feature}")
    assert cards(browser) == [split.feature, split.partner]
    assert f"Split: its other half is text feature {split.partner}" in ask(
        browser, "document.querySelector('.verdict').textContent"
    )
    lefts = ask(
        browser, "[...document.querySelectorAll('.card')].map((each) => each.getBoundingClientRect().left)"
    )
    assert lefts[0] < lefts[1]
    browser.open(page, "#features/SAE/1")  # a cross-modal feature has no other half
    assert cards(browser) == [1]
    near = [feature for feature, _ in galleries[1].cards[1].neighbours]
    browser.driver.find_element("css selector", ".near a").click()
    until(lambda: cards(browser)[0] == near[0], "its nearest feature")


def test_back_returns_to_the_card_one_came_from(browser: Browser, page: Path) -> None:
    browser.open(page, "#features/SAE/text")
    seen = cards(browser)
    browser.driver.find_element("css selector", ".more button").click()
    link = browser.driver.find_elements("css selector", ".card h4 a")[25]
    feature = link.text
    ask(browser, "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", link)
    y = ask(browser, "scrollY")
    link.click()
    until(lambda: title(browser) == f"{feature} of SAE", "the feature")
    assert ask(browser, "document.activeElement.id") == "gallery-title"
    assert ask(browser, "document.querySelector('.picks').getBoundingClientRect().top") >= 0
    browser.driver.back()
    until(lambda: title(browser) == "TextD features of SAE", "the class")
    assert len(cards(browser)) > 25
    assert cards(browser)[:24] == seen
    until(lambda: abs(ask(browser, "scrollY") - y) < 2, "the place on the page")
    assert ask(browser, "document.activeElement.textContent") == feature
    search(browser, "dog")
    browser.driver.back()
    until(lambda: title(browser) == "TextD features of SAE", "the class again")
    assert ask(browser, "document.getElementById('gallery-search').value") == ""


def test_random_draws_repeat_by_link_and_differ_by_draw(browser: Browser, page: Path) -> None:
    draws: dict[int, list[str]] = {}
    for seed in (1, 2, 1):
        browser.open(page, f"#features/SAE/random/{seed}")
        assert draws.setdefault(seed, cards(browser)) == cards(browser)
        assert len(set(cards(browser))) == 12
    assert draws[1] != draws[2]
    browser.open(page, "#features/SAE/random/1")
    browser.driver.find_element("link text", "Draw again").click()
    until(lambda: cards(browser) == draws[2], "the second draw")
    # Every feature has the same chance: over 45 draws of 12 out of 90, each comes about 6 times.
    counts = dict.fromkeys(range(90), 0)
    for seed in range(45):
        ask(browser, "location.replace(arguments[0])", f"#features/SAE/random/{seed + 1}")
        until(lambda seed=seed: f"draw {seed + 1};" in status(browser), "the draw")
        for feature in cards(browser):
            counts[feature] += 1
    assert sum((found - 6) ** 2 / 6 for found in counts.values()) < 135  # 0.1 % point of chi-squared, 89 free


def test_every_representation_and_class_is_a_link(
    browser: Browser, page: Path, galleries: list[Gallery]
) -> None:
    browser.open(page)
    assert title(browser) == "ImgD features of Raw/256 dims"
    for name, expected in {
        "CrossD": "CrossD features of Raw/256 dims",
        "SAE": "CrossD features of SAE",
        "TextD": "TextD features of SAE",
        "Raw/256 dims": "TextD features of Raw/256 dims",
    }.items():
        browser.driver.find_element("partial link text", name).click()
        until(lambda expected=expected: title(browser) == expected, expected)
        assert ask(browser, "document.activeElement.getAttribute('aria-current')") == "true"
    current = ask(browser, "location.hash")
    browser.open(page, current)
    assert title(browser) == "TextD features of Raw/256 dims"


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("#features/SAE/99999", "Feature 99999 of SAE"),
        ("#features/Nothing/image", "ImgD features of Raw/256 dims"),
        ("#features/SAE/nonsense", "ImgD features of SAE"),
        ("#features/SAE/random/x", "Random features of SAE"),
        ("#features/%E0%A4%A/image", "ImgD features of Raw/256 dims"),
        ("#features/SAE/search/", "“” in SAE"),
        ("#gallery", "ImgD features of Raw/256 dims"),
    ],
)
def test_odd_links_still_show_something(browser: Browser, page: Path, fragment: str, expected: str) -> None:
    browser.open(page, fragment)
    assert title(browser) == expected
    assert status(browser).endswith(".")


def test_keyboard(browser: Browser, page: Path) -> None:
    focused = "document.activeElement.getAttribute('aria-labelledby')"
    browser.open(page, "#features/SAE/image")
    order = cards(browser)
    type_into(browser, "j")
    assert ask(browser, focused) == f"feature-{order[0]}"
    type_into(browser, "jj")
    assert ask(browser, focused) == f"feature-{order[2]}"
    type_into(browser, "k")
    assert ask(browser, focused) == f"feature-{order[1]}"
    type_into(browser, "\ue014")  # arrow right
    assert ask(browser, focused) == f"feature-{order[2]}"
    type_into(browser, "j" * 22)  # past the last card shown
    assert ask(browser, focused) == f"feature-{cards(browser)[24]}"
    type_into(browser, "/")
    assert ask(browser, "document.activeElement.id") == "gallery-search"
    type_into(browser, "jack")
    until(lambda: title(browser).startswith("“jack”"), "letters are typed, not keys")
    type_into(browser, "\ue00c")  # escape
    until(lambda: title(browser) == "ImgD features of SAE", "the class")


def test_tab_goes_through_controls_then_cards(browser: Browser, page: Path) -> None:
    browser.open(page, "#features/SAE/image")
    stops = []
    for _ in range(11):
        type_into(browser, "\ue004")  # tab
        stops.append(ask(browser, "document.activeElement.textContent || document.activeElement.id"))
    names = [stop.rstrip("0123456789,") for stop in stops]
    assert names[:3] == ["Raw/256 dims", "SAE", "ImgD"]
    assert names[3:8] == ["CrossD", "TextD", "Random features", "gallery-search", "How to read a card"]
    assert stops[8] == f"Feature {cards(browser)[0]}"


def test_names_for_those_who_listen(browser: Browser, page: Path) -> None:
    browser.open(page, "#features/SAE/0")
    assert ask(browser, "[...document.images].every((each) => each.alt)")
    assert ask(
        browser,
        "[...document.querySelectorAll('svg')].every((each) => each.ariaLabel.startsWith('Activations'))",
    )
    assert "95 % interval" in ask(browser, "document.querySelector('.ruler i').ariaLabel")
    ids = ask(browser, "[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
    assert ask(browser, "[...document.querySelectorAll('nav')].every((each) => each.ariaLabel)")
    assert ask(browser, "document.getElementById('gallery-search').labels.length") == 1
    assert ask(browser, "document.getElementById('gallery-status').role") == "status"


@pytest.mark.parametrize("fragment", ["image", "text", "0", "3", "random/1", f"search/{WORDS[0]}"])
def test_fits_a_phone(browser: Browser, page: Path, fragment: str) -> None:
    browser.resize(390, 800)
    browser.open(page, f"#features/SAE/{fragment}")
    assert cards(browser)
    assert ask(browser, "document.documentElement.scrollWidth") <= 390
    wide = ask(
        browser,
        "[...document.querySelectorAll('#gallery *')]"
        ".filter((each) => each.getBoundingClientRect().right > 391).length",
    )
    assert wide == 0


def test_follows_the_readers_colours(browser: Browser, page: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        browser.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        browser.open(page, "#features/SAE/image")
        seen[scheme] = ask(browser, "getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 27, 33)"}


def test_without_scripts_the_page_says_where_the_numbers_are(browser: Browser, page: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get(page.resolve().as_uri())
        shown = browser.driver.find_element("id", "gallery").text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "tables beside this page" in shown
    assert "How to read a card" not in shown
