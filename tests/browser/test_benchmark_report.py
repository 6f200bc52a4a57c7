"""The benchmark report from disk, without a network, in Chromium: no error, figures drawn, controls work, prints."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By

from auditor.benchmark.command import run_benchmark
from auditor.core.config import Settings
from auditor.core.progress import SilentProgress
from auditor.report.pdf import print_pdf

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published CIFAR-10 benchmark with pictures."""
    out = tmp_path_factory.mktemp("bench")
    place = data_dir / "label_errors" / "cifar10"
    settings = Settings(data_dirs=(data_dir,), cache_dir=out / "cache", offline=True)
    run_benchmark(
        settings,
        SilentProgress(),
        reference="cifar10?split=test",
        predictions=data_dir / "predictions" / "cifar10",
        verdicts=place / "mturk.json",
        draws=1000,
        out=out / "b",
        command="auditor benchmark cifar10",
    )
    return out / "b"


def test_opens_from_disk_offline_without_errors(
    folder: Path, open_browser: Callable[..., Chrome], tmp_path: Path
) -> None:
    browser = open_browser()
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    try:
        browser.get_log("browser")  # of earlier pages
        browser.get((folder / "report.html").as_uri())  # waits until it is loaded, pictures too
        assert len(browser.find_elements(By.CSS_SELECTOR, "#slope g")) == 13
        assert len(browser.find_elements(By.CSS_SELECTOR, "#curves path")) >= 26
        images = browser.find_elements(By.CSS_SELECTOR, ".card img")
        assert len(images) == 18
        assert all(browser.execute_script("return arguments[0].naturalWidth > 0", i) for i in images)
        _controls(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.get_log("browser") == []
        where = ROOT / "docs" / "images" if os.environ.get("AUDITOR_SCREENSHOTS") else tmp_path
        browser.execute_script("scrollTo(0, 0)")
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1180, "height": 1330, "deviceScaleFactor": 1, "mobile": False},
        )
        time.sleep(0.3)
        (where / "benchmark-report.png").write_bytes(browser.get_screenshot_as_png())
        browser.execute_script("document.getElementById('curves').closest('.chart').scrollIntoView()")
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1180, "height": 800, "deviceScaleFactor": 1, "mobile": False},
        )
        time.sleep(0.3)
        (where / "benchmark-curves.png").write_bytes(browser.get_screenshot_as_png())
    finally:
        browser.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
        )
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False},
        )


def _controls(browser: Chrome) -> None:
    """At today's prevalence vgg11_bn is last; among corrected rows alone it is first. A click follows a model."""
    first = "return document.querySelector('#order li').textContent"
    assert "vgg13_bn" in browser.execute_script(first)
    slide = "const r = document.getElementById('at'); r.value = 1000; r.dispatchEvent(new Event('input'))"
    browser.execute_script(slide)
    assert "vgg11_bn" in browser.execute_script(first)
    browser.execute_script("document.getElementById('labels').click()")
    assert "googlenet" in browser.execute_script(first)
    browser.execute_script("document.getElementById('labels').click()")
    chosen = "return [...document.querySelectorAll('#order li.on')].map((row) => row.textContent).join()"
    before = browser.execute_script(chosen)
    row = next(r for r in browser.find_elements(By.CSS_SELECTOR, "#order li") if "resnet34" in r.text)
    ActionChains(browser).move_to_element(row).click().perform()
    assert "resnet34" not in before
    assert "resnet34" in browser.execute_script(chosen)


def test_prints_to_pdf(folder: Path, chromium: tuple[str, str], tmp_path: Path) -> None:
    print_pdf((folder / "report.html").read_text(), tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").stat().st_size > 50_000
