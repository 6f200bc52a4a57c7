"""``auditor search``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["search"]


def search(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="nasnet, proxyless or eas.")],
    budget: Annotated[str, typer.Option(help="smoke, cpu, gpu10 or paper.")] = "cpu",
    seeds: Annotated[int, typer.Option(help="Searches.")] = 1,
    train_seeds: Annotated[int, typer.Option(help="Final trainings of each network.")] = 3,
    family: Annotated[str | None, typer.Option(help="eas: plain (default) or dense.")] = None,
    space: Annotated[str | None, typer.Option(help="proxyless: tree (default) or mbconv.")] = None,
    kind: Annotated[str | None, typer.Option(help="proxyless: two, full or reinforce.")] = None,
    dataset: Annotated[str, typer.Option(help="Image data set with train and test.")] = "cifar10",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Trainings side by side; never changes a result.")] = None,
    out: Annotated[Path | None, typer.Option(help="Result folder; what it holds is continued.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No human text.")] = False,
) -> None:
    """Search an architecture, beside random ones at equal cost; then train and test what both found."""
    from auditor.cli.console import RichProgress, print_json, say
    from auditor.core.config import load_settings
    from auditor.lab.search.run import SUMMARY, run_search
    from auditor.lab.search.systems import SearchOptions

    settings = load_settings({"data_dir": data_dir})
    options = SearchOptions(
        system,
        budget,  # type: ignore[arg-type]
        seeds,
        train_seeds,
        family,
        space,
        kind,
        dataset,
        device,
    )
    folder = out or settings.runs_dir / f"search-{options.place}-{budget}{f'-{kind}' if kind else ''}"
    with RichProgress(quiet) as progress:
        document = run_search(options, folder, settings, progress, workers, shlex.join(["auditor", *sys.argv[1:]]))
    if not quiet:
        for row in document["final"]["networks"]:
            say(f"{row['role']}: {100 * row['accuracy']:.2f} %, {row['name']} ({document['reproduction']})")
        for sentence in (document["pooled"]["verdict"], document["pooled"]["progress"], *document["final"]["verdict"]):
            say(sentence)
        say(f"Results: {folder / SUMMARY}   Genotype: {folder / 'found.json'}")
    if json:
        print_json(document)
