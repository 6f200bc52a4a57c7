"""Stored reports are written again from their stored results, letter by letter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditor.lab.cifake.report import cifake_lines
from auditor.lab.prune.markdown import results_markdown as pruning
from auditor.lab.search.markdown import results_markdown as search

REPORTS = Path(__file__).parents[2] / "reports"
SEARCHES = ("eas", "nasnet", "proxyless", "proxyless-mbconv")


def _stored(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("part", ["rd", "ftwt"])
def test_pruning(part: str) -> None:
    folder = REPORTS / "rebenchmark" / part
    document = _stored(folder)
    assert document["schema"] == "auditor.prune/1"
    assert pruning(document) == (folder / "results.md").read_text()


@pytest.mark.parametrize("space", SEARCHES)
def test_search(space: str) -> None:
    folder = REPORTS / "search" / space
    document = _stored(folder)
    pictures = {"search curve": "search-curve.svg"}
    pictures |= {f"{role} architecture": f"{role}.svg" for role in document["chosen"]}
    assert document["schema"] == "auditor.search/1"
    assert search(document, pictures) == (folder / "results.md").read_text()


def test_cifake() -> None:
    folder = REPORTS / "cifake"
    document = _stored(folder)
    assert document["grid"]["schema"] == "auditor.grid/1"
    assert "\n".join(cifake_lines(document)) + "\n" == (folder / "report.md").read_text()
