"""Reports on reviewers: compared with the others only, with exact intervals."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.review.agreement import Share, reviewer_reports
from auditor.review.votes import votes_from

ROWS = [
    # item, reviewer, verdict, ms
    (1, "ann", "given", 1000.0),
    (1, "bob", "given", 500.0),
    (1, "eve", "suggested", None),
    (2, "ann", "suggested", 2000.0),
    (2, "bob", "suggested", 700.0),
    (2, "eve", "suggested", None),
    (3, "ann", "given", 3000.0),
    (3, "bob", "suggested", 600.0),
    (4, "ann", "unsure", 1500.0),
]


def _table() -> object:
    return votes_from((p, a, v, "ranked", ms, 0.0, f"id{p}", "cat", "dog") for p, a, v, ms in ROWS)


def test_reports_by_hand() -> None:
    ann, bob, eve = reviewer_reports(_table(), {"id1": "given", "id4": "given"})  # type: ignore[arg-type]
    assert (ann.reviewer, ann.n) == ("ann", 4)
    # Item 1: bob and eve are tied; item 2: both suggested; item 3: bob alone; item 4: nobody else.
    assert ann.agreement == Share(1, 2)
    assert ann.verdicts == ("given", "suggested", "unsure")
    assert ann.confusion.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert ann.controls == Share(1, 2)
    assert (ann.median_ms, ann.per_hour) == (1750.0, pytest.approx(3600 / 1.75))
    assert bob.agreement == Share(1, 2)
    assert bob.controls == Share(1, 1)
    assert eve.agreement == Share(1, 2)  # item 1 against given, item 2 with the others
    assert np.isnan(eve.median_ms)
    assert np.isnan(eve.per_hour)


def test_share_has_the_exact_interval() -> None:
    interval = Share(0, 60).interval
    assert (interval.value, interval.low) == (0, 0)
    assert interval.high == pytest.approx(1 - 0.025 ** (1 / 60))
    assert np.isnan(Share(0, 0).interval.value)


def test_nobody_no_report() -> None:
    assert reviewer_reports(votes_from([])) == []
