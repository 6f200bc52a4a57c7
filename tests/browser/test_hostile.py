"""Class names, texts and file names that try to become code: shown as they are, never run."""

from __future__ import annotations

import csv
import io
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from auditor.ui.config import ReviewConfig, configure
from auditor.ui.payload import face, hand_data
from auditor.ui.views.export import verdict_csv
from auditor.ui.workspace import close_workspace, open_workspace, workspace
from tests.browser.page import CardPage
from tests.running import call
from tests.ui.client import local_client
from tests.ui.events import events_on

EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
CLASSES = (f"{EVIL}sport", "=cmd|' /C calc'!A0 **money** [x](javascript:window.hacked=1)")
WORDS = (["goal", "match", "team", "player", "coach"], ["stock", "market", "bank", "price", "trade"])


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over 120 texts, every 15th with the other label."""
    folder = tmp_path_factory.mktemp("hostile")
    draw = random.Random(0)
    with open(folder / "texts.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for i in range(120):
            kind = i % 2
            label = CLASSES[kind if i % 15 else 1 - kind]
            writer.writerow([f"{EVIL} {' '.join(draw.choices(WORDS[kind], k=6))} </p><b>{i}</b>", label])
    data = f"csv://{folder / 'texts.csv'}?text=text&label=label"
    call("find-errors", data, "--model", "tfidf", "--out", str(folder / "run"))
    return folder / "run"


@pytest.mark.slow
def test_nothing_of_the_data_is_run(texts: Path, serve: Callable[..., Any], open_browser: Callable[..., Any]) -> None:
    server = serve(texts)
    page = CardPage(open_browser(), server.url, "ann")
    shown = page.ask("return card.querySelector('.text').textContent")
    assert shown.startswith(EVIL)
    assert page.given() in CLASSES
    assert page.ask("return card.querySelectorAll('mark').length") > 0
    assert page.ask("return card.querySelectorAll('script, .text img, b, [onerror]').length") == 0
    # The card's own link is that of the item; none is made of what the data says.
    links = page.ask("return [...card.querySelectorAll('a')].map((a) => a.href)")
    assert all(link.startswith(f"{server.url}/review") for link in links), links
    for key in ("w", "/", "\ue00c", "h", "h", "u"):
        page.press(key)
        time.sleep(0.3)
    page.wait_saved(1)
    for other in ("", "gallery", "quality", "export", "disagreements", "review"):
        page.browser.get(f"{server.url}/{other}?reviewer=%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E")
        time.sleep(2.5)
        assert page.browser.execute_script("return window.hacked") is None, other
    assert server.tracebacks() == []


@pytest.mark.slow
def test_texts_are_marked_and_cells_are_no_formulas(texts: Path) -> None:
    ws = open_workspace(ReviewConfig(run=str(texts)))
    items = ws.store.next_batch("=1+1", 50)
    hand = hand_data(ws, items, "=1+1")
    for item in hand["batch"]:
        for start, end, side in item["marks"]:
            word = item["text"][start:end]
            name = item["suggested"] if side else item["given"]
            assert word in WORDS[CLASSES.index(name)]
    assert any(item["marks"] for item in hand["batch"])
    assert all("text" in e for faces in hand["exemplars"].values() for e in faces)
    ws.store.submit("=1+1", events_on(items, "given"))
    cells = [cell for row in csv.reader(io.StringIO(verdict_csv(ws.store.votes()))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    ws.store.close()


def _png(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.slow
def test_broken_and_oversized_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, name in enumerate(("<b>red<", "blue..")):
        (tmp_path / "img" / name).mkdir(parents=True)
        for i in range(30):
            pixels = rng.integers(0, 80, (16, 16, 3), dtype=np.uint8)
            pixels[..., 0 if (kind == 0) != (i == 3) else 2] += 150
            Image.fromarray(pixels).save(tmp_path / "img" / name / f"{i} <i>.png")
    head = b"\x89PNG\r\n\x1a\n"
    (tmp_path / "img" / "blue.." / "broken.png").write_bytes(head + b"junk" * 20)
    size = _png(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    bomb = head + size + _png(b"IDAT", zlib.compress(b"\0" * 1000)) + _png(b"IEND", b"")
    (tmp_path / "img" / "blue.." / "bomb.png").write_bytes(bomb)
    call("find-errors", f"folder://{tmp_path / 'img'}", "--model", "pixels", "--out", str(tmp_path / "run"))
    configure(ReviewConfig(run=str(tmp_path / "run")))
    try:
        ws = workspace()
        assert ws is not None
        client = local_client()
        codes = {}
        for item in ws.store.next_batch("ann", 50):
            address = face(ws, item.content_hash, 192)["src"]
            codes.setdefault(client.get(address).status_code, []).append(item.item_id)
            hand_data(ws, [item], "ann")
        assert {Path(i).name for i in codes[404]} <= {"broken.png", "bomb.png"}
        assert len(codes[404]) == 2
        assert len(codes[200]) > 10
    finally:
        close_workspace()
        configure(ReviewConfig())
