"""``auditor report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from auditor.cli.options import Overwrite, existing_result


def report(
    folder: Annotated[
        str,
        Argument(metavar="RUN|BENCH", callback=existing_result, help="Run folder, name of a run, or benchmark folder."),
    ],
    form: Annotated[str, Option("--format", help="html, md, json or pdf.")] = "html",
    out: Annotated[Path | None, Option(help="File; default report.FORMAT in the folder. - is stdout.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the report of a run or of a benchmark in another form."""
    import sys

    from auditor.benchmark.reporting import write_report
    from auditor.cli.console import say
    from auditor.core.config import load_settings

    if str(out) == "-":
        from auditor.benchmark.reporting import render_report

        sys.stdout.write(render_report(folder, form, load_settings().runs_dir))
        return
    say(f"Report: {write_report(folder, form, out, load_settings().runs_dir, overwrite)}")
