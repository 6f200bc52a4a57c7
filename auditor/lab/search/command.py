"""``auditor search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.cli.options import NO_ROLES, Device, PaperData, Roles, SearchBudget, takes_roles
from auditor.lab.experiment.command import Prepared, experiment_command


@experiment_command
@takes_roles
def search(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="nasnet, proxyless or eas.")],
    budget: SearchBudget = "cpu",
    seeds: Annotated[int, typer.Option(help="Searches.")] = 1,
    train_seeds: Annotated[int, typer.Option(help="Final trainings of each network.")] = 3,
    family: Annotated[str | None, typer.Option(help="eas: plain (default) or dense.")] = None,
    space: Annotated[str | None, typer.Option(help="proxyless: tree (default) or mbconv.")] = None,
    kind: Annotated[str | None, typer.Option(help="proxyless: two, full or reinforce.")] = None,
    transfer: Annotated[
        str | None, typer.Option(help="Another image data set on which what was found is trained and tested too.")
    ] = None,
    dataset: PaperData = "cifar10",
    roles: Roles = NO_ROLES,
    device: Device = "auto",
) -> Prepared:
    """Search an architecture, beside random ones at equal cost; then train and test what both found."""
    from auditor.cli.values import data_named
    from auditor.lab.experiment.verdicts import label
    from auditor.lab.search.experiment import SearchExperiment
    from auditor.lab.search.report import SUMMARY
    from auditor.lab.search.systems import SearchOptions

    options = SearchOptions(
        system,
        budget=budget,  # type: ignore[arg-type]
        seeds=seeds,
        train_seeds=train_seeds,
        family=family,
        space=space,
        kind=kind,
        transfer=transfer,
        data=data_named(dataset, roles),
        device=device,
    )

    def lines(document: dict[str, Any], folder: Path) -> list[str]:
        final, pooled = document["final"], document["pooled"]
        networks = [
            f"{row['role']}: {100 * row['accuracy']:.2f} %, {row['name']} ({label(row)})" for row in final["networks"]
        ]
        files = f"Results: {folder / SUMMARY}   Genotype: {folder / 'found.json'}"
        elsewhere = [f"{line} ({transfer})" for line in document.get("transfer", {}).get("verdict", ())]
        return [*networks, pooled["verdict"], pooled["progress"], *final["verdict"], *elsewhere, files]

    return SearchExperiment(options), f"search-{options.space_name}-{budget}{f'-{kind}' if kind else ''}", lines
