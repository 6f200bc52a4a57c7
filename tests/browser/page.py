"""Reading and driving the review card in a headless browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.browser.server import TOKEN

__all__ = ["FITS", "GRID", "MAP", "CardPage", "open_chromium"]

#: The card lives in a shadow root.
FIND = """
const find = (root) => {
  for (const node of root.querySelectorAll('*')) {
    if (node.matches('.card')) return node;
    if (node.shadowRoot) { const found = find(node.shadowRoot); if (found) return found; }
  }
  return null;
};
const card = find(document);
"""


#: And so does the gallery.
GRID = """
const find = (root) => {
  for (const node of root.querySelectorAll('*')) {
    if (node.matches('.gallery')) return node;
    if (node.shadowRoot) { const found = find(node.shadowRoot); if (found) return found; }
  }
  return null;
};
const gallery = find(document);
"""

#: And the map.
MAP = GRID.replace(".gallery", ".map").replace("const gallery", "const map")

#: Whether the page need not be scrolled sideways. What scrolls is a part of Streamlit's, never the document.
FITS = """
return [document.documentElement, ...document.querySelectorAll('[data-testid=stMain]')].every(
  (part) => part.scrollWidth <= part.clientWidth)
"""


def open_chromium(binary: str, driver: str, width: int = 1280, height: int = 800) -> Chrome:
    """A headless browser with an empty profile."""
    options = Options()
    options.binary_location = binary
    flags = (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--force-device-scale-factor=1",
        "--disable-background-networking",
        "--disable-component-update",
        f"--window-size={width},{height}",
    )
    for flag in flags:
        options.add_argument(flag)
    browser = Chrome(options=options, service=Service(driver))
    browser.set_page_load_timeout(240)
    # The window's frame takes height; the page is to have exactly this size.
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    return browser


class CardPage:
    """The Review page of one reviewer."""

    def __init__(self, browser: Chrome, url: str, reviewer: str, page: str = "review") -> None:
        self.browser = browser
        browser.get(f"{url}/{page}?reviewer={reviewer}&token={TOKEN}")
        self.wait(lambda: self.item() is not None, "the card shows an item")

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                text = self.browser.execute_script("return document.body.innerText")
                raise AssertionError(f"not after {seconds} s: {what}; the page says: {text[:1500]}")
            time.sleep(0.05)

    def ask(self, code: str) -> Any:
        return self.browser.execute_script(FIND + code)

    def item(self) -> str | None:
        """Id of the item on screen."""
        return self.ask("return card?.querySelector('figcaption code')?.textContent ?? null")

    def given(self) -> str:
        return str(self.ask("return card.querySelector('figcaption strong').textContent"))

    def status(self) -> str:
        return str(self.ask("return card?.querySelector('.saved')?.textContent ?? ''"))

    def press(self, keys: str) -> None:
        ActionChains(self.browser).send_keys(keys).perform()

    def burst(self, keys: str, gap_ms: int) -> None:
        """Real key events, sent by the browser's own input, `gap_ms` apart."""
        for key in keys:
            begin = time.monotonic()
            for kind in ("keyDown", "keyUp"):
                event = {
                    "type": kind,
                    "key": key,
                    "code": f"Key{key.upper()}",
                    "windowsVirtualKeyCode": ord(key.upper()),
                }
                if kind == "keyDown":
                    event["text"] = key
                self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", event)
            time.sleep(max(0.0, gap_ms / 1000 - (time.monotonic() - begin)))

    def judge(self, keys: str, gap_ms: int) -> None:
        """The same for verdicts: a hand is small until a few of them have told how quick the reviewer is."""
        self.burst(keys[:4], gap_ms)
        if keys[4:]:
            self.wait(lambda: self.in_hand() >= len(keys) - 4, "a hand for a quick reviewer")
            self.burst(keys[4:], gap_ms)

    def in_hand(self) -> int:
        return int(self.status().split("·")[1].split()[0])

    def wait_saved(self, count: int, seconds: float = 240.0) -> None:
        self.wait(
            lambda: self.status().startswith(f"saved {count} ·"), f"saved {count}, now {self.status()!r}", seconds
        )
