"""``auditor benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from auditor.cli.options import (
    NO_ROLES,
    BudgetClass,
    ClassNames,
    DataDir,
    Device,
    Index,
    Json,
    Out,
    Quiet,
    Roles,
    Seed,
    Store,
    Workers,
    existing_run,
    takes_roles,
)


@takes_roles
def benchmark(
    context: typer.Context,
    dataset: Annotated[
        str | None, Argument(metavar="[DATASET]", help="Gives labels, names of classes, pictures.")
    ] = None,
    roles: Roles = NO_ROLES,
    predictions: Annotated[Path | None, Option(help="Folder of stored predictions, or one file.")] = None,
    labels: Annotated[Path | None, Option(help="Given labels; by default those of the data set.")] = None,
    verdicts: Annotated[Path | None, Option(help="Published verdicts (mturk.json) or lists of labels.")] = None,
    patch: Annotated[Path | None, Option(help="Label patch.")] = None,
    run: Annotated[str | None, Option(callback=existing_run, help="Reviewed run: the verdicts in its store.")] = None,
    agreement: Annotated[int | None, Option(help="Votes a verdict needs; 3 of 5 for published ones.")] = None,
    index: Index = None,
    split: Annotated[str | None, Option(help="Split of the data set or run; default test, or the only one.")] = None,
    class_names: ClassNames = None,
    store: Store = None,
    train: Annotated[str | None, Option(help="Train these networks first: resnet18,vgg11_bn,..")] = None,
    seeds: Annotated[int, Option(help="With --train: networks of each name.")] = 3,
    budget: BudgetClass = "cpu",
    device: Device = "auto",
    workers: Workers = None,
    draws: Annotated[int, Option(min=100, help="Draws of the bootstrap.")] = 10_000,
    seed: Seed = 0,
    out: Out = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Re-rank models on corrected labels, and say which rank changes are real. Without predictions: counts alone."""
    from inspect import signature

    from auditor.benchmark.command import run_benchmark
    from auditor.benchmark.sentences import benchmark_lines
    from auditor.cli.console import answer, command_line
    from auditor.cli.values import data_named, parse_class_names, settings_for
    from auditor.core.display import shown
    from auditor.core.escaping import quoted

    # Options named like a parameter of the work are that parameter.
    asked = {name: value for name, value in context.params.items() if name in signature(run_benchmark).parameters}
    reference = data_named(dataset, roles)
    asked |= {"reference": reference, "class_names": parse_class_names(class_names), "command": command_line()}
    with shown(not quiet) as progress:
        done = run_benchmark(settings_for(data_dir), progress, **asked)
    lines = benchmark_lines(done.result)
    if done.folder is None:
        lines.append("Next: give the models' stored predictions with --predictions FOLDER")
    else:
        lines.append(f"Result: {done.folder}   Report: {done.folder / 'report.html'}")
        lines.append(f"Next: auditor report {quoted(done.folder)} --format pdf")
    answer(lines, done.document if json else None, quiet)
