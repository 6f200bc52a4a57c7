"""The review app at full size; the figures are those of `benchmarks/review_app.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.review_app import COLD, measure


@pytest.mark.slow
def test_a_million_findings(tmp_path: Path) -> None:
    found = measure(1_000_000, tmp_path)
    assert max(found[f"cold_{page}_ms"] for page in COLD) < 700
    assert max(found[f"{page}_first_ms"] for page in COLD) < 700
    assert found["gallery_next_page_median_ms"] < 200
    changes = {name: ms for name, ms in found.items() if name.startswith(("gallery_filter", "gallery_search"))}
    assert len(changes) == 12
    assert max(changes.values()) < 300, changes
    assert found["peak_rss_mib"] < 1024
