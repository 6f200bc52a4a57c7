"""No verdict is lost, doubled or filed on another item: bursts, slow and dead servers, two browsers, undo, reload."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from auditor.review import schema
from auditor.review.store import VerdictStore
from tests.browser.page import CardPage

Starter = Callable[..., Any]

BURST = "gngngugxgngngugngngg"


def _current(run: Path, reviewer: str | None = None) -> list[Any]:
    """Verdicts that hold: (item id, verdict, reviewer, label shown, given label)."""
    with VerdictStore.open(run) as store:
        view, items = schema.current, schema.items
        query = sa.select(items.c.item_id, view.c.verdict, view.c.reviewer, view.c.shown_label, items.c.given)
        query = query.join(items, items.c.item == view.c.item).order_by(view.c.event)
        rows = store.database.read(lambda connection: connection.execute(query).all())
    return [row for row in rows if reviewer is None or row.reviewer == reviewer]


def _words(keys: str) -> list[str]:
    return [{"g": "given", "n": "neither", "u": "unsure", "x": "bad_item"}[key] for key in keys]


def _check(run: Path, keys: str, reviewer: str | None = None) -> None:
    rows = _current(run, reviewer)
    assert [row.verdict for row in rows] == _words(keys)
    assert len({row.item_id for row in rows}) == len(keys)
    assert all(row.shown_label == row.given for row in rows)


def test_a_burst_of_keys_then_undo_then_reload(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run)
    page = CardPage(open_browser(), server.url, "ann")
    shown = []
    for key in BURST[:4]:
        shown.append(page.item())
        page.burst(key, 80)
    page.wait(lambda: page.in_hand() >= 16, "a hand for a quick reviewer")
    page.burst(BURST[4:], 80)
    page.wait_saved(20)
    _check(run, BURST)
    assert [row.item_id for row in _current(run)][:4] == shown  # each key judged the item on screen

    last = _current(run)[-1].item_id
    page.press("z")
    page.wait_saved(19)
    assert page.item() == last
    _check(run, BURST[:-1])

    page = CardPage(page.browser, server.url, "ann")
    page.wait_saved(19)
    assert page.item() not in {row.item_id for row in _current(run)}
    page.press("z")  # also after a reload
    page.wait_saved(18)
    _check(run, BURST[:-2])
    assert server.tracebacks() == []


@pytest.mark.slow
def test_a_burst_while_every_rerun_takes_300_ms(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run, slow=0.3)
    page = CardPage(open_browser(), server.url, "ann")
    page.judge(BURST, 80)
    page.wait_saved(20)
    _check(run, BURST)


def _pictures_here(page: CardPage) -> int:
    seen = "performance.getEntriesByType('resource').filter((e) => e.name.includes('w=768') && e.responseEnd)"
    return int(page.ask(f"return new Set({seen}.map((e) => e.name)).size"))


def test_the_server_is_killed_and_restarted_in_the_middle(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run)
    page = CardPage(open_browser(), server.url, "ann")
    page.burst(BURST[:7], 80)
    # The whole hand is here: a dead server takes no picture from the screen.
    page.wait(lambda: _pictures_here(page) >= 40, "the pictures of the hand")
    server.kill()
    for key in BURST[7:14]:
        page.burst(key, 80)
        assert page.ask("return card.querySelector('figure.image img').naturalWidth") > 0
    assert "on the way" in page.status()
    server.start()
    page.burst(BURST[14:], 80)
    page.wait_saved(20, seconds=60)
    _check(run, BURST)


@pytest.mark.slow
def test_the_tab_is_closed_while_the_server_is_dead(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run)
    page = CardPage(open_browser(), server.url, "ann")
    server.kill()
    page.burst("gng", 80)
    page.browser.switch_to.new_window("tab")
    page.browser.switch_to.window(page.browser.window_handles[0])
    page.browser.close()
    page.browser.switch_to.window(page.browser.window_handles[0])
    server.start()
    page = CardPage(page.browser, server.url, "ann")
    page.wait_saved(3)
    _check(run, "gng")


@pytest.mark.slow
def test_two_browsers_at_once(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run)
    pages = [CardPage(open_browser(), server.url, name) for name in ("ann", "ben")]
    threads = [threading.Thread(target=page.judge, args=(BURST, 80)) for page in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for page in pages:
        page.wait_saved(20)
    for name in ("ann", "ben"):
        _check(run, BURST, name)
    # The overlap is a tenth of the items, chosen by the queue; everything else goes to one reviewer.
    both = {r.item_id for r in _current(run, "ann")} & {r.item_id for r in _current(run, "ben")}
    assert len(both) < 10


def test_the_next_item_is_on_screen_before_the_server_answers(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run, slow=2.0)
    page = CardPage(open_browser(), server.url, "ann")
    page.wait(lambda: page.ask("return card.querySelector('figure.image img').naturalWidth > 0"), "a picture")
    page.burst("gggg", 150)
    page.wait_saved(4)
    page.wait(lambda: page.in_hand() >= 30, "a hand for a quick reviewer")
    page.ask("""
      window.painted = [];
      document.addEventListener('keydown', (event) => {
        const begin = event.timeStamp; // when the key went down, before the card's own listener
        const saved = () => Number(card.querySelector('.saved')?.textContent.match(/saved ([0-9]+)/)?.[1] ?? 0);
        const done = () => {
          const image = card.querySelector('figure.image img');
          if (image.complete && image.naturalWidth) // one frame on: painted
            requestAnimationFrame(() => window.painted.push([performance.now() - begin, saved()]));
          else requestAnimationFrame(done);
        };
        requestAnimationFrame(done);
      }, true);
    """)
    page.burst("g" * 30, 150)
    page.wait_saved(34)
    painted = page.ask("return window.painted")
    assert len(painted) == 30
    unanswered = sum(saved - 4 <= earlier for earlier, (_, saved) in enumerate(painted))
    assert unanswered >= 15, painted
    times = sorted(ms for ms, _ in painted)
    print(f"key to next item: median {times[15]:.1f} ms, p95 {times[28]:.1f} ms")  # noqa: T201


@pytest.mark.parametrize("key", ["g", pytest.param("1", marks=pytest.mark.slow)])
def test_keys_typed_into_a_text_field_are_no_verdicts(
    run: Path, serve: Starter, open_browser: Starter, key: str
) -> None:
    server = serve(run)
    page = CardPage(open_browser(), server.url, "ann")
    first = page.item()
    page.press("/")
    page.press(key)
    time.sleep(0.3)
    assert page.item() == first
    assert page.ask("return card.querySelector('.extra input').value") == key
    page.ask("card.querySelector('.extra input').blur()")  # the focus may be taken away; keys still are no verdicts
    page.press(key)
    assert page.item() == first
    assert page.ask("return card.querySelector('.extra input').value") == 2 * key
    # Another class is chosen by name: every digit has one.
    other = "7" if page.given() != "7" else "8"
    page.ask("const i = card.querySelector('.extra input'); i.value = ''; i.dispatchEvent(new Event('input'))")
    page.press(other + "\ue007")
    page.wait_saved(1)
    (row,) = _current(run)
    assert row.item_id == first
    assert row.verdict in ("suggested", f"other:{other}")


def test_every_key_has_a_button_and_none_is_r_or_c(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run)
    page = CardPage(open_browser(), server.url, "ann")
    keys = page.ask("return [...card.querySelectorAll('button kbd')].map((node) => node.textContent)")
    options = page.ask("return [...card.querySelectorAll('.verdict strong')].map((node) => node.textContent)")
    # Each digit is the key of the class that is called so.
    assert set(keys) >= {"g", "⏎", *options, "/", "b", "n", "u", "x", "z", "←", "→", "h"}
    assert not set(keys) & {"r", "c", "R", "C"}
    # Where the model agrees with the given label, the candidate is not what it suggests.
    assert page.ask("return card.querySelector('.suggested small').textContent") == "other candidate"
    item, given = page.item(), page.given()
    page.press("h")
    for key in "gzp/":  # under the help, keys do nothing
        page.press(key)
    assert page.item() == item
    assert page.ask("return card.querySelectorAll('dialog:modal').length") == 1
    page.press("h")
    page.wait(lambda: page.ask("return card.querySelectorAll('dialog, input').length") == 0, "the help is gone")
    page.press("r")
    page.press("c")
    assert page.item() == item
    page.ask("card.querySelector('.suggested .verdict').click()")
    page.wait_saved(1)
    (row,) = _current(run)
    assert (row.item_id, row.verdict) == (item, "suggested")
    assert options[0] == given
    assert len(set(options)) == 6


@pytest.mark.slow
def test_held_keys_and_arrows(run: Path, serve: Starter, open_browser: Starter) -> None:
    server = serve(run)
    page = CardPage(open_browser(), server.url, "ann")
    first = page.item()
    for _ in range(5):
        event = {"type": "keyDown", "key": "g", "text": "g", "windowsVirtualKeyCode": 71, "autoRepeat": True}
        page.browser.execute_cdp_cmd("Input.dispatchKeyEvent", event)
    assert page.item() == first  # a key held down judges nothing more
    page.press("\ue014")
    assert page.item() != first
    page.press("\ue012")
    assert page.item() == first
    page.judge("g" * 40, 60)
    page.wait_saved(40)
    page.wait(lambda: page.in_hand() > 20, "refilled")
    _check(run, "g" * 40)
