"""``auditor search``."""

from __future__ import annotations

from typing import Annotated

import typer

from auditor.cli.options import BudgetClass, DataDir, Device, Json, Out, PaperData, Quiet, Workers


def search(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="nasnet, proxyless or eas.")],
    budget: BudgetClass = "cpu",
    seeds: Annotated[int, typer.Option(help="Searches.")] = 1,
    train_seeds: Annotated[int, typer.Option(help="Final trainings of each network.")] = 3,
    family: Annotated[str | None, typer.Option(help="eas: plain (default) or dense.")] = None,
    space: Annotated[str | None, typer.Option(help="proxyless: tree (default) or mbconv.")] = None,
    kind: Annotated[str | None, typer.Option(help="proxyless: two, full or reinforce.")] = None,
    dataset: PaperData = "cifar10",
    device: Device = "auto",
    workers: Workers = None,
    out: Out = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search an architecture, beside random ones at equal cost; then train and test what both found."""
    from auditor.cli.console import RichProgress, answer, command_line
    from auditor.cli.values import settings_for
    from auditor.lab.experiment.shell import Workplace
    from auditor.lab.search.experiment import SearchExperiment
    from auditor.lab.search.report import SUMMARY
    from auditor.lab.search.systems import SearchOptions

    settings = settings_for(data_dir)
    options = SearchOptions(
        system,
        budget=budget,  # type: ignore[arg-type]
        seeds=seeds,
        train_seeds=train_seeds,
        family=family,
        space=space,
        kind=kind,
        data=dataset,
        device=device,
    )
    folder = out or settings.runs_dir / f"search-{options.space_name}-{budget}{f'-{kind}' if kind else ''}"
    with RichProgress(quiet) as progress:
        document = SearchExperiment(options).run(Workplace(folder, settings, progress, workers, command_line()))
    final, pooled = document["final"], document["pooled"]
    lines = [
        f"{row['role']}: {100 * row['accuracy']:.2f} %, {row['name']} ({document['reproduction']})"
        for row in final["networks"]
    ]
    lines += [pooled["verdict"], pooled["progress"], *final["verdict"]]
    lines.append(f"Results: {folder / SUMMARY}   Genotype: {folder / 'found.json'}")
    answer(lines, document if json else None, quiet)
