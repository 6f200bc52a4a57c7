"""``auditor compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from auditor.cli.options import DataDir, Json, Offline, Overwrite, Quiet, Workers


def compare(
    old: Annotated[
        str, Argument(metavar="OLD", help="The older version: a name, a folder, hf://org/name, or a table.")
    ],
    new: Annotated[str, Argument(metavar="NEW", help="The newer version.")],
    out: Annotated[Path | None, Option(help="Write versions.html, .json and .parquet into this folder.")] = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two versions of a data set: items added, removed, edited, relabelled, moved, and the distributions."""
    from auditor.cli.console import answer
    from auditor.cli.values import settings_for
    from auditor.report.versions import CHANGES, PAGE
    from auditor.report.versions import compare as work

    result = work(
        old,
        new,
        out=out,
        overwrite=overwrite,
        workers=workers,
        settings=settings_for(data_dir, offline),
        progress=not quiet,
    )
    lines = result.lines()
    if result.folder is None:
        lines.append("Next: --out FOLDER for a page and every change, --json for all of this as a document")
    else:
        lines += [f"Written to {result.folder}", f"Next: open {result.folder / PAGE}; {CHANGES} has every change"]
    answer(lines, result.document if json else None, quiet)
