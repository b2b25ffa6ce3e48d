"""The explorer in a real browser: every view, at desk and phone width, light and dark, quiet and offline."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from modalens.runs import ScoreConfig
from modalens.runs.layout import RunFolder
from modalens.runs.scoring import score_into
from tests.browser import Browser, chromium
from tests.explore.conftest import Explorer, served
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


# Texts whose contrast with what is behind them is under that of WCAG AA: 4.5, of large ones 3.
PALE = """
const parse = (text) => [...text.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
const channel = (value) => (value <= 10.3 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
const ground = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.unshift(parse(getComputedStyle(at).backgroundColor));
  return layers.reduce((under, layer) => over(layer, under), [255, 255, 255]);
};
const found = [];
for (const element of document.querySelectorAll('body *')) {
  const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const box = element.getBoundingClientRect();
  if (!words || element.disabled || box.width < 2 || box.right < 0) continue;
  if (element.closest('[aria-hidden], .hidden-text')) continue;
  const style = getComputedStyle(element);
  const behind = ground(element);
  const [one, other] = [light(over(parse(style.color), behind)), light(behind)].sort((a, b) => b - a);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
  const contrast = (one + 0.05) / (other + 0.05);
  if (contrast < (large ? 3 : 4.5))
    found.push(`${contrast.toFixed(2)} ${element.tagName} ${element.textContent.slice(0, 40)}`);
}
return found;
"""
# What a screen reader goes by: one heading of the first rank, names of regions, heads of tables, a title.
STRUCTURE = """
const found = [];
const every = (selector) => [...document.querySelectorAll(selector)];
if (every('h1').length !== 1) found.push(`${every('h1').length} h1`);
if (!document.documentElement.lang) found.push('no language');
if (!document.title.startsWith(document.querySelector('h1').textContent.slice(0, 20))) found.push(document.title);
const ranks = every('h1, h2, h3').map((each) => Number(each.tagName[1]));
if (ranks.some((rank, i) => i && rank - ranks[i - 1] > 1)) found.push(`ranks ${ranks}`);
for (const each of every('[role=region], [role=img], [role=application], [role=group], form, nav'))
  if (!each.ariaLabel && each.role !== 'search') found.push(`nameless ${each.outerHTML.slice(0, 80)}`);
for (const each of every('table'))
  if (!each.caption || each.querySelector('thead th:not([scope])')
      || each.querySelector('tbody tr:not(:has(th[scope=row]))'))
    found.push(each.outerHTML.slice(0, 80));
for (const each of every('main, header, nav')) if (every(each.tagName).length > 1) found.push(each.tagName);
return found;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


class Page:
    """The explorer's page in a browser."""

    def __init__(self, browser: Browser, explorer: Explorer) -> None:
        self.browser, self.explorer, self.driver = browser, explorer, browser.driver

    def open(self, view: str, of: str = "photos/sae") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{self.explorer.address}#/{of}/{view}")
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
    # a picture of it, before, after and with random features
    page.click(".draw")
    page.until(lambda: "Drawn by colours" in page.text(".drawn"))
    loaded = "return [...document.querySelectorAll('.drawn img')].map(each => each.naturalWidth > 0)"
    assert page.driver.execute_script(loaded) == [True, True, True]
    assert "the random features beside them" in page.text(".drawn")
    # the untrained twin
    page.open("compare")
    page.until(lambda: "live features are matched by" in page.text(".result"))
    assert "mean of R" in page.text(".result table")
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
            assert page.driver.execute_script(PALE) == [], (view, scheme)
            assert page.driver.execute_script(STRUCTURE) == [], view
        ground = page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(15, 18, 22)") == (scheme == "dark")
    finally:
        browser.resize(1280, 900)
        browser.prefer(prefers_color_scheme="light")


def test_by_keyboard_alone(page: Page) -> None:
    from selenium.webdriver import ActionChains, Keys

    def press(*keys: str) -> None:
        for key in keys:
            ActionChains(page.driver).send_keys(key).perform()

    def at(what: str) -> str:
        return str(page.driver.execute_script(f"return document.activeElement.{what}"))

    page.open("features")
    press(Keys.TAB)
    assert at("className") == "skip"
    press(Keys.ENTER)
    assert at("id") == "main"
    ring = (
        "const at = document.activeElement; const shown = at.type === 'file' ? at.nextElementSibling : at;"
        "return getComputedStyle(shown).outlineStyle !== 'none' && getComputedStyle(shown).outlineWidth !== '0px'"
    )
    seen = []
    while at("closest('tbody')") == "None":
        press(Keys.TAB)
        seen.append(at("name || document.activeElement.id || document.activeElement.dataset.sort"))
        assert page.driver.execute_script(ring), seen
        assert len(seen) < 40
    fields = ["own-text", "own-picture", "words", "label", "verdict", "certainty", "found", "named"]
    heads = ["feature", "label", "score", "certainty", "verdict", "mono"]
    assert [name for name in seen if name in (*fields, *heads)][: len(fields) + len(heads)] == [
        *fields,
        *heads,
    ]
    first = at("textContent")
    press(Keys.ARROW_DOWN)
    assert at("textContent") != first
    press(Keys.ARROW_UP)
    assert at("textContent") == first
    press(Keys.ENTER)
    page.until(
        lambda: page.text("h1") == f"Feature {first}" or page.text("h1").startswith(f"Feature {first} ")
    )
    assert at("id") == "main"
    page.open("map")
    page.driver.execute_script("document.querySelector('select[name=colour]').focus()")
    press(Keys.ARROW_DOWN)
    page.until(lambda: "colour=score" in page.driver.current_url and page.is_quiet())
    page.until(lambda: at("name") == "colour")
    page.driver.execute_script("document.querySelector('canvas').focus()")
    press("n", "+", Keys.ARROW_LEFT)
    assert page.text(".under-map").startswith("Feature ")
    press(Keys.ENTER)
    page.until(lambda: page.text("h1").startswith("Feature "))


def test_a_run_that_cannot_be_shown_leaves_the_way_to_another(
    browser: Browser, finished: RunFolder, tmp_path: Path
) -> None:
    for name in ("whole", "broken"):
        shutil.copytree(finished.folder, tmp_path / name)
    weights = tmp_path / "whole" / "features" / "ncl" / "ncl.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    shard = next((tmp_path / "broken").glob("embeddings/img_emb/*.npy"))
    shard.write_bytes(shard.read_bytes()[:-40])
    with served(tmp_path / "broken", tmp_path / "whole") as explorer:
        page = Page(browser, explorer)
        browser.driver.get("about:blank")
        browser.driver.get(f"{explorer.address}#/broken")
        page.until(lambda: "img_emb" in page.text("#notice"))
        assert page.text("h1") == "This cannot be shown"
        assert "whole" in page.text("#run")
        choose = "const run = arguments[0]; run.value = 'whole'; run.dispatchEvent(new Event('change'))"
        browser.driver.execute_script(choose, browser.driver.find_element("id", "run"))
        page.until(lambda: "features of sae" in page.text("h1"))
        assert page.text(".left-out summary") == "1 set of features of this run cannot be shown"
    browser.complaints()  # the refusal itself


def test_hostile_columns_and_a_hostile_folder(browser: Browser, tmp_path: Path) -> None:
    folder, n, rng = tmp_path / 'a"><img src=x onerror=alert(1)>', 30, np.random.default_rng(0)
    for part in ("img_emb", "text_emb"):
        (folder / part).mkdir(parents=True)
        np.save(folder / part / f"{part}_0.npy", rng.normal(size=(n, 6)).astype(np.float32))
    (folder / "metadata").mkdir()
    columns = {
        "caption": [SCRIPT] * n,
        "__proto__": ["x", "y"] * (n // 2),
        "constructor": [SCRIPT, None] * (n // 2),
        "": ["a", "b"] * (n // 2),
        "long": ["w" * 5000, "v"] * (n // 2),
    }
    pd.DataFrame(columns).to_parquet(folder / "metadata" / "metadata_0.parquet")
    score_into(RunFolder(folder).scores, RunFolder(folder).store(), ScoreConfig(resamples=5))
    maps = [f"map?of=pairs&colour=column%3A{name}" for name in columns if name != "caption"]
    steered = "steer?features=0&gain=0&row=1&column=long"
    browser.resize(390, 844)
    try:
        with served(folder) as explorer:
            key = explorer.json("/api/runs")["runs"][0]["key"]
            page = Page(browser, explorer)
            for view in (*maps, steered, "map?colour=constructor", "constructor", "__proto__/1", "pair/1"):
                page.open(view, f"{key}/raw")
                assert page.text("#notice") == "", view
                assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390, view
                assert page.driver.execute_script("return document.scripts.length") == 1
    finally:
        browser.resize(1280, 900)
    assert browser.complaints() == []


def test_comparing_with_a_run_that_cannot_be_read_says_why(
    browser: Browser, finished: RunFolder, tmp_path: Path
) -> None:
    for name in ("whole", "broken"):
        shutil.copytree(finished.folder, tmp_path / name)
    shard = next((tmp_path / "broken").glob("embeddings/img_emb/*.npy"))
    shard.write_bytes(shard.read_bytes()[:-40])
    with served(tmp_path / "whole", tmp_path / "broken") as explorer:
        page = Page(browser, explorer)
        browser.driver.get("about:blank")
        browser.driver.get(f"{explorer.address}#/whole/sae/compare?with=broken")
        page.until(lambda: "nothing to compare with" in page.text("main"))
        assert "img_emb" in page.text("#notice")
    browser.complaints()  # the refusal itself


def test_runs_of_one_name_are_told_apart_by_their_folders(
    browser: Browser, finished: RunFolder, tmp_path: Path
) -> None:
    folders = [tmp_path / name / "photos" for name in ("a", "b")]
    for folder in folders:
        shutil.copytree(finished.folder, folder)
    with served(*folders) as explorer:
        page = Page(browser, explorer)
        page.open("compare?with=photos-2")
        shown = page.text("#run option").split("\n")
        assert [name for name in shown if "untrained" not in name] == [
            f"photos ({folders[0]})",
            f"photos-2 ({folders[1]})",
        ]
        assert f"photos-2 / untrained ({folders[1]}/baselines/untrained)" in page.text("form.filters")
    browser.complaints()


@pytest.mark.parametrize(
    "view", ["feature/abc", "feature/9999", "pair/x", "own/t0", "%zz/%", "map?of=%&colour=x"]
)
def test_an_address_that_somebody_made_up_is_a_sentence(
    browser: Browser, explorer: Explorer, view: str
) -> None:
    page = Page(browser, explorer)
    page.open(view)
    assert page.text("h1")
    if page.text("h1") == "This cannot be shown":
        assert page.text("#notice p").endswith(".")
        assert "cannot be read" not in page.text("#notice p")
    logged = [line for line in browser.complaints() if "Failed to load resource" not in line]
    assert logged == []


def test_what_takes_long_says_so(browser: Browser, explorer: Explorer) -> None:
    page = Page(browser, explorer)
    page.open("features")
    late = (
        "const ask = window.fetch; window.fetch = (...given) =>"
        " new Promise((done) => setTimeout(done, 3000)).then(() => ask(...given));"
    )
    page.driver.execute_script(late + "location.hash = '#/photos/raw/features'")
    page.until(lambda: "indexed first" in page.text("main .wait"))
    page.until(lambda: "features of raw" in page.text("h1"))
    assert page.text("main .wait") == ""


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
