"""axe-core finds nothing serious on any page, in light and dark; every page fits and can be used at every size."""

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
from auditor.benchmark.command import run_benchmark
from auditor.core.config import Settings
from auditor.core.progress import SilentProgress
from auditor.review.readout import PageFilter
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from auditor.ui.views import BENCHMARK, PAGES
from tests.browser.page import GRID, MAP, CardPage
from tests.browser.server import TOKEN, ReviewServer
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

#: What is wrong with the layout, shadow roots included: the fault, where, and by how much. `wanted` is the least height
#: of what can be pressed. What scrolls by itself may be wider than the window; what is cut has a title that is whole.
LAYOUT = """
const wanted = arguments[0], wrong = [];
const up = (node) => node.parentElement ?? node.getRootNode().host ?? null;
const words = (node) => `${node.tagName} ${(node.getAttribute('aria-label') ?? node.textContent).trim().slice(0, 50)}`;
const pages = [document.documentElement, ...document.querySelectorAll('[data-testid=stMain]')]; // not sideways
const scrolls = (node) => {
  for (let p = up(node); p && !pages.includes(p); p = up(p))
    if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return true;
  return false;
};
const pressed = 'button, select, input:not([type=checkbox], [type=radio], [type=file]), textarea, summary, '
  + 'a[href]:not(p a), [role=button], [role=tab]';
const look = (root) => {
  for (const node of root.querySelectorAll('*')) {
    if (node.shadowRoot) look(node.shadowRoot);
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    if (box.width < 2 || box.height < 2 || box.right <= 0 || style.position === 'absolute') continue;
    if (node.closest('script, style, svg, [aria-hidden=true]')) continue;
    if (!node.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    if ([...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) {
      const over = node.scrollWidth - node.clientWidth, hides = ['hidden', 'clip'].includes(style.overflowX);
      if (box.right > innerWidth + 1 && !scrolls(node)) wrong.push(['beyond the window', words(node), box.right]);
      if (hides && over > 1 && !node.title) wrong.push(['cut', words(node), over]);
    }
    if (node.matches(pressed) && !node.disabled && box.height < wanted - 0.5)
      wrong.push(['small', words(node), `${box.width.toFixed()} x ${box.height.toFixed()}`]);
  }
};
look(document);
for (const page of pages)
  if (page.scrollWidth > page.clientWidth) wrong.push(['wider than the window', page.tagName, page.scrollWidth]);
return wrong;
"""

#: The number that all is about: where it stands, and how large it is.
NUMBER = """
const head = [...document.querySelectorAll('h2')].find((node) => /labels? (is|are) wrong/.test(node.textContent));
return head && {...head.getBoundingClientRect().toJSON(), size: parseFloat(getComputedStyle(head).fontSize)};
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
def server(digits_source: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    """A run with a map, a benchmark, verdicts of three people, and a disagreement."""
    run = tmp_path_factory.mktemp("axe") / "run"
    shutil.copytree(digits_source / "run", run)
    make_maps(open_run(run))
    run_benchmark(
        Settings(data_dirs=(data_dir,), cache_dir=run.parent / "cache", offline=True),
        SilentProgress(),
        reference="cifar10?split=test",
        predictions=data_dir / "predictions" / "cifar10",
        verdicts=data_dir / "label_errors" / "cifar10" / "mturk.json",
        draws=100,
        out=run / "benchmark",
        command="auditor benchmark cifar10",
    )
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
        for title, path, *_ in (*PAGES, BENCHMARK):
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


def _faults(browser: Chrome, width: int) -> list[Any]:
    return [*browser.execute_script(LAYOUT, 44 if width < 500 else 0), *browser.execute_script(PALE)]


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
        for title, path, *_ in (*PAGES, BENCHMARK):
            browser.get(f"{server.url}/{path}?reviewer=ann")
            page.wait(lambda title=title: _settled(browser, title), title)
            if path == "map":
                page.wait(lambda: browser.execute_script(MAP + "return map?.dataset.points"), "points")
            # What changes is half transparent, and a page grows, until it is drawn.
            with suppress(AssertionError):
                page.wait(lambda: _faults(browser, width) == [], "nothing is wrong", 10)
            if found := _faults(browser, width):
                wrong[path] = found
            if path == "overview":
                browser.execute_script("window.scrollTo(0, 0)")
                number = browser.execute_script(NUMBER)
                assert 0 <= number["left"] < number["right"] <= width
                assert 0 < number["top"] < number["bottom"] <= height
                assert number["size"] >= 20
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        _resize(browser, 1280, 800)
    assert wrong == {}


@pytest.mark.slow
def test_axe_and_the_layout_find_what_is_wrong(
    server: ReviewServer, open_browser: Callable[..., Chrome], axe: str
) -> None:
    """Faults of each kind, planted in the page and inside a component."""
    browser = open_browser()
    browser.get(f"{server.url}/gallery?reviewer=ann&token={TOKEN}")
    page = CardPage.__new__(CardPage)
    page.browser = browser
    page.wait(lambda: browser.execute_script(GRID + "return gallery?.querySelectorAll('.tile').length"), "tiles")
    assert browser.execute_script(LAYOUT, 0) == []
    plant = """
      const main = document.querySelector('[data-testid=stMain]');
      main.insertAdjacentHTML('beforeend', '<div><button style="height:30px"></button>'
        + '<p style="width:60px;overflow:hidden;white-space:nowrap">longer than its place</p></div>'
        + '<p style="margin-left:2000px">far off</p>');
      gallery.insertAdjacentHTML('beforeend', '<img src="data:,"><p style="color:#bbb;background:#fff">pale</p>');
      for (const text of gallery.querySelectorAll('.tile .labels *')) text.style.color = '#bbb';
    """
    browser.execute_script(GRID + plant)
    browser.execute_script(axe)
    found = {rule for impact, rule, _ in browser.execute_async_script(LOOK) if impact in ("serious", "critical")}
    assert {"button-name", "image-alt", "color-contrast"} <= found
    assert {"small", "cut", "beyond the window", "wider than the window"} <= {
        fault for fault, *_ in browser.execute_script(LAYOUT, 44)
    }
    assert "pale" in {text for text, _ in browser.execute_script(PALE)}


def _leads(link: Any, path: str) -> bool:
    """Whether a link goes to a page; the first one's address is the app's."""
    end = str(link.get_attribute("href")).split("?")[0].rstrip("/").rpartition("/")[2]
    return end == path or (path == "overview" and "localhost:" in end)
