"""How a run is shown: tables and lines for people, one document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.cli.console import say, show_table
from auditor.core.config import Settings
from auditor.core.errors import AuditorError
from auditor.core.escaping import quoted
from auditor.core.files import json_value
from auditor.data.base import item_word
from auditor.explain.opening import excerpts

if TYPE_CHECKING:
    from auditor.runs.run import Run

FINDINGS_SCHEMA = "auditor.find-errors/1"


#: Characters of a text or a row in a list.
SHOWN = 60


def suspects_table(run: Run, top: int, settings: Settings) -> None:
    """The first `top` suspects, on stderr; texts and rows with what they say, where their data set is still there."""
    suspects = run.findings[run.findings["code"] == "LE001"].head(top)
    rows: list[tuple[object, ...]] = [
        (r.rank, r.id, r.given, f"{r.p_given:.3f}", r.suggested, f"{r.p_suggested:.3f}", f"{r.score:.2f}")
        for r in suspects.itertuples()
    ]
    if not rows:
        return
    columns = [">rank", "id", "given", ">P(given)", "suggested", ">P(suggested)", ">score"]
    word = item_word(run.manifest["data"]["modality"])
    try:
        contents = excerpts(run, suspects["id"].tolist(), settings, SHOWN)
    except AuditorError as error:
        contents = None
        say(f"The {word}s themselves cannot be shown: {error.what}")
    if contents is not None:
        columns, rows = [*columns, word], [(*row, content) for row, content in zip(rows, contents, strict=True)]
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
    item = quoted(run.findings["id"].iloc[0]) if len(run.findings) else "ID"
    lines.append(f"Next: auditor show {quoted(run.path)} --item {item}, or open {run.report_path}")
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
