"""Outcomes as GitHub workflow commands, which show as annotations on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.policy.outcomes import GateResult

__all__ = ["github_annotations"]

#: GitHub shows at most ten annotations of a kind per step; the rest is in the log.
SHOWN = 10


def github_annotations(result: GateResult) -> Iterator[str]:
    """``::error`` per broken limit and for its first rows, one ``::notice`` when all hold."""
    for outcome in result.outcomes:
        if outcome.status == "passed":
            continue
        title = _property(f"auditor check: {outcome.name}")
        yield f"::error title={title}::{_data(outcome.words)}"
        for concern in outcome.concerns[: SHOWN - 1]:
            where = f"file={_property(concern.path)}," if concern.path else ""
            yield f"::error {where}title={title}::{_data(concern.message)}"
    if result.passed:
        yield f"::notice title=auditor check::{_data(f'{result.data}: {result.what} pass')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
