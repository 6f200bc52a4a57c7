"""Whatever names the results of an experiment hold, its page shows them as text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from auditor.core.files import read_json
from auditor.lab.detectors.report import report_text
from auditor.lab.experiment.verdicts import page

REPORTS = Path(__file__).parents[2] / "reports"
PAGES = {
    "detection": report_text,
    "rebenchmark/rd": lambda r: page("prune", r),
    "rebenchmark/ftwt": lambda r: page("prune", r),
    "search/nasnet": lambda r: page("search", r, curve="curve.svg"),
    "search/proxyless": lambda r: page("search", r, curve="curve.svg"),
    "cifake": lambda r: page("cifake", r),
    "cifake grid": lambda r: page("grid", r["grid"]),
}
#: What pages look rows up by.
STEERING = {
    "source",
    "class",
    "items",
    "role",
    "tool",
    "set",
    "what",
    "figure",
    "first",
    "second",
    "schema",
    "stage",
    "note",
}
HOSTILE = (
    " <img src=x onerror=alert(1)> [x](javascript:alert(1)) ![x](https://elsewhere.example/a.png) a | b | c ` ]: **b** "
    "~~gone~~\n# heading\n\n<script>alert(1)</script>\n\n[x]: javascript:alert(1)\n"
)


def _spoiled(value: Any, text: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _spoiled(entry, text, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [_spoiled(entry, text, key) for entry in value]
    return value + text if isinstance(value, str) and value and key not in STEERING else value


def _elements(markdown: str) -> list[str]:
    body = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    return re.findall("</?[a-z]+[0-9]?", body)


@pytest.mark.parametrize("name", PAGES)
def test_names_stay_text(name: str) -> None:
    document = read_json(REPORTS / name.split()[0] / "results.json")
    assert _elements(PAGES[name](_spoiled(document, HOSTILE))) == _elements(PAGES[name](document))
