"""Table rows are shown as a table, and a finger on a tablet judges like a key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.browser.page import CardPage
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

    size = {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        first = page.item()
        box = page.ask(
            "const b = card.querySelector('.verdict').getBoundingClientRect(); "
            "return {x: b.x + b.width / 2, y: b.y + b.height / 2, height: b.height}"
        )
        assert box["height"] >= 40  # a fingertip
        assert page.ask("return document.documentElement.scrollWidth <= innerWidth")
        point = {"x": box["x"], "y": box["y"]}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_saved(1)
        assert page.item() != first
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        size |= {"width": 1280, "height": 800, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert server.tracebacks() == []
