"""axe-core finds nothing serious on any page, in light and dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from auditor.audit.item_map import make_maps
from auditor.review.readout import PageFilter
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from auditor.ui.views import PAGES
from tests.browser.page import MAP, CardPage
from tests.browser.server import ReviewServer
from tests.browser.test_pages import PALE, _resize
from tests.ui.events import events_on

#: Installed by `.ci/run`; by hand: npm ci --prefix .ci/node
AXE = Path(__file__).resolve().parents[2] / ".ci" / "node" / "node_modules" / "axe-core" / "axe.min.js"

#: What is wrong on the page, shadow roots included: impact, rule, and the first elements it is wrong at.
LOOK = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(({violations}) => done(violations.map((v) =>
  [v.impact, v.id, v.nodes.slice(0, 3).map((n) => n.target.join(' ') + ' ' + n.html.slice(0, 160))])));
"""


#: Whether the table of confused classes is drawn.
MATRIX = """
return [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')].some(
  (host) => host.shadowRoot?.querySelector('.matrix button'))
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The library, as text; without it the test is skipped, and in CI it fails."""
    if AXE.is_file():
        return AXE.read_text(encoding="utf-8")
    reason = "axe-core is not installed: npm ci --prefix .ci/node"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def server(digits_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    """A run with a map, verdicts of three people, and a disagreement."""
    run = tmp_path_factory.mktemp("axe") / "run"
    shutil.copytree(digits_source / "run", run)
    make_maps(open_run(run))
    started = ReviewServer(run).start()
    with VerdictStore.open(run) as store:
        items = list(store.page(PageFilter(flagged=True), limit=3).items)
        store.submit("bob", events_on(items, "neither"))
        store.submit("cara", events_on(items[:1], "given"))
        store.submit("ann", events_on(items[1:], "suggested"))
    yield started
    started.kill()
    assert started.tracebacks() == []


def _settled(browser: Chrome, title: str) -> bool:
    """The page called `title` is there, and nothing is running."""
    heads = browser.execute_script("return [...document.querySelectorAll('h1')].map((n) => n.textContent)")
    running = "return document.querySelector('[data-testid=stApp]')?.dataset.testScriptState"
    return title in heads and browser.execute_script(running) == "notRunning"


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious_on_any_page(
    server: ReviewServer, open_browser: Callable[..., Chrome], axe: str, dark: bool
) -> None:
    browser = open_browser()
    theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
    browser.set_script_timeout(240)  # a starved machine
    wrong: dict[str, list[Any]] = {}
    try:
        page = CardPage(browser, server.url, "ann")
        browser.execute_script(axe)
        for title, path, *_ in PAGES:
            link = next(a for a in browser.find_elements(By.CSS_SELECTOR, "a[href]") if _leads(a, path))
            browser.execute_script("arguments[0].click()", link)
            page.wait(lambda title=title: _settled(browser, title), title)
            if path == "overview":
                page.wait(lambda: browser.execute_script(MATRIX), "the table of confused classes")
            if path == "map":
                page.wait(lambda: browser.execute_script(MAP + "return map?.dataset.points"), "points")
            if serious := [v for v in browser.execute_async_script(LOOK) if v[0] in ("serious", "critical")]:
                wrong[path] = serious
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
def test_every_page_fits_and_can_be_read_at_every_size(
    server: ReviewServer, open_browser: Callable[..., Chrome], width: int, height: int, dark: bool
) -> None:
    browser = open_browser()
    theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
    wrong: dict[str, Any] = {}
    try:
        page = CardPage(browser, server.url, "ann")
        _resize(browser, width, height, touch=width < 500)
        for title, path, *_ in PAGES:
            browser.get(f"{server.url}/{path}?reviewer=ann")
            page.wait(lambda title=title: _settled(browser, title), title)
            if path == "map":
                page.wait(lambda: browser.execute_script(MAP + "return map?.dataset.points"), "points")
            # What changes is half transparent meanwhile.
            with suppress(AssertionError):
                page.wait(lambda: browser.execute_script(PALE) == [], "everything can be read", 10)
            fits = browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            if not fits or (pale := browser.execute_script(PALE)):
                wrong[path] = pale if fits else "wider than the window"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        _resize(browser, 1280, 800)
    assert wrong == {}


def _leads(link: Any, path: str) -> bool:
    """Whether a link goes to a page; the first one's address is the app's."""
    end = str(link.get_attribute("href")).split("?")[0].rstrip("/").rpartition("/")[2]
    return end == path or (path == "overview" and "localhost:" in end)
