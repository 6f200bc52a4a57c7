"""Around the card, on one server: who one is, what one holds, older verdicts, many at once, layouts and sizes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from auditor.review.readout import PageFilter
from auditor.review.store import VerdictStore
from tests.browser.page import FITS, GRID, CardPage
from tests.browser.server import TOKEN, ReviewServer


@pytest.fixture(scope="module")
def server(digits_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    """One server on a run over digits; each test reviews under names of its own."""
    run = tmp_path_factory.mktemp("pages") / "run"
    shutil.copytree(digits_source / "run", run)
    started = ReviewServer(run).start()
    yield started
    started.kill()
    assert started.tracebacks() == []


def _resize(browser: Chrome, width: int, height: int, touch: bool = False) -> None:
    """Set the size of the page, and of what points at it."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})


def _go(browser: Chrome, page: str) -> None:
    """By the navigation, as people do."""
    links = browser.find_elements(By.CSS_SELECTOR, "a[data-testid=stTopNavLink]")
    next(link for link in links if str(link.get_attribute("href")).rstrip("/").endswith(f"/{page}")).click()


def _text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def _holders(server: ReviewServer) -> dict[str, int]:
    with VerdictStore.open(server.run) as store:
        return {hand.reviewer: hand.items for hand in store.hands()}


def _own(server: ReviewServer, reviewer: str) -> list[tuple[str, str]]:
    """Verdicts that hold, the latest first: item and verdict."""
    with VerdictStore.open(server.run) as store:
        return [(v.item_id, v.verdict) for v in store.judged_by(reviewer, limit=1000)]


def test_a_name_holds_on_every_page_and_a_hand_on_one(
    server: ReviewServer, open_browser: Callable[..., Chrome]
) -> None:
    browser = open_browser()
    page = CardPage(browser, server.url, "Ann%20Lee")
    page.press("g")
    page.wait_saved(1)
    assert _holders(server)["Ann Lee"] == 9
    _go(browser, "gallery")
    page.wait(lambda: browser.execute_script(GRID + "return gallery?.querySelectorAll('.tile').length"), "tiles")
    assert "reviewer=Ann+Lee" in browser.current_url
    assert "Ann Lee" not in _holders(server)  # the page was left
    _go(browser, "review")
    page.wait(lambda: page.item() is not None, "the card again")
    assert page.status().startswith("saved 1 ·")
    assert _holders(server)["Ann Lee"] == 10
    # The same person under another spelling, in a tab that is closed again.
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    other = CardPage(browser, server.url, "ann%20%20LEE", "review")
    assert other.status().startswith("saved 1 ·")
    assert "reviewer=Ann+Lee" in browser.current_url
    browser.close()
    browser.switch_to.window(first)
    assert _holders(server)["Ann Lee"] == 10  # she has the first one open
    browser.get("about:blank")
    page.wait(lambda: "Ann Lee" not in _holders(server), "the hand goes back when the tab is closed", 20)


def test_a_later_verdict_in_another_tab_is_asked_for(server: ReviewServer, open_browser: Callable[..., Chrome]) -> None:
    browser = open_browser()
    page = CardPage(browser, server.url, "tabs")
    item = page.item()
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    other = CardPage(browser, server.url, "tabs")
    assert other.item() == item
    other.press("n")
    other.wait_saved(1)
    browser.switch_to.window(first)
    page.press("b")
    asked = "return card.querySelector('dialog:modal')?.textContent ?? ''"
    page.wait(lambda: "You have judged this item before" in page.ask(asked), "the question")
    assert _own(server, "tabs") == [(item, "neither")]
    page.press("g")  # judges nothing meanwhile
    page.press(Keys.ENTER)
    page.wait(lambda: _own(server, "tabs") == [(item, "both")], "the new one, which was asked for")
    browser.switch_to.window(browser.window_handles[-1])
    browser.close()
    browser.switch_to.window(first)
    # It is found among the own verdicts, and corrected to any class by keys alone.
    page = CardPage(browser, server.url, f"tabs&item={item}")
    assert page.item() == item
    assert "You have judged this item: both" in page.ask("return card.querySelector('.votes').textContent")
    third = next(
        d
        for d in "0123456789"
        if d not in page.ask("return [...card.querySelectorAll('.verdict strong')].map((n) => n.textContent)")
    )
    page.press(third)
    page.wait(lambda: _own(server, "tabs") == [(item, f"other:{third}")], "the correction")
    _go(browser, "mine")
    page.wait(lambda: "Pick a row" in _text(browser), "the list of own verdicts")


@pytest.mark.slow
def test_many_verdicts_wait_for_a_server_that_is_away_and_are_taken_back(
    server: ReviewServer, open_browser: Callable[..., Chrome]
) -> None:
    browser = open_browser()
    with VerdictStore.open(server.run) as store:
        seen = store.page(PageFilter(flagged=True), limit=3).items
        labels = {"shown_label": seen[2].given, "shown_suggested": seen[2].suggested}
        store.submit("bob", [{"uuid": "b" * 12, "item_id": seen[2].item_id, "verdict": "neither", **labels}])
    browser.get(f"{server.url}/gallery?reviewer=many&token={TOKEN}")
    page = CardPage.__new__(CardPage)
    page.browser = browser
    ask = lambda code: browser.execute_script(GRID + code)  # noqa: E731
    page.wait(lambda: ask("return gallery?.querySelectorAll('.tile').length"), "tiles")
    tiles = ask("return [...gallery.querySelectorAll('.tile')]")
    assert [tile.get_attribute("title") for tile in tiles[:3]] == [item.item_id for item in seen]
    # What bob said would not be independent of what one says after reading it.
    assert "neither" not in tiles[2].text
    assert "judged by 1" in tiles[2].text
    # Names are whole, and each item can be seen large.
    assert all(ask("return [...gallery.querySelectorAll('.labels *')].map((n) => n.scrollWidth <= n.clientWidth + 1)"))
    tiles[0].send_keys(Keys.ENTER)
    page.wait(lambda: ask("return gallery.querySelector('dialog:modal img')?.naturalWidth"), "the item, large")
    page.press(Keys.ARROW_RIGHT)
    page.press(" ")
    page.press(Keys.ESCAPE)
    ActionChains(browser).key_down(Keys.SHIFT).click(tiles[2]).key_up(Keys.SHIFT).perform()
    assert ask("return gallery.querySelector('.count').textContent") == "2 selected"
    server.kill()
    ask("[...gallery.querySelectorAll('.act')].find((b) => b.textContent === 'both').click()")
    line = lambda: ask("return gallery.querySelector('.line').textContent")  # noqa: E731
    page.wait(lambda: "2 on the way (kept in this browser" in line(), "it says that they wait")
    # Streamlit's own message, which says nothing of verdicts, covers nothing.
    page.wait(lambda: browser.find_elements(By.CSS_SELECTOR, "[data-testid=stDialog]"), "Streamlit has noticed")
    assert not browser.find_element(By.CSS_SELECTOR, "[data-testid=stDialog]").is_displayed()
    server.start()
    page.wait(lambda: line().startswith("saved 2") and "way" not in line(), "they are stored", 60)
    assert {item for item, verdict in _own(server, "many") if verdict == "both"} == {i.item_id for i in seen[1:]}
    page.wait(lambda: "bob: neither" in ask("return gallery.querySelectorAll('.tile')[2].textContent"), "what bob said")
    ask("[...gallery.querySelectorAll('.act')].find((b) => b.textContent === 'take back 2 verdicts').click()")
    page.wait(lambda: _own(server, "many") == [], "they are taken back")


def test_all_that_a_filter_matches_is_judged_and_taken_back(
    server: ReviewServer, open_browser: Callable[..., Chrome]
) -> None:
    with VerdictStore.open(server.run) as store:
        wanted = store.page(PageFilter(given="4", flagged=False), limit=1000).items
    n = len(wanted)
    assert n > 100
    browser = open_browser()
    browser.get(f"{server.url}/gallery?reviewer=every&items=unflagged&given=4&token={TOKEN}")
    page = CardPage.__new__(CardPage)
    page.browser = browser
    ask = lambda code: browser.execute_script(GRID + code)  # noqa: E731
    press = lambda text: ask(f"[...gallery.querySelectorAll('.act')].find((b) => b.textContent === '{text}').click()")  # noqa: E731
    page.wait(lambda: ask("return gallery?.querySelectorAll('.tile').length"), "tiles")
    assert f"{n} items" in _text(browser)
    press(f"select all {n}")
    count = lambda: ask("return gallery.querySelector('.count').textContent")  # noqa: E731
    page.wait(lambda: count() == f"{n} selected, 50 on this page", "everything is selected")
    press("another class")
    page.press("7")
    page.press(Keys.ENTER)
    asked = lambda: ask("return gallery.querySelector('dialog:modal')?.textContent ?? ''")  # noqa: E731
    assert f"for {n} items?" in asked()
    page.press(Keys.ENTER)  # which is "cancel": nothing is judged by a key held down
    assert asked() == ""
    assert _own(server, "every") == []
    press("another class")
    page.press("7")
    page.press(Keys.ENTER)
    press(f"give {n} verdicts")
    line = lambda: ask("return gallery.querySelector('.line').textContent")  # noqa: E731
    page.wait(lambda: line() == f"saved {n}", "they are stored")
    said = dict(_own(server, "every"))
    expected = {i.item_id: "suggested" if i.suggested == "7" else "other:7" for i in wanted}
    assert said == expected
    press(f"take back {n} verdicts")
    page.wait(lambda: _own(server, "every") == [], "they are taken back")
    # A class that the data does not have, and from then on everybody is offered it.
    ask("gallery.querySelector('.tile').click()")
    press("another class")
    page.press("half a digit")
    page.press(Keys.ENTER)
    assert _own(server, "every") == []  # Enter alone makes no class
    page.press(Keys.ENTER)
    page.wait(lambda: [v for _, v in _own(server, "every")] == ["new:half a digit"], "a new class")
    ask("gallery.querySelector('.tile').click()")
    press("another class")
    page.press("half")
    page.wait(lambda: "half a digit (new class)" in asked(), "it is offered")
    page.press(Keys.ESCAPE)


def test_keys_of_other_layouts_and_the_field_for_the_name(
    server: ReviewServer, open_browser: Callable[..., Chrome]
) -> None:
    browser = open_browser()
    browser.get(f"{server.url}/overview?token={TOKEN}")
    page = CardPage.__new__(CardPage)
    page.browser = browser
    page.wait(lambda: "Ranked list" in _text(browser), "the first page")
    _go(browser, "review")
    name = "return document.activeElement?.getAttribute('aria-label')"
    page.wait(lambda: browser.execute_script(name) == "Name", "the field has the focus")
    ActionChains(browser).send_keys("Ольга", Keys.ENTER).perform()
    page.wait(lambda: page.item() is not None, "the card")
    for key, code in (("п", "KeyG"), ("т", "KeyN"), ("é", "Digit2")):
        event: dict[str, Any] = {"type": "keyDown", "key": key, "code": code, "text": key, "windowsVirtualKeyCode": 0}
        browser.execute_cdp_cmd("Input.dispatchKeyEvent", event)
    page.wait_saved(3)
    assert [verdict for _, verdict in _own(server, "Ольга")][1:] == ["neither", "given"]


#: Each text whose contrast to what is behind it is too low for WCAG AA, with that contrast.
PALE = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const numbers = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = (top, under) => [0, 1, 2].map((k) => top[k] * top[3] + under[k] * (1 - top[3])).concat(1);
const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const up = (node) => node.parentElement ?? node.getRootNode().host ?? null;
const behind = (node) => {
  const layers = [];
  for (let p = node; p; p = up(p)) layers.push(numbers(getComputedStyle(p).backgroundColor));
  return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
};
const opacity = (node) => {
  let all = 1;
  for (let p = node; p; p = up(p)) all *= Number(getComputedStyle(p).opacity);
  return all;
};
const pale = [];
const look = (root) => {
  for (const node of root.querySelectorAll('*')) {
    if (node.shadowRoot) look(node.shadowRoot);
    const says = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    const box = node.getBoundingClientRect();
    const style = getComputedStyle(node);
    if (!says || box.width < 2 || box.height < 2 || style.visibility !== 'visible' || !opacity(node)) continue;
    if (node.closest('button:disabled, input:disabled, [aria-disabled=true], script, style')) continue;
    const under = behind(node);
    const colour = numbers(style.color);
    colour[3] *= opacity(node);
    const [a, b] = [light(over(colour, under)), light(under)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if ((a + 0.05) / (b + 0.05) < least) pale.push([node.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
};
look(document);
return pale;
"""


def _readable(page: CardPage) -> None:
    """Once the page is drawn: what changes is half transparent meanwhile."""
    page.wait(lambda: page.browser.execute_script(PALE) == [], f"pale: {page.browser.execute_script(PALE)}", 20)


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_numbers_are_whole_and_everything_can_be_read(
    server: ReviewServer, open_browser: Callable[..., Chrome], dark: bool
) -> None:
    browser = open_browser()
    theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
    try:
        page = CardPage(browser, server.url, f"sizes{dark}")
        _resize(browser, 1024, 768)
        assert page.ask("return innerWidth") == 1024
        page.judge("gnbgu", 200)
        page.wait_saved(5)
        browser.execute_script("window.scrollTo(0, 0)")
        assert browser.execute_script(PALE) == []
        for path, shown in (
            ("", "Remaining outside"),
            ("gallery", "flagged items"),
            ("mine", "Pick a row"),
            ("quality", "Checks"),
        ):
            browser.get(f"{server.url}/{path}?reviewer=sizes{dark}&tolerated=12")
            page.wait(lambda shown=shown: shown in _text(browser), shown)
            _readable(page)
            headings = "return [...document.querySelectorAll('h1, h2, h3')].map((n) => n.tagName)"
            assert browser.execute_script(headings)[0] == "H1", path
            assert browser.execute_script(FITS), path
            if path == "":
                assert "up to" in _text(browser)  # the tolerated number is still known
                numbers = "return [...document.querySelectorAll('[data-testid=stMetricValue] *')]"
                assert all(browser.execute_script(f"{numbers}.map((n) => n.scrollWidth <= n.clientWidth + 1)"))
        page = CardPage(browser, server.url, f"sizes{dark}")
        _resize(browser, 390, 844, touch=True)
        assert page.ask("return innerWidth") == 390
        small = "return [...card.querySelectorAll('button, a')].filter((b) => b.getBoundingClientRect().height < 44)"
        page.wait(lambda: page.ask(f"{small}.map((b) => b.textContent)") == [], "a finger fits", 20)
        assert page.ask(FITS)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        _resize(browser, 1280, 800)
