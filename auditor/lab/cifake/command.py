"""``auditor grid``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["grid"]


def grid(
    name: Annotated[str, typer.Argument(metavar="GRID", help="Which grid: cifake.")] = "cifake",
    budget: Annotated[str, typer.Option(help="smoke, cpu, gpu10 or paper.")] = "cpu",
    final_train: Annotated[
        str | None,
        typer.Option(help="Train items for the chosen topology: a number, or all. Default: as the budget says."),
    ] = None,
    final_epochs: Annotated[int | None, typer.Option(help="Epochs of the chosen topology.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Networks of the chosen topology.")] = None,
    seed: Annotated[int, typer.Option(help="Root of all random numbers.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes that train side by side; changes no figure.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder that holds the data.")] = None,
    out: Annotated[Path | None, typer.Option(help="Result folder; what it holds is continued.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No human text.")] = False,
) -> None:
    """Train a paper's grid of networks, choose on validation items, and test the chosen one once."""
    from auditor.cli.console import RichProgress, print_json, say
    from auditor.core.config import load_settings
    from auditor.lab.cifake.grid.budgets import budget_for
    from auditor.lab.cifake.grid.registry import GRIDS
    from auditor.lab.cifake.grid.report import write_grid_report

    work = GRIDS.load(name)
    settings = load_settings({"data_dir": data_dir})
    items = final_train if final_train in (None, "all") else _number(final_train)
    chosen = budget_for(budget).changed(final_train=items, final_epochs=final_epochs, seeds=seeds)
    folder = out or settings.runs_dir / f"grid-{name}-{budget}"
    command = f"auditor grid {name} --budget {budget}"
    command += "" if final_train is None else f" --final-train {final_train}"
    command += "" if final_epochs is None else f" --final-epochs {final_epochs}"
    command += "" if seeds is None else f" --seeds {seeds}"
    command += f" --seed {seed}" if seed else ""
    with RichProgress(quiet) as progress:
        results = work(
            chosen,
            folder,
            seed=seed,
            device=device,
            workers=workers,
            settings=settings,
            progress=progress,
            command=command,
        )
    report = write_grid_report(results, folder)
    if not quiet:
        test = results["final"]["tests"][0]
        say(
            f"{len(results['networks'])} networks; chosen: {results['selected']}; test accuracy "
            f"{test['mean_accuracy']:.4f} over {len(test['seeds'])} seed(s), "
            f"published {results['published']['accuracy']}"
        )
        say(f"Report: {report}")
    if json:
        print_json(results)


def _number(text: str) -> int:
    from auditor.core.errors import UsageError

    if not text.isdecimal():
        raise UsageError(f"--final-train must be a number or all, not {text!r}.")
    return int(text)
