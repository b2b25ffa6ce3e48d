"""The overview and the chapters in a real browser, on a report of five sets of features with long names."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modalens.report import DictionaryBaseline, ReportData, write_report
from tests.browser import Browser, chromium
from tests.galleries import make_gallery, make_samples
from tests.interpreted import make_interpreted
from tests.report.test_learned import features

pytestmark = pytest.mark.browser

SETS = (
    "SAE",
    "topk-n1024-k32",
    "NCL",
    "matryoshka autoencoder of the second seed",
    "archetypal, from k-means centres",
)
# Texts over a panel (titles are the larger ones) that lie on one another, in pictures that are shown.
OVERLAPS = """[...document.querySelectorAll('.figure svg')].filter((each) => each.checkVisibility()).flatMap((svg) => {
  const texts = [...svg.querySelectorAll('text')].filter((each) => each.textContent.trim());
  const boxes = texts.map((each) => [each.textContent, each.getBoundingClientRect()]);
  return boxes.flatMap(([a, x], at) => boxes.slice(at + 1).filter(([b, y]) =>
    Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1 &&
    Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 3).map(([b]) => `${a} | ${b}`));
})"""


@pytest.fixture(scope="module")
def page(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five sets of features on an encoder and two twins, the first with two dictionary baselines and other seeds."""
    found, meant = features("SAE", 0.5, 0), make_interpreted("SAE", steps=(1, 2))
    learned = [dataclasses.replace(found, name=name) for name in SETS]
    main = dataclasses.replace(
        data.main,
        learned=learned,
        interpreted=[dataclasses.replace(meant, name=name) for name in ("Raw", *SETS)],
        dictionaries=[
            DictionaryBaseline(
                "SAE",
                dataclasses.replace(found, name=f"SAE, {kind}"),
                dataclasses.replace(meant, name=f"SAE, {kind}"),
            )
            for kind in ("frozen decoder", "PCA")
        ],
    )
    twins = [
        dataclasses.replace(each, name=name, learned=learned, interpreted=[meant])
        for each, name in zip(data.baselines, ("Untrained twin", "Learnt-temperature twin"), strict=True)
    ]
    samples = make_samples()
    sae = make_gallery(samples, "SAE", 30)
    cards = [dataclasses.replace(each, found=each.feature // 3 % 3, seeds=2) for each in sae.cards]
    whole = dataclasses.replace(
        data,
        main=main,
        baselines=twins,
        galleries=[make_gallery(samples, "Raw", 30, seed=1), dataclasses.replace(sae, cards=cards)],
        previews=samples,
    )
    return write_report(whole, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chrome: Browser, page: Path) -> Iterator[Browser]:
    """The browser on the page; whatever the test did, nothing was logged and nothing asked for."""
    chrome.resize(1280, 900)
    chrome.prefer(prefers_reduced_motion="reduce")
    chrome.complaints(), chrome.requests()
    chrome.open(page)
    yield chrome
    assert chrome.complaints() == []
    assert chrome.requests() == []


def ask(browser: Browser, expression: str, *values: Any) -> Any:
    return browser.driver.execute_script(f"return {expression}", *values)


def opened(browser: Browser) -> list[str]:
    return ask(browser, "[...document.querySelectorAll('details.chapter[open]')].map((each) => each.id)")


def test_the_overview_fits_one_screen_and_chapters_are_closed(browser: Browser, page: Path) -> None:
    assert ask(browser, "document.getElementById('overview').getBoundingClientRect().bottom") <= 900
    assert ask(browser, "document.documentElement.scrollHeight") < 2600
    assert opened(browser) == []
    gists = ask(browser, "[...document.querySelectorAll('.chapter > summary p')].length")
    assert gists >= ask(browser, "document.querySelectorAll('.chapter').length") - 1
    rows = ask(browser, "[...document.querySelectorAll('.sets tbody tr')].map((each) => each.offsetHeight)")
    assert len(rows) == 6
    assert max(rows) < 40, "a set of features has one line"


@pytest.mark.parametrize("width", [1280, 390])
def test_no_title_lies_on_another(browser: Browser, page: Path, width: int) -> None:
    browser.resize(width, 900)
    browser.open(page)
    ask(browser, "document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert ask(browser, OVERLAPS) == []
    assert ask(browser, "document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("fragment", "chapter", "element"),
    [
        ("#gap", "gap", "#gap"),
        ("#what-r-is", "setup", "#what-r-is"),
        ("#term-mono", "glossary", "#term-mono"),
        ("#feature-6", "gallery", "#feature-6"),
        ("#features/SAE/6", "gallery", "#feature-6"),
        ("#features/Raw/text", "gallery", "#gallery-title"),
    ],
)
def test_an_address_opens_its_chapter(
    browser: Browser, page: Path, fragment: str, chapter: str, element: str
) -> None:
    browser.open(page, fragment)
    assert opened(browser) == [f"chapter-{chapter}"]
    assert ask(browser, "document.querySelector(arguments[0]).checkVisibility()", element)
    top = ask(browser, "document.querySelector(arguments[0]).getBoundingClientRect().top", element)
    assert -5 < top < 900
    browser.driver.find_element("css selector", f"#chapter-{chapter} > summary").send_keys("\ue007")
    assert opened(browser) == [], "the keyboard closes it"


def test_stable_features_come_first(browser: Browser, page: Path) -> None:
    browser.open(page, "#gallery")
    assert ask(browser, "document.getElementById('gallery-title').textContent") == "ImgD features of SAE"
    found = ask(browser, "[...document.querySelectorAll('.card .seeds')].map((each) => each.textContent)")
    assert found[0].startswith("Found again in")
    alone = [each.startswith("No other") for each in found]
    assert alone == sorted(alone)
    assert "at least half of the other seeds" in ask(
        browser, "document.getElementById('gallery-status').textContent"
    )


def test_a_feature_has_a_link_to_copy(browser: Browser, page: Path) -> None:
    browser.open(page, "#features/SAE/6")
    ask(
        browser,
        "void Object.defineProperty(navigator, 'clipboard', {value: {writeText: (text) => { window.copied = text }}})",
    )
    browser.driver.find_element("css selector", ".card .copy").click()
    assert ask(browser, "window.copied") == f"{page.resolve().as_uri()}#features/SAE/6"
    assert ask(browser, "document.querySelector('.card .copy').textContent") == "Copied"


def test_terms_lead_to_the_glossary(browser: Browser) -> None:
    links = ask(
        browser,
        "[...document.querySelectorAll('#overview a.term')].map((each) => [each.textContent, each.hash])",
    )
    assert ["Mono", "#term-mono"] in links
    assert len({target for _, target in links}) == len(links), "each once"
    assert ask(
        browser,
        "[...document.querySelectorAll('a.term')].every((each) => document.querySelector(each.hash) && each.title)",
    )
    browser.driver.find_element("css selector", "#overview a.term").click()
    assert opened(browser) == ["chapter-glossary"]


def test_all_chapters_open_at_once_and_in_print(browser: Browser) -> None:
    count = ask(browser, "document.querySelectorAll('.chapter').length")
    button = browser.driver.find_element("id", "open-all")
    button.click()
    assert len(opened(browser)) == count
    button.click()
    assert opened(browser) == []
    ask(browser, "dispatchEvent(new Event('beforeprint'))")
    assert len(opened(browser)) == count
    ask(browser, "dispatchEvent(new Event('afterprint'))")
    assert opened(browser) == []
