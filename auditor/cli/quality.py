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
    pred_probs: Annotated[
        Path | None, Option(help="Out-of-sample probabilities of the examined items (.npy, .npz, .parquet, .csv).")
    ] = None,
    metadata: Annotated[
        Path | None, Option(help="A table of what else is known of the examined items: sources, dates, devices.")
    ] = None,
    out: Annotated[Path | None, Option(help="Write quality.json and quality.parquet into this folder.")] = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check the data apart from its labels: copies, leakage, broken items, odd pictures, drift and more."""
    from auditor.cli.console import answer
    from auditor.cli.values import settings_for
    from auditor.quality.document import quality_lines
    from auditor.quality.run import check_quality as work

    result = work(
        data,
        split=split,
        against=against,
        checks=check,
        embeddings=embeddings,
        pred_probs=pred_probs,
        metadata=metadata,
        out=out,
        overwrite=overwrite,
        workers=workers,
        settings=settings_for(data_dir, offline),
        progress=not quiet,
        **roles,
    )
    if not quiet:
        _outcome_table(result.document)
    lines = quality_lines(result.document)
    if result.folder is None:
        lines.append("Next: --out FOLDER for every item found, --json for all of this as a document")
    else:
        lines += [
            f"Written to {result.folder}",
            f"Next: open {result.folder / 'quality.parquet'}, one row per item found",
        ]
    answer(lines, result.document if json else None, quiet)


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
