"""Texts: long ones are read by keys, right-to-left ones have a direction, empty ones say so, the gallery lists them."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Keys

from auditor.review.store import VerdictStore
from tests.browser.page import GRID, CardPage
from tests.running import call

WORDS = (["goal", "match", "team", "player", "coach"], ["stock", "market", "bank", "price", "trade"])
HEBREW = "שלום עולם זה טקסט"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over 90 texts: long, Hebrew and empty ones among them."""
    folder = tmp_path_factory.mktemp("texts")
    draw = random.Random(0)
    with open(folder / "texts.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for i in range(90):
            kind = i % 2
            words = " ".join(draw.choices(WORDS[kind], k=900 if i % 3 == 0 else 8))
            text = {7: "", 8: "   ", 9: f"{HEBREW} {words}"}.get(i, f"{i} {words}")
            writer.writerow([text, ("sport", "business")[kind if i % 15 else 1 - kind]])
    call(
        "find-errors",
        f"csv://{folder / 'texts.csv'}?text=text&label=label",
        "--model",
        "tfidf",
        "--out",
        folder / "run",
    )
    return folder / "run"


@pytest.mark.slow
def test_texts_of_all_kinds_can_be_read(
    texts: Path, serve: Callable[..., Any], open_browser: Callable[..., Any]
) -> None:
    server, browser = serve(texts), open_browser()
    with VerdictStore.open(texts) as store:
        ids = {item.index: item.item_id for item in store.page(limit=200).items}
    page = CardPage(browser, server.url, f"ann&item={ids[30]}")
    top = "return card.querySelector('.text').scrollTop"
    assert page.ask(top) == 0
    page.press(Keys.PAGE_DOWN)
    page.wait(lambda: page.ask(top) > 100, "the text is scrolled")
    page.press(Keys.END)
    bottom = "const t = card.querySelector('.text'); return t.scrollTop + t.clientHeight >= t.scrollHeight - 2"
    page.wait(lambda: page.ask(bottom), "its end")
    page.press(Keys.HOME)
    page.wait(lambda: page.ask(top) == 0, "its beginning")
    page.press(" ")
    page.wait(lambda: page.ask(top) > 100, "Space scrolls, too")
    assert page.status().startswith("saved 0 ·")
    page = CardPage(browser, server.url, f"ann&item={ids[9]}")
    assert page.ask("return getComputedStyle(card.querySelector('.text')).direction") == "rtl"
    for index, words in ((7, "This text is empty."), (8, "This text holds spaces only.")):
        page = CardPage(browser, server.url, f"ann&item={ids[index]}")
        assert page.ask("return card.querySelector('figure .broken').textContent") == words
    browser.get(f"{server.url}/gallery?reviewer=ann")
    shown = (
        GRID + "return [...gallery?.querySelectorAll('.list .tile .snippet') ?? []].map((n) => n.textContent.length)"
    )
    page.wait(lambda: browser.execute_script(shown), "a list")
    assert max(browser.execute_script(shown)) == 700
    browser.execute_script(GRID + "gallery.querySelectorAll('.tile')[0].focus()")
    page.press(Keys.ENTER)
    whole = GRID + "return gallery.querySelector('dialog:modal .text, dialog:modal .broken')?.textContent ?? ''"
    page.wait(lambda: browser.execute_script(whole), "the whole text")
    assert server.tracebacks() == []
