"""``auditor prune``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["prune"]


def prune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Network, e.g. resnet20 or vgg16_bn:w0.25.")],
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
    data: Annotated[str, typer.Option(help="Image data set with train and test.")] = "cifar10",
    budget: Annotated[str, typer.Option(help="smoke, cpu, gpu10 or paper.")] = "cpu",
    seeds: Annotated[int, typer.Option(help="Networks of each kind.")] = 3,
    alone: Annotated[bool, typer.Option("--alone", help="Without the baselines or controls.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Networks trained side by side; never changes a result.")] = None,
    out: Annotated[Path | None, typer.Option(help="Result folder.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No human text.")] = False,
) -> None:
    """Prune a network, beside every baseline at the same budget, with seeds and intervals."""
    from auditor.cli.console import RichProgress, print_json, say
    from auditor.core.config import load_settings
    from auditor.lab.prune.experiment import FIGURE, SUMMARY, PruneOptions, run_pruning

    settings = load_settings({"data_dir": data_dir})
    options = PruneOptions(
        model,
        method,
        tuple(sparsity or ()),
        tuple(flops or ()),
        tuple(mass or ()),
        budget,  # type: ignore[arg-type]
        seeds,
        alone,
        data,
        device,
    )
    folder = out or settings.runs_dir / f"prune-{method}-{model.replace(':', '-')}-{budget}"
    with RichProgress(quiet) as progress:
        command = shlex.join(["auditor", *sys.argv[1:]])
        document = run_pruning(options, folder, settings, progress, workers, command)
    if not quiet:
        for row in document["rows"]:
            say(f"{row['name']}: {100 * row['accuracy']:.2f} % ({document['reproduction']})")
        for sentence in document["verdict"]:
            say(sentence)
        say(f"Results: {folder / SUMMARY}   Figure: {folder / FIGURE}")
    if json:
        print_json(document)
