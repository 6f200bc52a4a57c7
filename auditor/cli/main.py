"""The command line: the table of commands, error handling and exit codes. No work is done here."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from auditor.cli.console import fail, say
from auditor.core.errors import AuditorError
from auditor.core.registry import Registry
from auditor.core.version import __version__

#: Every command, in the order of ``--help``. Packages add theirs by entry point, `auditor.lab` among them: a function,
#: or a `typer.Typer` of sub-commands.
COMMANDS: Registry[Any] = Registry(
    "command",
    {
        "find-errors": "auditor.cli.find_errors:find_errors",
        "quality": "auditor.cli.quality:quality",
        "flag": "auditor.cli.flag:flag",
        "show": "auditor.cli.show:show",
        "review": "auditor.cli.review:review",
        "sample": "auditor.cli.sample:sample",
        "estimate": "auditor.cli.estimate:estimate",
        "status": "auditor.cli.status:status",
        "check": "auditor.cli.check:check",
        "patch": "auditor.cli.patch:app",
        "import-verdicts": "auditor.cli.import_verdicts:import_verdicts",
        "verdicts": "auditor.cli.verdicts:verdicts",
        "benchmark": "auditor.cli.benchmark:benchmark",
        "report": "auditor.cli.report:report",
        "explain": "auditor.cli.explain:explain",
        "datasets": "auditor.cli.lists:datasets",
        "models": "auditor.cli.lists:models",
        "doctor": "auditor.cli.lists:doctor",
        "config": "auditor.cli.lists:config",
    },
    "auditor.commands",
)
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
for _name in COMMANDS.names():
    _command = COMMANDS.load(_name)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)


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
