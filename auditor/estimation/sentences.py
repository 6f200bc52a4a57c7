"""The numbers in plain sentences, for the command line and the app alike."""

from __future__ import annotations

from typing import Any

from auditor.estimation.estimate import LEAST_DRAWS, LEAST_ERRORS, NOT_ENOUGH, ErrorEstimate
from auditor.estimation.expectation import Expected
from auditor.estimation.status import ReviewStatus
from auditor.report.rendering import render, render_view
from auditor.stats.totals import interval_words, number_words

#: Classes and pairs of classes that a notebook shows.
PARTS = 30


def estimate_lines(found: ErrorEstimate) -> list[str]:
    """The whole estimate."""
    least = {"least_draws": LEAST_DRAWS, "least_errors": LEAST_ERRORS, "not_enough": NOT_ENOUGH}
    return _lines("estimate", found=found, state=found.state, **least)


def estimate_html(found: ErrorEstimate) -> str:
    """The estimate in a notebook: the totals with their intervals, then classes and pairs that have one."""
    n, rows = max(1, len(found.state)), list[dict[str, Any]]()
    for treated in (found.strict, found.lenient):
        if treated is None:
            continue
        meaning = f"ambiguous verdicts count as {'wrong' if treated.treatment == 'strict' else 'right'}"
        for name, total in ((meaning, treated.total), ("corrected for reviewer error", treated.corrected)):
            if total is not None:
                limits = {"low": total.estimate.low / n, "high": total.estimate.high / n}
                rows.append({"name": name, "words": number_words(total), **limits})
    return render_view(
        "estimate",
        state=found.state,
        rows=rows,
        top=max((row["high"] for row in rows), default=0.0),
        parts=[part for part in (*found.classes, *found.pairs) if part.estimate is not None],
        most=PARTS,
        notes=found.notes,
        interval=interval_words,
    )


def status_lines(status: ReviewStatus) -> list[str]:
    """Progress, errors remaining, what the next items bring."""
    return _lines("status", status=status)


def expectation_lines(found: Expected) -> list[str]:
    """What a sample will tell."""
    return _lines("expectation", found=found)


def _lines(template: str, **values: Any) -> list[str]:
    values |= {"interval": interval_words, "number": number_words, "share": "{:.2%}".format, "count": "{:,.0f}".format}
    return render(f"{template}.txt.jinja", **values).rstrip("\n").split("\n")
