"""The review app on 1,000,000 findings: opening, pages, filters, orders and search of the gallery, memory.

    python benchmarks/review_app.py [--items 1000000]
    python benchmarks/review_app.py --map [--items 100000]

Writes a generated run folder, takes it into its store once, then opens it in a fresh process as the server does and
runs the pages' scripts; `cold_` are those of a visitor who comes at the moment a server starts, each with a server of
its own, from before the run is opened. The browser and the pictures are not part of it.

``--map`` measures the map instead, in Chromium without a graphics card: how long its layouts take once (UMAP where it
is installed), then, on a server that has them, from asking for the page until the points stand, and how many frames a
second follow a finger that drags the map.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).parent / "results" / "review-app.json"
MAP_RESULTS = RESULTS.with_name("review-map.json")
CLASSES = 100
#: Pages that a visitor may come to first.
COLD = ("Overview", "Review", "Gallery")


def write_run(folder: Path, n: int) -> None:
    """A run folder of `n` flagged items in the layout of `docs/run-folder.md`; its pictures do not exist."""
    import pandas as pd

    from auditor.runs import layout
    from auditor.runs.tables import write_array, write_table

    rng = np.random.default_rng(0)
    names = np.array([f"class {k:03d}" for k in range(CLASSES)], dtype=object)
    label = rng.integers(0, CLASSES, n)
    suggested = (label + rng.integers(1, CLASSES, n)) % CLASSES
    probabilities = rng.random((n, CLASSES), dtype=np.float32)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    ids = np.array([f"train/{i}" for i in range(n)], dtype=object)
    hashes = np.array([f"sha256:{i * 11400714819323198485 % 2**64:016x}{i:048x}" for i in range(n)], dtype=object)
    index = np.arange(n)
    folder.mkdir(parents=True)
    items = pd.DataFrame(
        {
            "id": ids,
            "index": index,
            "split": "train",
            "label": label,
            "given": names[label],
            "status": "audited",
            "fold": 0,
            "group": index // 2,
            "content_hash": hashes,
            "path": None,
        }
    )
    write_table(folder / layout.ITEMS, items, "auditor.items/1")
    scores = pd.DataFrame(
        {
            "rank": index + 1,
            "id": ids,
            "index": index,
            "split": "train",
            "row": index,
            "given": names[label],
            "suggested": names[suggested],
            "p_given": probabilities[index, label],
            "p_suggested": probabilities[index, suggested],
            "score": np.sort(rng.normal(size=n))[::-1],
            "flagged": rng.random(n) < 0.999,
        }
    )
    write_table(folder / layout.SCORES, scores, "auditor.scores/1")
    findings = scores.drop(columns=["row", "flagged"]).assign(code="LE001", message="labelled otherwise")
    write_table(folder / layout.FINDINGS, findings, "auditor.findings/1")
    write_array(folder / layout.PRED_PROBS, probabilities)
    write_array(folder / layout.AUDITED, index)
    manifest = {
        "schema": layout.RUN_SCHEMA,
        "started": "2026-01-01T00:00:00+00:00",
        "config": {},
        "stages": [],
        "data": {
            "name": "generated",
            "reference": "digits",
            "modality": "image",
            "n_items": n,
            "fingerprint": f"generated, {n} items",
            "class_names": names.tolist(),
            "hash_scheme": "sha256-rgb-bytes",
        },
        "counts": {"n_items": n, "n_audited": n, "n_flagged": n, "n_undecodable": 0},
    }
    (folder / layout.MANIFEST).write_text(json.dumps(manifest))


def take_in(folder: Path) -> dict[str, Any]:
    from auditor.ui.config import ReviewConfig
    from auditor.ui.workspace import open_workspace

    started = time.perf_counter()
    open_workspace(ReviewConfig(run=str(folder))).store.close()
    return {"taken_into_the_store_s": round(time.perf_counter() - started, 1), "taking_in_peak_rss_mib": _peak()}


def use(folder: Path) -> dict[str, Any]:
    from streamlit.testing.v1 import AppTest

    import auditor.ui.views  # noqa: F401 - what a server has imported before the first visitor
    from auditor.ui.config import ReviewConfig, configure
    from auditor.ui.workspace import workspace

    configure(ReviewConfig(run=str(folder), reviewer="ann"))
    result: dict[str, Any] = {"imports_rss_mib": _rss()}
    started = time.perf_counter()
    opened = workspace()
    assert opened is not None
    result["open_ms"] = _ms(started)
    started = time.perf_counter()
    opened.rows.warm()  # as the server does in the background when it starts
    result["rows_ms"], started = _ms(started), time.perf_counter()
    assert len(opened.catalogue) > 0
    result["catalogue_ms"] = _ms(started)
    apps = {}
    for name in ("Overview", "Review", "Gallery", "Duplicates & quality"):
        app = apps[name] = AppTest.from_function(_page, args=(name,), default_timeout=300)
        result[f"{name}_first_ms"] = _timed(app)
        result[f"{name}_again_ms"] = sorted(_timed(app) for _ in range(5))[2]
    gallery = apps["Gallery"]
    result |= _spread(
        "gallery_next_page", gallery, [lambda k=k: gallery.pagination[0].set_value(k) for k in range(2, 22)]
    )
    for name, values in {
        "given": [f"class {k:03d}" for k in range(20)],
        "suggested": [f"class {k:03d}" for k in range(20)],
        "order": ["suspicious", "sure", "given"],
        "state": ["open", "judged", "todo"],
        "items": ["all", "unflagged", "flagged"],
    }.items():
        changes = [lambda v=v, n=name: gallery.selectbox(key=f"filter-{n}").set_value(v) for v in values]
        result |= _spread(f"gallery_filter_{name}", gallery, changes)
        gallery.query_params.clear()
        gallery.run()
    words = ["train/77", "train/123456", "9999", "5 6", "nothing"]
    search = [lambda w=w: gallery.text_input(key="filter-words").set_value(w) for w in words]
    result |= _spread("gallery_search", gallery, search)
    started = time.perf_counter()
    opened.rows.row_of_hash(opened.rows.facts(777)["content_hash"])
    result["hash_look_up_ms"] = round(1000 * (time.perf_counter() - started), 3)
    result["rss_mib"] = _rss()
    result["peak_rss_mib"] = _peak()
    return result


def cold(folder: Path, page: str) -> dict[str, Any]:
    """The first page while a server reads ahead what all of them need."""
    from streamlit.testing.v1 import AppTest

    import auditor.ui.views  # noqa: F401
    from auditor.ui.config import ReviewConfig, configure
    from auditor.ui.workspace import workspace

    configure(ReviewConfig(run=str(folder), reviewer="ann"))
    app = AppTest.from_function(_page, args=(page,), default_timeout=300)
    started = time.perf_counter()
    opened = workspace()
    assert opened is not None

    def ahead() -> None:  # `Workspace.warm` without the data, which this run does not have
        _ = opened.catalogue
        opened.rows.warm()

    threading.Thread(target=ahead, daemon=True).start()
    _timed(app)
    return {f"cold_{page}_ms": _ms(started)}


def _page(name: str) -> None:
    from auditor.ui import workspace as workspaces
    from auditor.ui.views import PAGES

    opened = workspaces.workspace()
    assert opened is not None
    next(call for title, _, _, call in PAGES if title == name)(opened)


def _spread(name: str, app: Any, changes: list[Callable[[], Any]]) -> dict[str, float]:
    """Median and worst of the runs of the page after each change."""
    times = []
    for change in changes:
        change()
        times.append(_timed(app))
    return {f"{name}_median_ms": sorted(times)[len(times) // 2], f"{name}_worst_ms": max(times)}


def _timed(app: Any) -> float:
    started = time.perf_counter()
    app.run()
    assert not app.exception, app.exception
    return _ms(started)


def _ms(started: float) -> float:
    return round(1000 * (time.perf_counter() - started), 1)


def _rss() -> int:
    return int(psutil.Process().memory_info().rss >> 20)


def _peak() -> int:
    # Not getrusage: its figure is inherited from the process that started this one.
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) >> 10


def measure(n: int, folder: Path) -> dict[str, Any]:
    """All figures; each step in a process of its own."""
    from auditor.core.machine import describe_machine

    write_run(folder / "run", n)
    result: dict[str, Any] = {"items": n, "classes": CLASSES, "machine": describe_machine()}
    for step in ("take_in", "use", *COLD):
        command = [sys.executable, str(Path(__file__)), "--step", step, "--folder", str(folder / "run")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result |= json.loads(done.stdout.splitlines()[-1])
    return result


#: Drags the map in a circle, one step a frame, for three seconds; gives the frames it drew a second.
DRAG = """
const done = arguments[arguments.length - 1], canvas = map.querySelector('canvas');
const box = canvas.getBoundingClientRect(), start = performance.now();
const send = (kind, angle) => canvas.dispatchEvent(new PointerEvent(kind, {pointerId: 1, bubbles: true,
  clientX: box.x + box.width / 2 + 150 * Math.cos(angle), clientY: box.y + box.height / 2 + 150 * Math.sin(angle)}));
canvas.setPointerCapture = () => {};
send('pointerdown', 0);
let frames = 0;
const step = () => {
  const seconds = (performance.now() - start) / 1000;
  if (seconds > 3) { send('pointercancel', 0); done(frames / seconds); return; }
  send('pointermove', 2 * seconds);
  frames++;
  requestAnimationFrame(step);
};
requestAnimationFrame(step);
"""


def measure_map(n: int, folder: Path) -> dict[str, Any]:
    """Figures of the map of `n` items with embeddings of 64 numbers in 100 clusters."""
    import shutil

    from auditor.audit.item_map import make_maps
    from auditor.core.machine import describe_machine
    from auditor.runs import layout
    from auditor.runs.run import open_run
    from auditor.runs.stages import Stages
    from auditor.runs.tables import write_array
    from tests.browser.page import MAP, open_chromium
    from tests.browser.server import TOKEN, ReviewServer

    run = folder / "run"
    write_run(run, n)
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(CLASSES, 64))
    write_array(run / layout.EMBEDDINGS, (centres[rng.integers(0, CLASSES, n)] + rng.normal(size=(n, 64))).astype("f2"))
    manifest = json.loads((run / layout.MANIFEST).read_text()) | {"embeddings": {"name": "generated"}}
    (run / layout.MANIFEST).write_text(json.dumps(manifest))
    result: dict[str, Any] = {"items": n, "classes": CLASSES, "machine": describe_machine()}
    made = [m.layout for m in make_maps(open_run(run))]
    steps = [("pca",), ("neighbours", "umap")][: len(made)]
    records = {step: Stages(run).record(f"map-{step}") for part in steps for step in part}
    result["layout_s"] = {step: record.seconds for step, record in records.items() if record is not None}
    result["layout_peak_rss_mib"] = _peak()
    take_in(run)
    server = ReviewServer(run).start()
    browser = open_chromium(shutil.which("chromium") or "", shutil.which("chromedriver") or "", 1440, 900)
    browser.set_script_timeout(60)
    try:
        points = MAP + "return map?.dataset.points"
        waits: list[float] = []
        for visit in range(6):
            browser.get("about:blank")
            started = time.perf_counter()
            browser.get(f"{server.url}/map?reviewer=ann" + ("" if visit else f"&token={TOKEN}"))
            while browser.execute_script(points) != str(n):
                time.sleep(0.02)
            waits.append(round(time.perf_counter() - started, 2))
        result |= {"first_visit_s": waits[0], "open_median_s": sorted(waits[1:])[2], "open_worst_s": max(waits[1:])}
        result["drawn_by"] = browser.execute_script(MAP + "return map.dataset.painter")
        result["frames_a_second"] = round(browser.execute_async_script(MAP + DRAG), 1)
    finally:
        browser.quit()
        server.kill()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int)
    parser.add_argument("--map", action="store_true")
    parser.add_argument("--step", choices=["take_in", "use", *COLD])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.step:
        steps = {"take_in": take_in, "use": use} | {page: partial(cold, page=page) for page in COLD}
        print(json.dumps(steps[asked.step](asked.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        measured, results, most = (measure_map, MAP_RESULTS, 100_000) if asked.map else (measure, RESULTS, 1_000_000)
        result = measured(asked.items or most, Path(folder))
    results.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
