"""Pictures of every page for docs/images: CIFAR-10 findings with the published votes of real people, news, a table.

``AUDITOR_SCREENSHOTS=1 pytest -m slow tests/browser/test_screenshots.py`` writes them to ``docs/images``; without the
variable they go to a temporary folder. ``AUDITOR_SCREENSHOT_RUN`` names a finished CIFAR-10 run with embeddings to
copy, which saves the minute of training.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.page import FITS, MAP, CardPage
from tests.running import call

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 150_000


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """A CIFAR-10 run with the published votes in its store, its detectors, and the benchmark they give."""
    from auditor.audit.detector_scores import detector_scores
    from auditor.benchmark.command import run_benchmark
    from auditor.core.config import Settings
    from auditor.core.progress import SilentProgress
    from auditor.patch.importing import import_verdicts
    from auditor.runs.run import open_run
    from auditor.ui.config import ReviewConfig
    from auditor.ui.workspace import open_workspace

    path = tmp_path_factory.mktemp("shots") / "cifar10-quick"
    if ready := os.environ.get("AUDITOR_SCREENSHOT_RUN"):
        shutil.copytree(ready, path)
    else:
        call("find-errors", "cifar10", "--budget", "quick", "--embeddings", "log-probabilities", "--out", str(path))
    run = open_run(path)
    opened = open_workspace(ReviewConfig(run=str(path)))
    verdicts = data_dir / "label_errors" / "cifar10" / "mturk.json"
    import_verdicts(run, verdicts, opened.store)
    opened.store.close()
    detector_scores(run)
    settings = Settings(data_dirs=(data_dir,), cache_dir=path.parent / "cache", offline=True)
    run_benchmark(
        settings,
        SilentProgress(),
        reference="cifar10?split=test",
        predictions=data_dir / "predictions" / "cifar10",
        verdicts=verdicts,
        out=path / "benchmark",
        command="auditor benchmark cifar10",
    )
    return path


def _save(browser: Chrome, folder: Path, name: str) -> None:
    image = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    for colours in (None, 256, 128, 64):
        buffer = io.BytesIO()
        reduced = image if colours is None else image.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG)
        reduced.save(buffer, "PNG", optimize=True)
        if buffer.tell() < LIMIT:
            break
    assert buffer.tell() < LIMIT
    (folder / f"{name}.png").write_bytes(buffer.getvalue())


def _settled(browser: Chrome, text: str) -> None:
    """The page shows `text` and nothing is running."""
    deadline = time.monotonic() + 40
    while True:
        body = browser.find_element(By.TAG_NAME, "body").text
        running = browser.find_elements(By.CSS_SELECTOR, "[data-testid=stStatusWidget]")
        if text in body and not running:
            time.sleep(3.0)  # pictures
            return
        assert time.monotonic() < deadline, f"{text!r} is not there: {body[:1500]}"
        time.sleep(0.2)


def judge_as_published(page: CardPage, votes: Path, count: int) -> None:
    """The first items that `ann` is shown, judged as most of five people did; as labelled where nobody was asked."""
    asked = {f"test/{item['id']}": item["mturk"] for item in json.loads(votes.read_text(encoding="utf-8"))}
    keys = {"given": "g", "guessed": "1", "neither": "n", "both": "b"}
    for done in range(1, count + 1):
        said = asked.get(str(page.item()), {"given": 5})
        page.press(keys[max(said, key=said.__getitem__)])
        page.wait_saved(done)


@pytest.mark.slow
def test_pictures_of_every_page(
    cifar10: Path, serve: Callable[..., Any], open_browser: Callable[..., Chrome], tmp_path: Path, data_dir: Path
) -> None:
    folder = tmp_path
    if os.environ.get("AUDITOR_SCREENSHOTS"):
        folder = ROOT / "docs" / "images"
    server = serve(cifar10, data_dir=data_dir)
    browser = open_browser()
    page = CardPage(browser, server.url, "ann")
    judge_as_published(page, data_dir / "label_errors" / "cifar10" / "mturk.json", 40)
    time.sleep(1.5)
    _save(browser, folder, "review")
    page.press("h")
    time.sleep(0.4)
    _save(browser, folder, "review-keys")
    page.press("h")
    page.press("w")
    looked = (
        "const maps = [...card.querySelectorAll('.maps img')]; return maps.length && maps.every((m) => m.naturalWidth)"
    )
    page.wait(lambda: page.ask(looked), "where the network looked", 60)
    page.wait(lambda: page.ask("return card.querySelectorAll('.neighbours:not(.maps) img').length"), "neighbours", 60)
    time.sleep(0.5)
    page.ask("card.querySelector('.side').scrollIntoView()")
    _save(browser, folder, "review-why")
    page.press("w")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": False}
    )
    time.sleep(1.0)
    assert page.ask(FITS)
    assert page.ask("return card.scrollWidth <= card.clientWidth + 1")
    _save(browser, folder, "review-tablet")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    page = CardPage(browser, server.url, "ann", "disagreements")
    time.sleep(1.5)
    _save(browser, folder, "disagreements")
    for name, text in (
        ("overview", "labels are wrong"),
        ("gallery", "flagged items"),
        ("quality", "Copies and near copies"),
        ("export", "Download the patch"),
        ("benchmark", "Rank changes that are real"),
    ):
        browser.get(f"{server.url}/{name if name != 'overview' else ''}?reviewer=ann")
        _settled(browser, text)
        _save(browser, folder, name)
    browser.get(f"{server.url}/map?reviewer=ann")
    page.wait(lambda: browser.execute_script(MAP + "return map?.dataset.points"), "points")
    time.sleep(2.0)
    _save(browser, folder, "map")
    assert server.tracebacks() == []


@pytest.mark.slow
def test_pictures_of_texts_and_rows(
    serve: Callable[..., Any], open_browser: Callable[..., Chrome], tmp_path: Path, data_dir: Path
) -> None:
    """AG News with its published noisy labels, and the breast cancer table with one label in twenty turned round."""
    from sklearn.datasets import load_breast_cancer

    folder = ROOT / "docs" / "images" if os.environ.get("AUDITOR_SCREENSHOTS") else tmp_path
    news = pd.read_csv(data_dir / "text" / "noisy_agnews_10k.csv", nrows=2000)
    news["label"] = np.array(["World", "Sports", "Business", "Sci/Tech"])[news["label"]]
    news[["text", "label"]].to_csv(tmp_path / "news.csv", index=False)
    table = load_breast_cancer(as_frame=True)
    turned = np.random.default_rng(0).random(len(table.target)) < 0.05
    rows = table.data.assign(label=np.array(["malignant", "benign"])[(table.target ^ turned).astype(int)])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for name, columns, more in (("text", "text=text&label=label", ("--model", "tfidf")), ("table", "label=label", ())):
        source = tmp_path / ("news.csv" if name == "text" else "rows.csv")
        call("find-errors", f"csv://{source}?{columns}", *more, "--out", str(tmp_path / name))
        server, browser = serve(tmp_path / name), open_browser()
        page = CardPage(browser, server.url, "ann")
        page.judge("gn", 300)
        page.wait_saved(2)
        time.sleep(1.0)
        _save(browser, folder, f"review-{name}")
        browser.get(f"{server.url}/gallery?reviewer=ann")
        _settled(browser, "flagged items")
        _save(browser, folder, f"gallery-{name}")
        assert server.tracebacks() == []
