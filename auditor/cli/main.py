"""The command line: the table of commands, error handling and exit codes. No work is done here."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any

import typer
import typer.core
from typer import Option

from auditor.cli.console import command_line, fail, forgiving_streams, say
from auditor.core.errors import AuditorError, MissingRoleError, missing_extra
from auditor.core.escaping import printable
from auditor.core.reading import unusable_path
from auditor.core.registry import Registry
from auditor.core.version import __version__

#: Every command, in the order of ``--help``. Packages add theirs by entry point, `auditor.lab` among them: a function,
#: or a `typer.Typer` of sub-commands.
COMMANDS: Registry[Any] = Registry(
    "command",
    {
        "find-errors": "auditor.cli.find_errors:find_errors",
        "quality": "auditor.cli.quality:quality",
        "compare": "auditor.cli.compare:compare",
        "flag": "auditor.cli.flag:flag",
        "show": "auditor.cli.show:show",
        "review": "auditor.cli.review:review",
        "sample": "auditor.cli.sample:sample",
        "estimate": "auditor.cli.estimate:estimate",
        "status": "auditor.cli.status:status",
        "verify": "auditor.cli.verify:verify",
        "check": "auditor.cli.check:check",
        "patch": "auditor.cli.patch:app",
        "import-verdicts": "auditor.cli.import_verdicts:import_verdicts",
        "verdicts": "auditor.cli.verdicts:verdicts",
        "benchmark": "auditor.cli.benchmark:benchmark",
        "predict": "auditor.cli.networks:predict",
        "export": "auditor.cli.networks:export",
        "improve": "auditor.cli.improve:improve",
        "report": "auditor.cli.report:report",
        "explain": "auditor.cli.explain:explain",
        "datasets": "auditor.cli.lists:datasets",
        "models": "auditor.cli.lists:models",
        "doctor": "auditor.cli.lists:doctor",
        "config": "auditor.cli.lists:config",
    },
    "auditor.commands",
)
#: Commands whose DATASET may be followed by options that name its columns.
TAKE_ROLES = ("find-errors", "quality", "check", "patch", "benchmark", "predict", "improve", "prune", "search")
#: Exit code of an interrupted command (128 + SIGINT), and of a fault of the program (EX_SOFTWARE).
INTERRUPTED, CRASHED = 130, 70


#: Of an argument that Typer refuses; its message repeats the argument.
_UsageError: Any = typer.BadParameter.__mro__[1]


class _Group(typer.core.TyperGroup):
    """Keeps Typer from taking an end of file or a lost connection for an abort by the user (exit code 1), and from
    printing arguments as they come."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        with _printable_usage():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _printable_usage():
                return super().invoke(ctx)
        except (EOFError, OSError) as error:
            raise _Unexpected from error


@contextmanager
def _printable_usage() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.message = printable(error.message)
        raise


class _Unexpected(Exception):
    """Carries an error past Typer as its cause."""


app = typer.Typer(
    name="auditor",
    cls=_Group,
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
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None: ...


@cache
def _commands() -> Any:
    """Every command with its options, which take a while to work out from the signatures."""
    return typer.main.get_command(app)


def run(arguments: list[str] | None = None) -> None:
    """Entry point of the console script: run, and turn errors into messages and exit codes."""
    _share_the_cores()
    try:
        with forgiving_streams():
            code = _exit_code(arguments)
    except AuditorError as error:  # the last of the output met a full disk
        fail(error)
        code = error.exit_code
    sys.exit(code)


def _exit_code(arguments: list[str] | None) -> int | str | None:
    try:
        _commands()(args=arguments, standalone_mode=True)
    except SystemExit as end:
        return end.code
    except AuditorError as error:
        fail(error)
        if isinstance(error, MissingRoleError) and (words := arguments or sys.argv[1:])[0] in TAKE_ROLES:
            options = [word for role, column in error.roles.items() for word in (f"--{role}", column)]
            say(f"  The whole command: {shlex.join(['auditor', *words, *options])}")
        return error.exit_code
    except KeyboardInterrupt:
        say("Interrupted. Repeat the command to continue where it was.")
        return INTERRUPTED
    except MemoryError:
        say("Error: out of memory.")
        say("  Use a smaller budget, fewer workers, or the streaming `auditor flag`.")
        return 4
    except Exception as error:  # noqa: BLE001  the last place where a fault of our own can be told
        if (missing := missing_extra(error, f"auditor {_called(arguments)}")) is not None:
            fail(missing)
            return missing.exit_code
        cause = error.__cause__ if isinstance(error, _Unexpected) and error.__cause__ else error
        if (unusable := unusable_path(cause)) is not None:
            fail(unusable)
            return unusable.exit_code
        _tell_crash(cause)
        return CRASHED
    return 0


def _share_the_cores() -> None:
    """Where other programs have work for the cores, threads of one fit sleep while they wait for one another.

    By default OpenMP lets them spin, which is faster while nobody else wants the cores. Where somebody does, they spin
    for a thread that waits for a core itself: `benchmarks/thread_waits.py`. OpenMP reads it when torch is imported,
    here or in a worker; it changes no result. What the user set stays.
    """
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > (os.cpu_count() or 1) / 2
    if busy and not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _called(arguments: list[str] | None) -> str:
    """The name of the command that was called."""
    words = [word for word in (sys.argv[1:] if arguments is None else arguments) if not word.startswith("-")]
    return words[0] if words else ""


def _tell_crash(error: BaseException) -> None:
    with tempfile.NamedTemporaryFile(
        "w", prefix="auditor-crash-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
    ) as report:
        report.write(f"auditor {__version__}, Python {sys.version}\n{command_line()}\n\n")
        report.write("".join(traceback.format_exception(error)))
    say(f"Error: auditor itself failed: {type(error).__name__}: {error}.")
    say(f"  The full trace is in {report.name}; please report it.")
