"""How a run is shown: tables and lines for people, one document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.cli.console import console
from auditor.core.files import json_value

if TYPE_CHECKING:
    from auditor.runs.run import Run

__all__ = ["FINDINGS_SCHEMA", "findings_document", "summary_lines", "suspects_table"]

FINDINGS_SCHEMA = "auditor.find-errors/1"


def suspects_table(run: Run, top: int) -> None:
    """The first `top` suspects, on stderr."""
    from rich.table import Table
    from rich.text import Text

    found = run.findings[run.findings["code"] == "LE001"].head(top)
    if not len(found):
        return
    table = Table(title=f"Top {len(found)} of {run.counts['n_flagged']:,} suspects", title_justify="left")
    for name, justify in (
        ("rank", "right"),
        ("id", "left"),
        ("given", "left"),
        ("P(given)", "right"),
        ("suggested", "left"),
        ("P(suggested)", "right"),
        ("score", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in found.itertuples():
        # Text, not markup: class names and ids are the user's and may hold square brackets.
        cells = (
            str(row.rank),
            str(row.id),
            str(row.given),
            f"{row.p_given:.3f}",
            str(row.suggested),
            f"{row.p_suggested:.3f}",
            f"{row.score:.2f}",
        )
        table.add_row(*(Text(c) for c in cells))
    console().print(table)


def summary_lines(run: Run) -> list[str]:
    """Counts, conditions, what was not auditable, and what to do next."""
    counts, model = run.counts, run.manifest["model"]
    lines = [
        f"{counts['n_flagged']:,} of {counts['n_audited']:,} audited items flagged "
        f"({100 * counts['n_flagged'] / counts['n_audited']:.2f} %); a flag is a suspicion, not a verdict.",
        f"Out-of-sample accuracy against the given labels: {model['out_of_sample_accuracy']:.4f} "
        f"({model['name']}, {run.manifest['plan']['description']}, seed {run.config['seed']}).",
    ]
    if counts["n_undecodable"]:
        lines.append(f"{counts['n_undecodable']:,} item(s) cannot be decoded (DQ001).")
    lines += [
        f"Not auditable: class {entry['name']!r}, {entry['n_items']} items: {entry['reason']}."
        for entry in run.manifest["not_auditable"]
    ]
    lines += [f"Note: {note}" for note in run.manifest["notes"]]
    lines.append(f"Run folder: {run.path}   Report: {run.report_path}   {run.manifest['seconds']:.1f} s")
    lines.append(f"Next: auditor show {run.path} --item ID, or open {run.report_path}")
    return lines


def findings_document(run: Run) -> dict[str, Any]:
    """The run as one JSON document."""
    return {
        "schema": FINDINGS_SCHEMA,
        "run": str(run.path),
        "n_items": run.counts["n_items"],
        "n_audited": run.counts["n_audited"],
        "n_flagged": run.counts["n_flagged"],
        "n_undecodable": run.counts["n_undecodable"],
        "out_of_sample_accuracy": run.manifest["model"]["out_of_sample_accuracy"],
        "seconds": run.manifest["seconds"],
        "model": run.manifest["model"]["name"],
        "plan": run.manifest["plan"],
        "not_auditable": run.manifest["not_auditable"],
        "outcomes": run.manifest["outcomes"],
        "notes": run.manifest["notes"],
        "findings": json_value(run.findings.to_dict(orient="records")),
    }
