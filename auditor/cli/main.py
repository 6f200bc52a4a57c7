"""The command line: the table of commands, error handling and exit codes. No work is done here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from auditor.cli import benchmark as benchmark_command
from auditor.cli import benchmark_detection as benchmark_detection_command
from auditor.cli import check as check_command
from auditor.cli import estimate as estimate_command
from auditor.cli import explain as explain_command
from auditor.cli import find_errors as find_errors_command
from auditor.cli import flag as flag_command
from auditor.cli import grid as grid_command
from auditor.cli import import_verdicts as import_verdicts_command
from auditor.cli import lists, patch, show
from auditor.cli import prune as prune_command
from auditor.cli import quality as quality_command
from auditor.cli import report as report_command
from auditor.cli import review as review_command
from auditor.cli import sample as sample_command
from auditor.cli import search as search_command
from auditor.cli import status as status_command
from auditor.cli import verdicts as verdicts_command
from auditor.cli.console import fail, say
from auditor.core.errors import AuditorError
from auditor.core.version import __version__

__all__ = ["app", "run"]

#: Exit code of an interrupted command (128 + SIGINT).
INTERRUPTED = 130

app = typer.Typer(
    name="auditor",
    help="Find the wrong labels in a data set, say how many there are, and re-rank models on the corrected labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("find-errors")(find_errors_command.find_errors)
app.command("quality")(quality_command.quality)
app.command("flag")(flag_command.flag)
app.command("show")(show.show)
app.command("review")(review_command.review)
app.command("sample")(sample_command.sample)
app.command("estimate")(estimate_command.estimate)
app.command("status")(status_command.status)
app.command("check")(check_command.check)
app.add_typer(patch.app, name="patch")
app.command("import-verdicts")(import_verdicts_command.import_verdicts)
app.command("verdicts")(verdicts_command.verdicts)
app.command("benchmark")(benchmark_command.benchmark)
app.command("report")(report_command.report)
app.command("benchmark-detection")(benchmark_detection_command.benchmark_detection)
app.command("explain")(explain_command.explain)
app.command("grid")(grid_command.grid)
app.command("prune")(prune_command.prune)
app.command("search")(search_command.search)
app.command("datasets")(lists.datasets)
app.command("models")(lists.models)
app.command("doctor")(lists.doctor)
app.command("config")(lists.config)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"auditor {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None: ...


def run(arguments: list[str] | None = None) -> None:
    """Entry point of the console script: run, and turn errors into messages and exit codes."""
    try:
        app(args=arguments, standalone_mode=True)
    except AuditorError as error:
        fail(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("Interrupted. Repeat the command to continue where it was.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        sys.stderr.close()
        sys.exit(0)
    except MemoryError:
        say("Error: out of memory.\n  Use a smaller budget, fewer workers, or the streaming `auditor flag`.")
        sys.exit(4)
