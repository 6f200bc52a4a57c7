"""A find-errors run as Markdown: the same facts as its page, without pictures."""

from __future__ import annotations

from collections import Counter

from auditor.report.benchmark import environment
from auditor.report.find_errors import SHOWN
from auditor.runs.run import Run

__all__ = ["render_run_markdown"]


def render_run_markdown(run: Run) -> str:
    """Counts, conditions, the first suspects, and what was not audited; needs the run folder alone."""
    found = run.findings[run.findings["code"] == "LE001"]
    pairs = Counter(zip(found["given"], found["suggested"], strict=True)).most_common(15)
    return str(
        environment(False)
        .get_template("find_errors.md.jinja")
        .render(
            run=run,
            manifest=run.manifest,
            suspects=list(found.head(SHOWN).itertuples()),
            undecodable=list(run.findings[run.findings["code"] == "DQ001"].head(50).itertuples()),
            pairs=[(given, suggested, n) for (given, suggested), n in pairs],
        )
    )
