"""How a run is shown: tables and lines for people, one document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.cli.console import show_table
from auditor.core.files import json_value

if TYPE_CHECKING:
    from auditor.runs.run import Run

FINDINGS_SCHEMA = "auditor.find-errors/1"


def suspects_table(run: Run, top: int) -> None:
    """The first `top` suspects, on stderr."""
    suspects = run.findings[run.findings["code"] == "LE001"].head(top)
    rows = [
        (r.rank, r.id, r.given, f"{r.p_given:.3f}", r.suggested, f"{r.p_suggested:.3f}", f"{r.score:.2f}")
        for r in suspects.itertuples()
    ]
    if rows:
        columns = [">rank", "id", "given", ">P(given)", "suggested", ">P(suggested)", ">score"]
        show_table(columns, rows, f"Top {len(rows)} of {run.counts['n_flagged']:,} suspects")


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
    counts, manifest = run.counts, run.manifest
    return {
        "schema": FINDINGS_SCHEMA,
        "run": str(run.path),
        **{name: counts[name] for name in ("n_items", "n_audited", "n_flagged", "n_undecodable")},
        "out_of_sample_accuracy": manifest["model"]["out_of_sample_accuracy"],
        "model": manifest["model"]["name"],
        **{name: manifest[name] for name in ("seconds", "plan", "not_auditable", "outcomes", "notes")},
        "findings": json_value(run.findings.to_dict(orient="records")),
    }
