"""The numbers in plain sentences, for the command line and the app alike."""

from __future__ import annotations

from typing import Any

from auditor.estimation.estimate import LEAST_DRAWS, LEAST_ERRORS, NOT_ENOUGH, ErrorEstimate
from auditor.estimation.expectation import Expected
from auditor.estimation.status import ReviewStatus
from auditor.report.rendering import render
from auditor.stats.intervals import Interval
from auditor.stats.totals import Total


def interval_words(found: Interval) -> str:
    """``390 [345, 435]``."""
    return f"{found.value:,.0f} [{found.low:,.0f}, {found.high:,.0f}]"


def number_words(total: Total) -> str:
    """``390 [345, 435]``, or ``between 3 and 9,996`` where the reviews are too few for a single number."""
    e = total.estimate
    return interval_words(e) if total.says_a_number else f"between {e.low:,.0f} and {e.high:,.0f}"


def estimate_lines(found: ErrorEstimate) -> list[str]:
    """The whole estimate."""
    least = {"least_draws": LEAST_DRAWS, "least_errors": LEAST_ERRORS, "not_enough": NOT_ENOUGH}
    return _lines("estimate", found=found, state=found.state, **least)


def status_lines(status: ReviewStatus) -> list[str]:
    """Progress, errors remaining, what the next items bring."""
    return _lines("status", status=status)


def expectation_lines(found: Expected) -> list[str]:
    """What a sample will tell."""
    return _lines("expectation", found=found)


def _lines(template: str, **values: Any) -> list[str]:
    values |= {"interval": interval_words, "number": number_words, "share": "{:.2%}".format, "count": "{:,.0f}".format}
    return render(f"{template}.txt.jinja", **values).rstrip("\n").split("\n")
