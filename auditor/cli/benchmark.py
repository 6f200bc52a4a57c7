"""``auditor benchmark``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["benchmark"]


def benchmark(
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="Gives labels, class names and pictures.")
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Folder of stored predictions, or one file.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Given labels; by default those of the data set.")] = None,
    verdicts: Annotated[Path | None, typer.Option(help="Published verdicts (mturk.json) or lists of labels.")] = None,
    patch: Annotated[Path | None, typer.Option(help="Label patch.")] = None,
    run: Annotated[str | None, typer.Option(help="Reviewed run: the verdicts in its store.")] = None,
    agreement: Annotated[int | None, typer.Option(help="Votes a verdict needs; 3 of 5 for published ones.")] = None,
    index: Annotated[Path | None, typer.Option(help="index.json: what each row is called.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the data set or run; default test, or the only one.")
    ] = None,
    class_names: Annotated[str | None, typer.Option(help="a,b,c or a file with a name a line.")] = None,
    store: Annotated[str | None, typer.Option(help="Verdict store, if it is not in the run folder.")] = None,
    train: Annotated[str | None, typer.Option(help="Train these networks first: resnet18,vgg11_bn,..")] = None,
    seeds: Annotated[int, typer.Option(help="With --train: networks of each name.")] = 3,
    budget: Annotated[str, typer.Option(help="With --train: smoke, cpu, gpu10 or paper.")] = "cpu",
    device: Annotated[str, typer.Option(help="With --train: auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="With --train: networks trained side by side.")] = None,
    draws: Annotated[int, typer.Option(min=100, help="Draws of the bootstrap.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Root of all random numbers.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Result folder; default in the run, or in the runs folder.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No human text.")] = False,
) -> None:
    """Re-rank models on corrected labels, and say which rank changes are real. Without predictions: counts alone."""
    from auditor.benchmark.command import run_benchmark
    from auditor.benchmark.sentences import benchmark_lines
    from auditor.cli.console import RichProgress, print_json, say
    from auditor.cli.values import parse_class_names
    from auditor.core.config import load_settings

    with RichProgress(quiet) as progress:
        done = run_benchmark(
            load_settings({"data_dir": data_dir}),
            progress,
            reference=dataset,
            predictions=predictions,
            labels=labels,
            verdicts=verdicts,
            patch=patch,
            run=run,
            agreement=agreement,
            index=index,
            split=split,
            class_names=parse_class_names(class_names),
            store=store,
            train=train,
            seeds=seeds,
            budget=budget,
            device=device,
            workers=workers,
            draws=draws,
            seed=seed,
            out=out,
            command=shlex.join(["auditor", *sys.argv[1:]]),
        )
    if not quiet:
        for line in benchmark_lines(done.result):
            say(line)
        if done.folder is not None:
            say(f"Result: {done.folder}   Report: {done.folder / 'report.html'}")
            say(f"Next: auditor report {done.folder} --format pdf")
        else:
            say("Next: give the models' stored predictions with --predictions FOLDER")
    if json:
        print_json(done.document)
