"""``auditor quality``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from auditor.cli.options import NO_ROLES, DataDir, Json, Offline, Overwrite, Quiet, Roles, Workers, takes_roles


@takes_roles
def quality(
    data: Annotated[str, Argument(metavar="DATASET", help="A name, a folder, hf://org/name, or a table.")],
    roles: Roles = NO_ROLES,
    split: Annotated[str | None, Option(help="Examine the items of this split only.")] = None,
    against: Annotated[str | None, Option(help="Compare with this split, or another version by reference.")] = None,
    check: Annotated[list[str] | None, Option(help="Run this check only, by name or code; repeat for several.")] = None,
    embeddings: Annotated[str | None, Option(help="Embeddings: a .npy file, auto, or an encoder by name.")] = None,
    out: Annotated[Path | None, Option(help="Write quality.json and quality.parquet into this folder.")] = None,
    overwrite: Overwrite = False,
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
            overwrite=overwrite,
            workers=workers,
            settings=settings_for(data_dir, offline),
            progress=progress,
            **roles,
        )
    if not quiet:
        _outcome_table(result.document)
    answer(_summary_lines(result.document, result.folder), result.document if json else None, quiet)


def _outcome_table(document: dict[str, Any]) -> None:
    """What was found, the gravest first, on stderr."""
    from auditor.cli.console import show_table
    from auditor.report.find_errors import gravest_first

    seen = [c for c in gravest_first(document["checks"]) if c["status"] == "found"]
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
    if folder is None:
        return [*lines, "Next: --out FOLDER for every item found, --json for all of this as a document"]
    return [*lines, f"Written to {folder}", f"Next: open {folder / 'quality.parquet'}, one row per item found"]
