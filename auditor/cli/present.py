"""How a run is shown: tables and lines for people, one document for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.cli.console import say, show_table
from auditor.core.config import Settings
from auditor.core.escaping import quoted
from auditor.core.files import json_value
from auditor.explain.suspects import SHOWN, suspects

if TYPE_CHECKING:
    from auditor.runs.run import Run

#: What the document says of labels that are no classes.
_OF_LABELS = ("kind", "expected_wrong", "expected_f1", "agreement", "counts", "tables")
FINDINGS_SCHEMA = "auditor.find-errors/1"


def suspects_table(run: Run, top: int, settings: Settings) -> None:
    """The first `top` suspects, on stderr; texts and rows with what they say, where their data set is still there."""
    if not top:
        return
    shown = suspects(run, top, settings=settings, pictures=False)
    columns = [">rank", "id", "given", ">P(given)", "suggested", ">P(suggested)", ">score"]
    rows: list[tuple[object, ...]] = [
        (r.rank, r.id, r.given, f"{r.p_given:.3f}", r.suggested, f"{r.p_suggested:.3f}", f"{r.score:.2f}")
        for r in shown.frame.itertuples()
    ]
    if run.form is not None:  # what a model gives the suggested label is not known; a code says what is wrong
        columns = [">rank", "id", "given", ">P(right)", "suggested", "code", "why", ">score"]
        rows = [
            (r.rank, r.id, r.given, f"{r.p_given:.3f}", r.suggested or "-", r.code, r.message, f"{r.score:.2f}")
            for r in shown.frame.itertuples()
        ]
    if not rows:
        return
    if shown.missing:
        say(shown.missing)
    if any(texts := shown.texts(SHOWN)):
        columns, rows = [*columns, shown.word], [(*row, text) for row, text in zip(rows, texts, strict=True)]
    show_table(columns, rows, f"Top {len(rows)} of {shown.total:,} suspects")


def judge_command(name: str, table: Path | None = None) -> str:
    """How the items of a run are judged: in the reviewer, or in a table that was written for that."""
    if table is None:
        return f"auditor review {quoted(name)}"
    return f"auditor import-verdicts {quoted(name)} {quoted(table)}"


def summary_lines(run: Run) -> list[str]:
    """Counts, conditions, what was not auditable, and what to do next."""
    counts, lines = run.counts, list(run.lines()[1 if run.form is None else 0 :])
    if counts["n_undecodable"]:
        lines.append(f"{counts['n_undecodable']:,} item(s) cannot be decoded (DQ001).")
    lines += [
        f"Not auditable: class {entry['name']!r}, {entry['n_items']} items: {entry['reason']}."
        for entry in run.manifest["not_auditable"]
    ]
    lines += [f"Note: {note}" for note in run.manifest["notes"]]
    lines.append(f"Run folder: {run.path}   Report: {run.report_path}   {run.manifest['seconds']:.1f} s")
    first = (
        f"auditor show {quoted(run.path)} --item {quoted(run.findings['id'].iloc[0])}, or " if len(run.findings) else ""
    )
    lines.append(f"Next: {first}open {run.report_path}")
    return lines


def findings_document(run: Run) -> dict[str, Any]:
    """The run as one JSON document."""
    counts, manifest = run.counts, run.manifest
    return {
        "schema": FINDINGS_SCHEMA,
        "run": str(run.path),
        **{name: counts[name] for name in ("n_items", "n_audited", "n_flagged", "n_undecodable")},
        **(
            {"out_of_sample_accuracy": manifest["model"]["out_of_sample_accuracy"]}
            if run.form is None
            else {name: manifest["labels"][name] for name in _OF_LABELS}
        ),
        "model": manifest["model"]["name"],
        "models": list(run.models),
        **{name: manifest[name] for name in ("seconds", "plan", "not_auditable", "outcomes", "notes")},
        "findings": json_value(run.findings.to_dict(orient="records")),
    }
