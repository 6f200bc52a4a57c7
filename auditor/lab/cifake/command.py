"""``auditor grid``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.cli.options import Device, SearchBudget, Seed
from auditor.lab.experiment.command import Prepared, experiment_command


@experiment_command
def grid(
    name: Annotated[str, typer.Argument(metavar="GRID", help="Which grid: cifake.")] = "cifake",
    budget: SearchBudget = "cpu",
    final_train: Annotated[
        str | None,
        typer.Option(help="Train items for the chosen topology: a number, or all. Default: as the budget says."),
    ] = None,
    final_epochs: Annotated[int | None, typer.Option(help="Epochs of the chosen topology.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Networks of the chosen topology.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> Prepared:
    """Train a paper's grid of networks, choose on validation items, and test the chosen one once."""
    from auditor.core.errors import UnknownNameError, UsageError
    from auditor.lab.cifake.grid.budgets import budget_for
    from auditor.lab.cifake.grid.experiment import REPORT, GridExperiment

    if name != "cifake":
        raise UnknownNameError("grid", name, ["cifake"], ["cifake"])
    if final_train not in (None, "all") and not final_train.isdecimal():
        raise UsageError(f"--final-train must be a number or all, not {final_train!r}.")
    items = final_train if final_train in (None, "all") else int(final_train)
    chosen = budget_for(budget).changed(final_train=items, final_epochs=final_epochs, seeds=seeds)

    def lines(results: dict[str, Any], folder: Path) -> list[str]:
        test, published = results["final"]["tests"][0], results["published"]["accuracy"]
        return [
            f"{len(results['networks'])} networks; chosen: {results['selected']}; test accuracy "
            f"{test['mean_accuracy']:.4f} over {len(test['seeds'])} seed(s), published {published}",
            f"Report: {folder / REPORT}",
        ]

    return GridExperiment(chosen, seed, device), f"grid-{name}-{budget}", lines
