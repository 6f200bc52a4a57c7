"""Results of the rooms below the reports, as a notebook shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from auditor.core.errors import AuditorError
from auditor.quality.document import quality_lines
from auditor.report.find_errors import gravest_first
from auditor.report.pictures import picture_of
from auditor.report.rendering import render_view

if TYPE_CHECKING:
    from auditor.quality.base import Outcome
    from auditor.quality.run import Quality

#: Checks with examples, and examples of each: 32 pictures of at most 38 kB.
CHECKS, EACH = 8, 4
#: Characters of a text; the rest is shown when it is pointed at.
CUT: Final = 120


def quality_html(quality: Quality) -> str:
    """What the checks found, the gravest first, with the first items of each."""
    found = [c for c in gravest_first(quality.document["checks"]) if c["status"] == "found"]
    outcomes = {outcome.code: outcome for outcome in quality.outcomes}
    examples = {
        c["code"]: list(_examples(quality, outcomes[c["code"]])) if k < CHECKS else [] for k, c in enumerate(found)
    }
    lines = quality_lines(quality.document)
    return render_view("quality", q=quality.document, found=found, examples=examples, lines=lines, cut=CUT)


def _examples(quality: Quality, outcome: Outcome) -> Iterator[dict[str, Any]]:
    """The first items of a check, or of its groups; those that cannot be read without a picture."""
    findings = outcome.findings
    if findings is None:
        return
    rows = findings.items.tolist() or [row for group in findings.groups for row in group.members.tolist()]
    for row in rows[:EACH]:
        for part in quality.parts:
            if row < len(part):
                try:
                    image, text = picture_of(part, row)
                except AuditorError as error:
                    image, text = None, error.what
                yield {"id": part.ids[row], "image": image, "text": text}
                break
            row -= len(part)
