"""The map in a browser: points, a lasso, the same by keys alone, and what is selected judged at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys

from auditor.audit.item_map import make_maps
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from tests.browser.page import GRID, MAP, CardPage
from tests.browser.server import TOKEN, ReviewServer

#: Two fingers on the map that part to three times their distance.
PINCH = """
const canvas = map.querySelector('canvas'), box = canvas.getBoundingClientRect();
canvas.setPointerCapture = () => {};
const send = (kind, id, apart) => canvas.dispatchEvent(new PointerEvent(kind, {pointerId: id, bubbles: true,
  clientX: box.x + box.width / 2 + (id ? apart : -apart), clientY: box.y + box.height / 2}));
for (const id of [0, 1]) send('pointerdown', id, 20);
for (const id of [0, 1]) send('pointermove', id, 60);
for (const id of [0, 1]) send('pointerup', id, 60);
"""


@pytest.fixture(scope="module")
def server(digits_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    run = tmp_path_factory.mktemp("map") / "run"
    shutil.copytree(digits_source / "run", run)
    make_maps(open_run(run))
    started = ReviewServer(run).start()
    yield started
    started.kill()
    assert started.tracebacks() == []


def test_points_are_selected_by_a_lasso_and_by_keys_and_judged(
    server: ReviewServer, open_browser: Callable[..., Chrome]
) -> None:
    browser = open_browser()
    browser.get(f"{server.url}/map?reviewer=ann&token={TOKEN}")
    page = CardPage.__new__(CardPage)
    page.browser = browser
    ask: Callable[[str], Any] = lambda code: browser.execute_script(MAP + code)  # noqa: E731
    page.wait(lambda: ask("return map?.dataset.points") == "1797", "the points")
    assert ask("return [...map.querySelectorAll('.entry .name')].map((n) => n.textContent)") == list("0123456789")
    count = lambda: ask("return map.querySelector('.count').textContent")  # noqa: E731
    chosen = lambda: int(count().split()[0].replace(",", "")) if count() else 0  # noqa: E731
    tiles = "return gallery?.querySelectorAll('.tile').length"
    # A lasso around all of it, then around a part.
    canvas = ask("return map.querySelector('canvas')")
    half = ask(
        "return [map.querySelector('canvas').clientWidth / 2 - 5, map.querySelector('canvas').clientHeight / 2 - 5]"
    )
    for share, most in ((1.0, 1797), (0.35, 1796)):
        x, y = (int(side * share) for side in half)
        draw = ActionChains(browser, duration=20).key_down(Keys.SHIFT)
        draw.move_to_element_with_offset(canvas, -x, -y).click_and_hold()
        for dx, dy in ((2 * x, 0), (0, 2 * y), (-2 * x, 0)):
            draw.move_by_offset(dx, dy)
        draw.release().key_up(Keys.SHIFT).perform()
        page.wait(lambda most=most: 0 < chosen() <= most, "they are selected")
        held = chosen()
        assert held == 1797 or share < 1
    page.wait(lambda: browser.execute_script(GRID + tiles), "the list of what is selected")
    said = f"{held:,} selected"
    page.wait(lambda: said in browser.execute_script("return document.body.innerText"), "the address names it")
    address = browser.current_url
    # The item in the middle opens beside the map.
    ask("map.querySelector('canvas').focus()")
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    page.wait(
        lambda: ask("return map.querySelector('.detail code')?.textContent ?? ''").startswith("digit-"), "an item"
    )
    assert "open on the card" in ask("return map.getRootNode().activeElement.textContent")
    ActionChains(browser).send_keys(Keys.TAB, Keys.ENTER).perform()  # items like this
    page.wait(lambda: count() == "60 selected", "items like it")
    first = ask("return map.querySelector('.detail code').textContent")
    page.wait(
        lambda: browser.execute_script(GRID + "return gallery?.querySelector('.tile')?.title") == first, "nearest first"
    )
    # Two fingers bring it nearer and pick nothing.
    ask(PINCH)
    ask("[...map.querySelectorAll('.act')].find((b) => b.textContent === 'select what is shown').click()")
    page.wait(lambda: count() not in ("60 selected", ""), "what is shown")
    pinched = chosen()
    assert 0 < pinched < 1797
    assert ask("return map.querySelector('.detail code').textContent") == first
    # The same by keys: near, then what is shown.
    ask("map.querySelector('canvas').focus()")
    ActionChains(browser).send_keys("+", "+", "+", "s").perform()
    page.wait(lambda: chosen() not in (pinched, 0), "less is shown")
    assert chosen() < pinched
    # Judged at once by the grid below, which the map shows.
    running = "return document.querySelector('[data-testid=stApp]')?.dataset.testScriptState"
    said = f"{chosen():,} selected"  # not the list of what was shown before, which a click would belong to no longer
    page.wait(
        lambda: (
            said in browser.execute_script("return document.body.innerText")
            and browser.execute_script(running) == "notRunning"
            and browser.execute_script(GRID + "return gallery?.querySelector('.tile')?.title") not in (first, None)
        ),
        "the list",
    )
    browser.execute_script(GRID + "gallery.querySelector('.tile').click()")
    one = browser.execute_script(GRID + "return gallery.querySelector('.tile').title")
    browser.execute_script(
        GRID + "[...gallery.querySelectorAll('.act')].find((b) => b.textContent === 'neither').click()"
    )
    page.wait(
        lambda: browser.execute_script(GRID + "return gallery.querySelector('.line').textContent") == "saved 1", "saved"
    )
    with VerdictStore.open(server.run) as store:
        assert [(v.item_id, v.verdict) for v in store.judged_by("ann")] == [(one, "neither")]
    ask("[...map.querySelectorAll('.act')].find((b) => b.textContent === 'clear').click()")
    ask("[...map.querySelectorAll('.act')].find((b) => b.textContent === 'verdict').click()")
    entries = "return [...map.querySelectorAll('.entry')].map((n) => n.textContent)"
    page.wait(lambda: ask(entries) == ["not judged1,796", "you: no class1"], "the map knows the verdict")
    browser.get(address)  # a selection is found again by its address
    page.wait(lambda: ask("return map?.querySelector('.count')?.textContent") == f"{held:,} selected", "the same again")
