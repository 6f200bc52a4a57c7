"""``auditor prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.cli.options import NO_ROLES, BudgetClass, Device, PaperData, Roles, takes_roles
from auditor.lab.experiment.command import Prepared, experiment_command


@experiment_command
@takes_roles
def prune(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Network, e.g. resnet20, vgg16_bn:w0.25, or resnet56@FILE.")
    ],
    method: Annotated[
        str,
        typer.Option(
            help="rd, rd_noise (data-free), uniform, uniform_plus, erk, lamp, global; ftwt, ftwt_joint, ftwt_uniform, "
            "ftwt_static."
        ),
    ] = "rd",
    sparsity: Annotated[
        list[float] | None, typer.Option(help="Share of the weights to remove; repeat for several. 0.8, 0.9, 0.95.")
    ] = None,
    flops: Annotated[
        list[float] | None, typer.Option(help="FTWT: share of the MACs to save; r is found by bisection. 0.4.")
    ] = None,
    mass: Annotated[list[float] | None, typer.Option(help="FTWT: r, the share of activation mass to keep.")] = None,
    data: PaperData = "cifar10",
    roles: Roles = NO_ROLES,
    budget: BudgetClass = "cpu",
    seeds: Annotated[int, typer.Option(help="Networks of each kind.")] = 3,
    step: Annotated[
        float | None,
        typer.Option(help="Weight pruning: share of the weights an iteration removes. paper: 0.2, cpu: 0.5."),
    ] = None,
    worst_case_curve: Annotated[
        bool | None,
        typer.Option(
            "--worst-case-curve/--mean-curve",
            help="RD: curves of the worst calibration image, as in the official runs, or of their mean. paper: worst.",
        ),
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Without the baselines or controls.")] = False,
    device: Device = "auto",
) -> Prepared:
    """Prune a network, beside every baseline at the same budget, with seeds and intervals."""
    from auditor.cli.values import data_named
    from auditor.lab.experiment.verdicts import label
    from auditor.lab.prune.experiment import PruneExperiment, PruneOptions
    from auditor.lab.prune.report import FIGURE, SUMMARY
    from auditor.train.final import slug

    options = PruneOptions(
        model,
        method,
        tuple(sparsity or ()),
        tuple(flops or ()),
        tuple(mass or ()),
        alone,
        worst_case_curve,
        step,
        data=data_named(data, roles),
        budget=budget,  # type: ignore[arg-type]
        seeds=seeds,
        device=device,
    )

    def lines(document: dict[str, Any], folder: Path) -> list[str]:
        return [
            *(f"{row['name']}: {100 * row['accuracy']:.2f} % ({label(row)})" for row in document["rows"]),
            *document["verdict"],
            f"Results: {folder / SUMMARY}   Figure: {folder / FIGURE}",
        ]

    words = ["prune", method, slug(model), budget]
    words += [] if step is None else [f"step{step:g}"]
    words += [] if worst_case_curve is None else ["worst" if worst_case_curve else "mean"]
    return PruneExperiment(options), "-".join(words), lines
