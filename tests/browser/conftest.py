"""A real run, a real server, a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("streamlit", reason="streamlit is not installed")

from selenium.webdriver import Chrome

from tests.browser.page import open_chromium
from tests.browser.server import ReviewServer
from tests.conftest import DigitsRun


@pytest.fixture
def run(digits_run: DigitsRun) -> Path:
    """A finished run over digits without verdicts."""
    return digits_run.path


@pytest.fixture
def serve() -> Iterator[Callable[..., ReviewServer]]:
    """Start servers that end with the test."""
    started: list[ReviewServer] = []

    def start(run: Path, **options: object) -> ReviewServer:
        started.append(ReviewServer(run, **options))  # type: ignore[arg-type]
        return started[-1].start()

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """Paths of the browser and its driver; without them the test is skipped, and in CI it fails."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver") or shutil.which("chromium.chromedriver")
    if browser is None or driver is None:
        reason = "no Chromium and chromedriver here; Debian: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return browser, driver


@pytest.fixture(scope="session")
def first_browser(chromium: tuple[str, str]) -> Iterator[Chrome]:
    """One browser for all tests: every server has a port, and so a storage, of its own."""
    browser = open_chromium(*chromium)
    yield browser
    browser.quit()


@pytest.fixture
def open_browser(first_browser: Chrome, chromium: tuple[str, str]) -> Iterator[Callable[..., Chrome]]:
    """The first call gives the shared browser, further ones open others, which close with the test."""
    opened: list[Chrome] = []

    def start() -> Chrome:
        if first_browser not in opened:
            opened.append(first_browser)
        else:
            opened.append(open_chromium(*chromium))
        return opened[-1]

    yield start
    for browser in opened[1:]:
        browser.quit()
    first_browser.get("about:blank")
