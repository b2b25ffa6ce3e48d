"""The explorer in a real browser: every view, at desk and phone width, light and dark, quiet and offline."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import Browser, chromium
from tests.explore.conftest import Explorer
from tests.small_run import SCRIPT

pytestmark = pytest.mark.browser

VIEWS = (
    "features",
    "feature/{feature}",
    "pair/{row}",
    "map",
    "steer?features={feature}&row={row}",
    "compare",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


class Page:
    """The explorer's page in a browser."""

    def __init__(self, browser: Browser, explorer: Explorer) -> None:
        self.browser, self.explorer, self.driver = browser, explorer, browser.driver

    def open(self, view: str) -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{self.explorer.address}#/photos/sae/{view}")
        self.until(self.is_quiet)

    def is_quiet(self) -> bool:
        return bool(
            self.driver.execute_script(
                "return Boolean(document.querySelector('h1')) && !document.querySelector('main[aria-busy]')"
                " && !document.querySelector('.wait:not(:empty)')"
            )
        )

    def until(self, there: Callable[[], object]) -> None:
        end = time.monotonic() + 120
        while not there():
            assert time.monotonic() < end, self.text("body")
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        return str(
            self.driver.execute_script(
                "return [...document.querySelectorAll(arguments[0])].map(each => each.innerText).join('\\n')",
                selector,
            )
        )

    def click(self, selector: str) -> None:
        self.driver.execute_script("document.querySelector(arguments[0]).click()", selector)

    def type(self, selector: str, text: str) -> None:
        field = self.driver.find_element("css selector", selector)
        field.clear()
        field.send_keys(text)


@pytest.fixture
def page(browser: Browser, explorer: Explorer) -> Iterator[Page]:
    browser.complaints()
    browser.requests()
    yield Page(browser, explorer)
    assert browser.complaints() == []
    away = [url for url in browser.requests() if f"127.0.0.1:{explorer.port}" not in url]
    assert away == []


def _split(explorer: Explorer) -> int:
    """A feature with a partner, split if there is one."""
    rows = explorer.json("/api/photos/sae/features?sort=verdict")["features"]
    rows = [row for row in rows if row["verdict"] and row["partner"] >= 0]
    return int(next((row for row in rows if row["verdict"] == "split"), rows[0])["feature"])


def test_a_walk(page: Page, explorer: Explorer, tmp_path: Path) -> None:
    page.open("features")
    assert page.text("h1") == "16 features of sae"
    # a sentence of one's own, then a picture
    page.type("#own-text", "[red] tea")
    page.click(".own-search button")
    page.until(lambda: "tea" in page.text("h1"))
    assert "Energy by class" in page.text("figcaption")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    page.driver.find_element("id", "own-picture").send_keys(str(tmp_path / "red.png"))
    page.until(lambda: page.text("h1") == "Your picture")
    assert "Beside “[red] tea”" in page.text("h2")
    # a feature by its address, and its partner
    feature = _split(explorer)
    page.open(f"feature/{feature}")
    assert page.text("h1") == f"Feature {feature}"
    partner = explorer.json(f"/api/photos/sae/features/{feature}")["partner"]
    page.click(".halves .half:last-child h3 a")
    page.until(lambda: page.text("h1") == f"Feature {partner}")
    # its rating
    page.type("#rater", "Ada")
    page.click("[data-answer=both]")
    page.until(lambda: "Kept" in page.text(".rating"))
    assert list(explorer.run.glob("annotation/explore-sae-*/answers-*.json"))
    # steering changes what is retrieved
    page.open("steer?label=text&gain=0&side=text")
    page.click(".steer-form .main")
    page.until(lambda: "Rank of the right one" in page.text(".steered"))
    assert page.text(".steered .sides section:first-child ul") != page.text(
        ".steered .sides section:last-child ul"
    )
    # the untrained twin
    page.open("compare")
    page.until(lambda: "live features are matched" in page.text(".result"))
    assert "photos / untrained" in page.text("form.filters")


def test_hostile_captions_stay_text(page: Page, explorer: Explorer) -> None:
    rows = [
        explorer.json(f"/api/photos/sae/pairs?place={place}")["row"]
        for place in range(explorer.json("/api/photos/sae/pairs?place=0")["of"])
    ]
    row = next(row for row in rows if explorer.json(f"/api/photos/sae/pairs/{row}")["caption"] == SCRIPT)
    page.open(f"pair/{row}")
    assert SCRIPT in page.text(".shown")
    assert page.driver.execute_script("return document.scripts.length") == 1


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits(page: Page, browser: Browser, explorer: Explorer, width: int, scheme: str) -> None:
    row = explorer.json("/api/photos/sae/pairs?place=0")["row"]
    feature = _split(explorer)
    browser.resize(width, 900 if width > 500 else 844)
    browser.prefer(prefers_color_scheme=scheme)
    try:
        for view in VIEWS:
            page.open(view.format(row=row, feature=feature))
            assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width, view
            nameless = page.driver.execute_script(
                "return [...document.querySelectorAll('button, a, input, select, canvas, img, audio')].filter(each =>"
                " !(each.innerText || each.ariaLabel || each.alt || each.labels?.length || each.title)"
                ").map(each => each.outerHTML)"
            )
            assert nameless == [], view
        ground = page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(15, 18, 22)") == (scheme == "dark")
    finally:
        browser.resize(1280, 900)
        browser.prefer(prefers_color_scheme="light")


def test_a_page_without_the_token_reads_and_says_what_it_may_not(
    browser: Browser, explorer: Explorer
) -> None:
    page = Page(browser, explorer)
    browser.driver.get("about:blank")
    browser.driver.get(f"http://127.0.0.1:{explorer.port}/#/photos/sae/features")
    page.until(page.is_quiet)
    assert page.text("h1") == "16 features of sae"
    page.type("#own-text", "tea")
    page.click(".own-search button")
    page.until(lambda: "token" in page.text("#notice"))
    browser.complaints()  # the refusal itself
