"""``auditor benchmark-detection``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import DataDir, Json, Out, Quiet


def benchmark_detection(
    sets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SET ...]", help="Sets, or first parts of their names; all without any."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of sets that are trained here.")] = 3,
    draws: Annotated[int, typer.Option(help="Resamples of the paired bootstrap; 1000 for publication.")] = 200,
    out: Out = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Finished run on CIFAR-10N labels, instead of training; may be repeated, one per seed."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="quick or standard: recipe of trained networks. Without it no 50,000 images are trained on."),
    ] = None,
    subset: Annotated[int, typer.Option(help="Items of the cifar10+... sets.")] = 10_000,
    noise_rate: Annotated[float, typer.Option(help="Expected share of injected wrong labels.")] = 0.2,
    model: Annotated[str, typer.Option(help="Trainer of the cifar10+... sets.")] = "frozen",
    folds: Annotated[int, typer.Option(help="Folds of every cross-validation.")] = 5,
    workers: Annotated[int, typer.Option(help="Processes that train side by side; never changes a result.")] = 1,
    data_dir: DataDir = None,
    list_only: Annotated[bool, typer.Option("--list", help="Say what each set is and if it can run.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure every detector beside cleanlab and a kNN vote, on sets whose wrong labels are known."""
    from auditor.cli.console import RichProgress, answer, command_line
    from auditor.cli.values import settings_for
    from auditor.lab.detectors.benchmark import REPORT, DetectionBenchmark
    from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions, select_sets
    from auditor.lab.experiment.shell import Workplace

    settings = settings_for(data_dir)
    options = BenchmarkOptions(
        noise_rate=noise_rate, subset=subset, model=model, audit_budget=budget, folds=folds, draws=draws, seeds=seeds
    )
    folder = out or settings.runs_dir / "benchmark-detection"
    with RichProgress(quiet) as progress:
        if list_only:
            context = BenchmarkContext(settings, folder / "work", options, tuple(run or ()), workers, progress)
            chosen = select_sets(sets or [])
            rows = [{"set": s.name, "what": s.summary, "state": s.absent(context) or "ready"} for s in chosen]
            lines = [f"{row['set']}: {row['what']}. {row['state']}" for row in rows]
            answer(lines, {"schema": "auditor.benchmark-sets/1", "sets": rows} if json else None)
            return
        at = Workplace(folder, settings, progress, workers, command_line(), folder / "work")
        result = DetectionBenchmark(options, sets or (), run or ()).run(at)
    lines = []
    for row in result["comparisons"]:
        if row["note"] in ("best single detector", "cleanlab's default", "cleanlab's best score"):
            points = f"{100 * row['difference']:+.2f} [{100 * row['low']:+.2f}, {100 * row['high']:+.2f}]"
            lines.append(f"{row['set']}: {row['figure']} of {row['first']} less {row['second']}: {points} points")
    lines += [f"{row['set']}: not run: {row['reason']}" for row in result["not run"]]
    answer([*lines, f"Report: {folder / REPORT}"], result if json else None, quiet)
