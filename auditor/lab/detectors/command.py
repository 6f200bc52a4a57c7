"""``auditor benchmark-detection``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.cli.options import DataDir, Json, existing_run
from auditor.lab.experiment.command import Prepared, experiment_command


@experiment_command
def benchmark_detection(
    sets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SET ...]", help="Sets, or first parts of their names; all without any."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of sets that are trained here.")] = 3,
    draws: Annotated[int, typer.Option(help="Resamples of the paired bootstrap; 1000 for publication.")] = 200,
    run: Annotated[
        list[Path] | None,
        typer.Option(
            callback=existing_run,
            help="Finished run on CIFAR-10N labels, instead of training; may be repeated, one per seed.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="quick or standard: recipe of trained networks. Without it no 50,000 images are trained on."),
    ] = None,
    subset: Annotated[int, typer.Option(help="Items of the cifar10+... sets.")] = 10_000,
    noise_rate: Annotated[float, typer.Option(help="Expected share of injected wrong labels.")] = 0.2,
    model: Annotated[str, typer.Option(help="Trainer of the cifar10+... sets.")] = "frozen",
    folds: Annotated[int, typer.Option(help="Folds of every cross-validation.")] = 5,
    data_dir: DataDir = None,
    list_only: Annotated[bool, typer.Option("--list", help="Say what each set is and if it can run.")] = False,
    json: Json = False,
) -> Prepared:
    """Measure every detector beside cleanlab and a kNN vote, on sets whose wrong labels are known."""
    from auditor.cli.console import answer
    from auditor.cli.values import settings_for
    from auditor.lab.detectors.benchmark import REPORT, DetectionBenchmark
    from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions, select_sets

    options = BenchmarkOptions(
        noise_rate=noise_rate, subset=subset, model=model, audit_budget=budget, folds=folds, draws=draws, seeds=seeds
    )
    if list_only:
        context = BenchmarkContext(settings_for(data_dir), Path(), options, tuple(run or ()))
        states = [
            {"set": each.name, "what": each.summary, "state": each.absent(context) or "ready"}
            for each in select_sets(sets or [])
        ]
        shown = [f"{row['set']}: {row['what']}. {row['state']}" for row in states]
        answer(shown, {"schema": "auditor.benchmark-sets/1", "sets": states} if json else None)
        raise typer.Exit

    def lines(document: dict[str, Any], folder: Path) -> list[str]:
        differences = [
            f"{row['set']}: {row['figure']} of {row['first']} less {row['second']}: {100 * row['difference']:+.2f} "
            f"[{100 * row['low']:+.2f}, {100 * row['high']:+.2f}] points"
            for row in document["comparisons"]
            if row["note"] in ("best single detector", "cleanlab's default", "cleanlab's best score")
        ]
        absent = [f"{row['set']}: not run: {row['reason']}" for row in document["not run"]]
        return [*differences, *absent, f"Report: {folder / REPORT}"]

    return DetectionBenchmark(options, sets or (), run or ()), "benchmark-detection", lines
