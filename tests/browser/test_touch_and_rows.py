"""Table rows are shown as a table, and fingers on a tablet judge like keys and bring pictures nearer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver import Chrome

from tests.browser.page import FITS, CardPage
from tests.running import call


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over 120 rows of two columns, every 15th with the other label."""
    folder = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(0)
    kind = np.arange(120) % 2
    label = np.where(np.arange(120) % 15, kind, 1 - kind)
    frame = pd.DataFrame(
        {
            "width_mm": draw.normal(5 + 4 * kind, 0.5).round(3),
            "<b>mass</b>": draw.normal(20 - 6 * kind, 0.5).round(3),
            "label": np.array(["apple", "pear"])[label],
        }
    )
    frame.to_csv(folder / "rows.csv", index=False)
    call("find-errors", f"csv://{folder / 'rows.csv'}?label=label", "--out", str(folder / "run"))
    return folder / "run"


@pytest.mark.slow
def test_a_row_is_a_table_and_a_tap_is_a_verdict(
    rows: Path, serve: Callable[..., Any], open_browser: Callable[..., Any]
) -> None:
    server = serve(rows)
    browser = open_browser()
    page = CardPage(browser, server.url, "ann")
    cells = page.ask("return [...card.querySelectorAll('figure table th')].map((node) => node.textContent)")
    assert "width_mm" in cells
    assert "<b>mass</b>" in cells  # the name of a column is text
    values = page.ask("return [...card.querySelectorAll('figure table td')].map((node) => node.textContent)")
    assert any(0 < float(value) < 30 for value in values)

    with tablet(browser):
        first = page.item()
        box = page.ask(
            "const b = card.querySelector('.verdict').getBoundingClientRect(); "
            "return {x: b.x + b.width / 2, y: b.y + b.height / 2, height: b.height}"
        )
        assert box["height"] >= 40  # a fingertip
        assert page.ask(FITS)
        touch(browser, "touchStart", (box["x"], box["y"]))
        touch(browser, "touchEnd")
        page.wait_saved(1)
        assert page.item() != first
    assert server.tracebacks() == []


@pytest.mark.slow
def test_two_fingers_bring_the_picture_nearer_and_not_the_page(
    run: Path, serve: Callable[..., Any], open_browser: Callable[..., Any]
) -> None:
    server = serve(run)
    browser = open_browser()
    page = CardPage(browser, server.url, "ann")
    with tablet(browser):
        item = page.item()
        x, y = page.ask(
            "const b = card.querySelector('.view').getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]"
        )
        touch(browser, "touchStart", (x - 20, y))
        touch(browser, "touchStart", (x - 20, y), (x + 20, y))
        for apart in (30, 40, 60):
            touch(browser, "touchMove", (x - apart, y), (x + apart, y))
        touch(browser, "touchEnd")
        assert page.ask("return card.querySelector('.view img').style.transform").endswith("scale(3)")
        assert page.item() == item
        assert page.ask("return visualViewport.scale") == 1
    assert server.tracebacks() == []


@contextmanager
def tablet(browser: Chrome) -> Iterator[None]:
    """A screen that is touched."""
    size = {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        size |= {"width": 1280, "height": 800, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def touch(browser: Chrome, kind: str, *places: tuple[float, float]) -> None:
    points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
