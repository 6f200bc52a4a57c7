"""``auditor quality``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["quality"]


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
    workers: Annotated[int | None, typer.Option(help="Processes that decode; never changes the result.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder that holds named data sets.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No human text.")] = False,
) -> None:
    """Check the data beside its labels: copies, leakage, broken items, odd pictures, drift and more."""
    from auditor.cli.console import RichProgress, print_json, say
    from auditor.cli.present_quality import outcome_table, summary_lines
    from auditor.core.config import load_settings
    from auditor.quality.run import quality as work

    settings = load_settings({"data_dir": data_dir, "offline": True if offline else None})
    with RichProgress(quiet) as progress:
        found = work(
            data,
            split=split,
            against=against,
            checks=check,
            embeddings=embeddings,
            out=out,
            workers=workers,
            settings=settings,
            progress=progress,
        )
    if not quiet:
        outcome_table(found.document)
        for line in summary_lines(found.document, found.folder):
            say(line)
    if json:
        print_json(found.document)
