"""``auditor grid``."""

from __future__ import annotations

from typing import Annotated

import typer

from auditor.cli.options import BudgetClass, DataDir, Device, Json, Out, Quiet, Seed, Workers


def grid(
    name: Annotated[str, typer.Argument(metavar="GRID", help="Which grid: cifake.")] = "cifake",
    budget: BudgetClass = "cpu",
    final_train: Annotated[
        str | None,
        typer.Option(help="Train items for the chosen topology: a number, or all. Default: as the budget says."),
    ] = None,
    final_epochs: Annotated[int | None, typer.Option(help="Epochs of the chosen topology.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Networks of the chosen topology.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    data_dir: DataDir = None,
    out: Out = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a paper's grid of networks, choose on validation items, and test the chosen one once."""
    from auditor.cli.console import RichProgress, answer, command_line
    from auditor.cli.values import settings_for
    from auditor.core.errors import UnknownNameError
    from auditor.lab.cifake.grid.budgets import budget_for
    from auditor.lab.cifake.grid.experiment import REPORT, GridExperiment
    from auditor.lab.experiment.shell import Workplace

    if name != "cifake":
        raise UnknownNameError("grid", name, ["cifake"], ["cifake"])
    settings = settings_for(data_dir)
    items = final_train if final_train in (None, "all") else _number(final_train)
    chosen = budget_for(budget).changed(final_train=items, final_epochs=final_epochs, seeds=seeds)
    folder = out or settings.runs_dir / f"grid-{name}-{budget}"
    with RichProgress(quiet) as progress:
        place = Workplace(folder, settings, progress, workers, command_line())
        results = GridExperiment(chosen, seed, device).run(place)
    test = results["final"]["tests"][0]
    lines = [
        f"{len(results['networks'])} networks; chosen: {results['selected']}; test accuracy "
        f"{test['mean_accuracy']:.4f} over {len(test['seeds'])} seed(s), published {results['published']['accuracy']}",
        f"Report: {folder / REPORT}",
    ]
    answer(lines, results if json else None, quiet)


def _number(text: str) -> int:
    from auditor.core.errors import UsageError

    if not text.isdecimal():
        raise UsageError(f"--final-train must be a number or all, not {text!r}.")
    return int(text)
