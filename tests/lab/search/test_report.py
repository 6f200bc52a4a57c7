"""What the summary of a search says about latencies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from auditor.lab.experiment.verdicts import page

STORED = Path(__file__).parents[3] / "reports" / "search" / "proxyless" / "results.json"


def _page(*facts: dict[str, Any]) -> list[str]:
    """Lines on latency of the stored search, with a search of these facts for each."""
    document = json.loads(STORED.read_text())
    searches = [{**document["searches"][0], "seed": seed, "facts": own} for seed, own in enumerate(facts)]
    lines = page("search", {**document, "searches": searches}, curve="curve.svg").splitlines()
    return [line for line in lines if "latency" in line]


def _latency() -> dict[str, Any]:
    measured = {
        "ms": {"found": 3.0, "start": 4.0, "control": 2.5},
        "found_less": {
            "start": {"value": -1.0, "low": -1.2, "high": -0.8},
            "control": {"value": 0.5, "low": -0.25, "high": 1.25},
        },
        "turns": 10,
        "passes": 50,
    }
    return {
        "found_ms": 3.1,
        "start_ms": 4.2,
        "control_mean_ms": 3.7,
        "validation": {"networks": 20, "rmse_ms": 0.21},
        "measured": measured,
    }


def test_latency_by_the_table_with_its_error_and_measured_in_turns() -> None:
    table, whole = _page({"latency": _latency()}, {})
    assert "found network 3.10 ms, derived before the search 4.20 ms, mean of the random ones 3.70 ms" in table
    assert "20 random networks by 0.21 ms (RMSE)" in table
    assert "timed in turns (50 passes each): found 3.00 ms, start 4.00 ms, best random 2.50 ms" in whole
    assert "less start -25.0 % [-30.0, -20.0]" in whole, "of the other network's latency"
    assert "less best random +20.0 % [-10.0, +50.0]" in whole


def test_searches_without_latency_say_nothing_of_it() -> None:
    assert not _page({"gains": {}})
