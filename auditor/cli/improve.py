"""``auditor improve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from auditor.cli.options import NO_ROLES, DataDir, Json, Offline, Quiet, Roles, RunName, Store, Workers, takes_roles


@takes_roles
def improve(
    context: typer.Context,
    run: RunName,
    labels: Annotated[
        Path | None, Option(help="Labels published as corrected, to compare on instead of the verdicts.")
    ] = None,
    patch: Annotated[Path | None, Option(help="Label patch to train on, instead of what the verdicts correct.")] = None,
    rule: Annotated[str, Option(help="Consensus of several reviewers, as in auditor patch create.")] = "majority",
    store: Store = None,
    model: Annotated[str | None, Option(help="Another trainer than the run's, by name.")] = None,
    budget: Annotated[str | None, Option(help="smoke, quick or standard; default: the run's.")] = None,
    device: Annotated[str | None, Option(help="auto, cpu or cuda; default: the run's.")] = None,
    seeds: Annotated[int, Option(help="Repetitions, each with other folds.")] = 3,
    folds: Annotated[int | None, Option(help="Turns in which items are held out; default: the run's folds.")] = None,
    data: Annotated[str | None, Option(help="Where the run's items are now; default: where they were.")] = None,
    roles: Roles = NO_ROLES,
    workers: Workers = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Does cleaning help? Train on given, thinned, corrected and weighted labels, compare on reviewed items."""
    from inspect import signature

    from auditor.cli.console import answer, command_line
    from auditor.cli.values import data_named, settings_for
    from auditor.improvement.improve import improve as work

    # Options named like a parameter of the work are that parameter.
    asked = {name: value for name, value in context.params.items() if name in signature(work).parameters}
    asked["data"] = data_named(data, roles)
    done = work(**asked, settings=settings_for(data_dir, offline), progress=not quiet, command=command_line())
    answer([*done.lines(), f"Report: {done.folder / 'report.md'}"], done.document if json else None, quiet)
