"""``auditor quality``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.cli.options import DataDir, Json, Offline, Quiet, Workers

_ORDER = {"error": 0, "warning": 1, "info": 2}


def quality(
    data: Annotated[
        str, typer.Argument(metavar="DATASET", help="A name (auditor datasets), a folder, hf://org/name, or a table.")
    ],
    split: Annotated[str | None, typer.Option(help="Examine the items of this split only.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Compare with another split, or with another version by its reference.")
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(help="Run this check only, by name or code; may be given several times.")
    ] = None,
    embeddings: Annotated[
        str | None, typer.Option(help="Embeddings of the items: a .npy file, auto, or an encoder by name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write quality.json and quality.parquet into this folder.")] = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check the data apart from its labels: copies, leakage, broken items, odd pictures, drift and more."""
    from auditor.cli.console import RichProgress, answer
    from auditor.cli.values import settings_for
    from auditor.quality.run import quality as work

    with RichProgress(quiet) as progress:
        result = work(
            data,
            split=split,
            against=against,
            checks=check,
            embeddings=embeddings,
            out=out,
            workers=workers,
            settings=settings_for(data_dir, offline),
            progress=progress,
        )
    if not quiet:
        _outcome_table(result.document)
    answer(_summary_lines(result.document, result.folder), result.document if json else None, quiet)


def _outcome_table(document: dict[str, Any]) -> None:
    """What was found, the gravest first, on stderr."""
    from auditor.cli.console import show_table

    seen = [c for c in document["checks"] if c["status"] == "found"]
    seen.sort(key=lambda c: (_ORDER[c["severity"]], c["code"]))
    rows = [
        (c["code"], c["name"], c["severity"], f"{c['n_items']:,}" if c["n_items"] else "", c["reason"]) for c in seen
    ]
    if rows:
        show_table(["code", "check", "severity", ">items", ""], rows, f"{len(rows)} check(s) found something")


def _summary_lines(document: dict[str, Any], folder: Path | None) -> list[str]:
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
