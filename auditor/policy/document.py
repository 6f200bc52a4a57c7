"""Outcomes as one JSON document, and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from auditor.policy.outcomes import GateResult

__all__ = ["SCHEMA", "check_document", "check_lines"]

SCHEMA: Final = "auditor.check/1"
#: Rows named per outcome.
SHOWN: Final = 5
_MARKS: Final = {"passed": "pass", "failed": "FAIL", "not measured": "FAIL"}


def check_document(result: GateResult) -> dict[str, Any]:
    """``auditor.check/1``."""
    return {"schema": SCHEMA, "passed": result.passed, **asdict(result)}


def check_lines(result: GateResult) -> Iterator[str]:
    """Every limit with what was found, then the first rows behind it."""
    yield f"{result.data}: {result.what}, by {result.policy_file}"
    for outcome in result.outcomes:
        yield f"  {_MARKS[outcome.status]}  {outcome.name}: {outcome.words}"
        if outcome.status != "passed":
            yield from (f"        {concern.message}" for concern in outcome.concerns[:SHOWN])
            if len(outcome.concerns) > SHOWN:
                yield f"        and {len(outcome.concerns) - SHOWN:,} more in the JSON document"
    yield from (f"Note: {note}" for note in result.notes)
    yield "The gate passes." if result.passed else "The gate fails."
