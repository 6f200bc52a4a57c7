"""``auditor quality``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import DataDir, Json, Offline, Quiet, Workers

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
    workers: Workers = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check the data beside its labels: copies, leakage, broken items, odd pictures, drift and more."""
    from auditor.cli.console import RichProgress, answer
    from auditor.cli.present_quality import outcome_table, summary_lines
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
        outcome_table(result.document)
    answer(summary_lines(result.document, result.folder), result.document if json else None, quiet)
