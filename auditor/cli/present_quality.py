"""How the outcomes of the data-quality checks are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditor.cli.console import show_table

__all__ = ["outcome_table", "summary_lines"]

_ORDER = {"error": 0, "warning": 1, "info": 2}


def outcome_table(document: dict[str, Any]) -> None:
    """What was found, the gravest first, on stderr."""
    seen = [c for c in document["checks"] if c["status"] == "found"]
    if seen:
        seen.sort(key=lambda c: (_ORDER[c["severity"]], c["code"]))
        show_table(
            ["code", "check", "severity", ">items", ""],
            (
                (c["code"], c["name"], c["severity"], f"{c['n_items']:,}" if c["n_items"] else "", c["reason"])
                for c in seen
            ),
            f"{len(seen)} check(s) found something",
        )


def summary_lines(document: dict[str, Any], folder: Path | None) -> list[str]:
    """What passed, what could not be looked at and why, and what to do next."""
    passed = [c["name"] for c in document["checks"] if c["status"] == "passed"]
    lines = [f"Nothing found: {', '.join(passed)}."] if passed else []
    reasons: dict[str, list[str]] = {}
    for c in document["checks"]:
        if c["status"] == "not applicable":
            reasons.setdefault(c["reason"], []).append(c["name"])
    lines += [f"Not applicable: {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    compared = f", compared with {document['reference']!r}" if document["reference"] else ""
    lines.append(f"{document['n_examined']:,} items examined{compared}; {document['seconds']:.1f} s.")
    if folder is not None:
        lines.append(f"Written to {folder}")
        lines.append(f"Next: open {folder / 'quality.parquet'}, one row per item found")
    else:
        lines.append("Next: --out FOLDER for every item found, --json for all of this as a document")
    return lines
