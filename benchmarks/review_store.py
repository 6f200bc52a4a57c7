"""The verdict store at full size: 1,000,000 findings loaded, opened, paged and handed out; many reviewers at once.

    python benchmarks/review_store.py [--items 1000000] [--verdicts 100000] [--postgres] [--reviewers]

`--postgres` starts a server of its own in a temporary folder, without fsync: its times for writing are lower than a
real server's. Times are of one process on a machine that may have
other work; every figure is the median and the worst of its repeats.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).parent / "results" / "review-store.json"
CLASSES = 100


def generated(n: int) -> Any:
    """A run of `n` items, all findings, ids as long as real ones."""
    import pandas as pd

    from tests.review.cases import TableRun

    rng = np.random.default_rng(0)
    names = np.array([f"class {k:03d}" for k in range(CLASSES)], dtype=object)
    given = rng.integers(0, CLASSES, n)
    suggested = (given + rng.integers(1, CLASSES, n)) % CLASSES
    ids = np.array([f"sha256:{i * 2654435761 % 2**64:064x}" for i in range(n)], dtype=object)
    scores = pd.DataFrame(
        {
            "id": ids,
            "index": np.arange(n),
            "split": "test",
            "row": np.arange(n),
            "given": names[given],
            "suggested": names[suggested],
            "p_given": rng.random(n),
            "p_suggested": rng.random(n),
            "score": np.sort(rng.normal(size=n))[::-1],
        }
    )
    findings = scores.drop(columns="row").assign(code="LE001", message="labelled otherwise, the model disagrees")
    return TableRun(
        "generated", "generated", tuple(names), pd.DataFrame({"id": ids, "content_hash": ids}), scores, findings
    )


def timed(call: Callable[[], Any], repeats: int = 20) -> tuple[dict[str, float], Any]:
    """Median and worst milliseconds of `call`, and its last result."""
    took, result = [], None
    for _ in range(repeats):
        started = time.perf_counter()
        result = call()
        took.append(1000 * (time.perf_counter() - started))
    return {"median_ms": round(float(np.median(took)), 2), "worst_ms": round(max(took), 2)}, result


def load(where: str, n: int) -> dict[str, Any]:
    from auditor.review.loading import QueuePlan
    from auditor.review.store import VerdictStore

    run = generated(n)
    started = time.perf_counter()
    with VerdictStore.open(where) as store:
        store.load_run(run, QueuePlan(audit_size=10_000), detections={"every tenth": run.scores["id"].to_numpy()[::10]})
    return {"load_s": round(time.perf_counter() - started, 1)}


def use(where: str, verdicts: int) -> dict[str, Any]:
    """In a process of its own: open, page, hand out, take in. Peak memory is this process's."""
    started = time.perf_counter()
    from auditor.review.readout import PageFilter
    from auditor.review.store import VerdictStore

    imported = time.perf_counter()
    store = VerdictStore.open(where)
    store.page(limit=50)
    opened = time.perf_counter()
    found: dict[str, Any] = {
        "import_s": round(imported - started, 2),
        "open_and_first_page_s": round(opened - imported, 3),
    }
    found["empty"] = _pages(store, PageFilter)
    rng = np.random.default_rng(1)
    took: list[float] = []
    handed: list[float] = []
    for k in range(max(1, verdicts // 500)):
        reviewer = f"reviewer-{k % 5}"
        before = time.perf_counter()
        batch = store.next_batch(reviewer, 500)
        between = time.perf_counter()
        events = [
            {
                "uuid": str(uuid.UUID(bytes=rng.bytes(16))),
                "item_id": i.item_id,
                "shown_label": i.given,
                "shown_suggested": i.suggested,
                "verdict": ("given", "suggested")[rng.integers(2)],
                "ms": 900,
            }
            for i in batch
        ]
        middle = time.perf_counter()
        result = store.submit(reviewer, events)
        if result.refused or len(result.accepted) != len(events):
            raise RuntimeError(f"refused: {result.refused[:3]}")
        handed.append(1000 * (between - before))
        took.append(1000 * (time.perf_counter() - middle))
    found["batch_of_500_ms"] = round(float(np.median(handed)), 1)
    found["submit_500_ms"] = round(float(np.median(took)), 1)
    found["verdicts"] = store.progress().verdicts
    found["reviewed"] = _pages(store, PageFilter)
    found["next_batch_50_new_reviewer"], _ = timed(lambda: store.next_batch(str(uuid.uuid4()), 50), 20)
    found["next_batch_50_same"], hand = timed(lambda: store.next_batch("reviewer-0", 50), 20)
    found["submit_1"] = timed(_one(store, list(hand)), 20)[0]
    found["progress"], _ = timed(store.progress, 3)
    found["peak_memory_mib"] = round(_peak() / 2**20)
    store.close()
    return found


def _one(store: Any, hand: list[Any]) -> Callable[[], None]:
    def call() -> None:
        item = hand.pop()
        event = {
            "uuid": str(uuid.uuid4()),
            "item_id": item.item_id,
            "shown_label": item.given,
            "shown_suggested": item.suggested,
            "verdict": "given",
        }
        store.submit("reviewer-0", [event])

    return call


def _pages(store: Any, PageFilter: Any) -> dict[str, Any]:
    walk = {"after": None}

    def following() -> None:
        walk["after"] = store.page(after=walk["after"], limit=50).after

    filters = {
        "class pair": PageFilter(given="class 003", suggested="class 004"),
        "suggested": PageFilter(suggested="class 004"),
        "score range": PageFilter(min_score=-0.5, max_score=0.0),
        "detector": PageFilter(detector="every tenth"),
        "verdict": PageFilter(verdict="suggested"),
        "reviewer": PageFilter(reviewer="reviewer-1"),
        "not reviewed": PageFilter(reviewed=False),
        "nothing fits": PageFilter(code="DQ001"),
        "another split": PageFilter(split="train"),
    }
    found = {"next page": timed(following)[0], "deep page": timed(lambda: store.page(after=(0.0, 900_000)))[0]}
    return found | {name: timed(lambda w=w: store.page(w), 5)[0] for name, w in filters.items()}


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(where: str, n: int, verdicts: int) -> dict[str, Any]:
    """Load and use, each in a fresh process."""
    found: dict[str, Any] = {}
    for part, number in (("load", n), ("use", verdicts)):
        command = [sys.executable, __file__, "--part", part, "--where", where, "--number", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found |= json.loads(done.stdout.splitlines()[-1])
    return found


def reviewers(server: Any, folder: str) -> dict[str, Any]:
    """The load test's reviewers, timed: seconds of all together, and lost or double verdicts (an error)."""
    from auditor.review.loading import QueuePlan
    from auditor.review.store import VerdictStore
    from tests.review.cases import make_run
    from tests.review.load import check, run_reviewers

    found = {}
    places = {"sqlite": (f"{folder}/load.sqlite", 8)} | ({"postgresql": (server.new_schema(), 20)} if server else {})
    for name, (where, people) in places.items():
        n = people * 550
        with VerdictStore.open(where) as store:
            store.load_run(make_run(n, n - 1), QueuePlan(overlap=0.0, audit_size=n // 10, control_share=0.0))
        outcomes, seconds = run_reviewers(where, people, 500, processes=4)
        check(where, outcomes, people, 500)
        found[name] = {"reviewers": people, "verdicts_each": 500, "seconds": round(seconds, 1)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--verdicts", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--reviewers", action="store_true")
    parser.add_argument("--part", choices=("load", "use"), help=argparse.SUPPRESS)
    parser.add_argument("--where", help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps((load if given.part == "load" else use)(given.where, given.number)))
        return
    from auditor.core.machine import describe_machine, package_versions
    from tests.review.postgres import Server, find_binaries

    results: dict[str, Any] = {
        "schema": "auditor.benchmark.review-store/1",
        "items": given.items,
        "verdicts": given.verdicts,
        "machine": describe_machine(),
        "versions": package_versions(),
        "load_average_at_start": round(psutil.getloadavg()[0], 1),
    }
    binaries = find_binaries()
    if given.postgres and binaries is None:
        raise SystemExit("PostgreSQL is not installed")
    server = Server(binaries) if given.postgres and binaries else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            where = f"{folder}/review.sqlite"
            results["sqlite"] = measure(where, given.items, given.verdicts)
            results["sqlite"]["file_mib"] = round(Path(where).stat().st_size / 2**20)
            if server:
                results["postgresql"] = measure(server.new_schema(), given.items, given.verdicts)
            if given.reviewers:
                results["at_once"] = reviewers(server, folder)
    finally:
        if server:
            server.remove()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
