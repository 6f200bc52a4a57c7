"""Rebuild reports/cifake: copies and leaks, labels both ways, the grid of networks, what they look at.

Run from a checkout, with the data of CIFAKE, CIFAR-10 and the crowd verdicts below ``AUDITOR_DATA_DIR`` or
``../shared/data``::

    python pipelines/cifake.py [--budget-class cpu] [--final-train all] [--final-epochs N] [--folds 3]

Everything is kept in the work folder and not computed again while it is valid, so a killed run continues.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import ROOT, find_settings

from auditor.audit.find_errors import find_errors
from auditor.cli.console import say
from auditor.core.config import Settings
from auditor.core.display import shown
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.lab.cifake.attribution import study_final_network
from auditor.lab.cifake.copies import count_copies
from auditor.lab.cifake.grid.budgets import budget_for
from auditor.lab.cifake.grid.experiment import GridExperiment
from auditor.lab.cifake.labels import audit_by_source, by_source, crowd_reference, fake_not_showing
from auditor.lab.cifake.report import write_cifake_report
from auditor.lab.experiment.shell import Workplace
from auditor.quality.run import check_quality


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--budget-class", "--budget", dest="budget", default="cpu", choices=["smoke", "cpu", "gpu10", "paper"]
    )
    parser.add_argument("--final-train", default="all", help="train items for the chosen topology, or all")
    parser.add_argument("--final-epochs", type=int, default=4)
    parser.add_argument("--audit-budget", default="quick", choices=["smoke", "quick", "standard"])
    parser.add_argument("--folds", type=int, default=3, help="of the audits")
    parser.add_argument("--looked-at", type=int, default=1000, help="test images whose maps are measured")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "cifake-report")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "cifake")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    command = shlex.join(["python", "pipelines/cifake.py", *given])
    settings = find_settings()
    with shown() as progress:
        results = rebuild(options, settings, progress, command)
    say(f"Report: {write_cifake_report(results, options.out)}")


def rebuild(options: argparse.Namespace, settings: Settings, progress: Progress, command: str) -> dict[str, Any]:
    """All parts, in order; each with its seconds (near 0 where it was kept from before)."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    parts: dict[str, Any] = {}
    seconds: dict[str, float] = {}

    def part(name: str, make: Any) -> None:
        begin = time.perf_counter()
        progress.stage("part", name)
        parts[name] = make()
        seconds[name] = round(time.perf_counter() - begin, 1)

    work = options.work
    final = None if options.final_train is None else _number_or_all(options.final_train)
    budget = budget_for(options.budget).changed(final_train=final, final_epochs=options.final_epochs)
    part("copies", lambda: count_copies(settings))
    part("quality", lambda: _quality(settings, progress))
    part("labels", lambda: _labels(options, settings, progress))
    part(
        "grid",
        lambda: GridExperiment(budget, options.seed).run(Workplace(work / "grid", settings, progress, command=command)),
    )
    part(
        "looks",
        lambda: study_final_network(
            parts["grid"],
            budget,
            work / "grid",
            options.looked_at,
            options.seed,
            settings,
            progress,
            options.out / "maps.png",
        ),
    )
    return {
        "schema": "auditor.cifake-report/1",
        "command": command,
        "started": started,
        **parts,
        "seconds": seconds,
        "machine": describe_machine(),
        "versions": package_versions(),
    }


def _number_or_all(text: str) -> str | int:
    return text if text == "all" else int(text)


def _quality(settings: Settings, progress: Progress) -> dict[str, Any]:
    """The check a user would run: ``auditor quality cifake --split test --against train``."""
    found = check_quality(
        "cifake",
        split="test",
        against="train",
        checks=["exact_duplicates", "leakage"],
        settings=settings,
        progress=progress,
    )
    kept = ("code", "name", "status", "reason", "severity", "n_groups", "n_items")
    return {"checks": [{k: c.get(k) for k in kept} for c in found.document["checks"]]}


def _labels(options: argparse.Namespace, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Three audits. Exact copies stay in one fold; near ones are not looked for."""
    same: dict[str, Any] = {
        "model": "fastnet",
        "budget": options.audit_budget,
        "near_duplicates": False,
        "quality": False,
        "seed": options.seed,
        "settings": settings,
        "progress": progress,
    }
    both = find_errors("cifake:class", audit="all", folds=options.folds, out=options.work / "classes", **same)
    real = find_errors(by_source(settings), audit="test", seeds=1, out=options.work / "classes-from-real", **same)
    binary = find_errors("cifake", audit="all", folds=options.folds, out=options.work / "real-or-fake", **same)
    return {
        "ten classes, trained on REAL and FAKE": _audit(both),
        "ten classes of FAKE, trained on REAL": _audit(real),
        "REAL or FAKE": _audit(binary),
        "fake_not_showing_its_class": fake_not_showing(both, crowd_reference(settings)),
    }


def _audit(run: Any) -> dict[str, Any]:
    return {
        "plan": run.manifest["plan"]["description"],
        "model": run.manifest["model"]["name"],
        "budget": run.config["budget"],
        "seed": run.config["seed"],
        "accuracy": run.manifest["model"]["out_of_sample_accuracy"],
        "left_out": run.manifest["plan"]["left_out"],
        "exact_duplicate_groups": run.counts.get("n_exact_duplicate_groups"),
        "seconds": run.manifest["seconds"],
        "sources": audit_by_source(run),
    }


if __name__ == "__main__":
    main()
