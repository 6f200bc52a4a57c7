"""Rebuild reports/cifar10: find errors, take the published verdicts as the review, make a patch, re-rank our networks.

Run from a checkout, with the data below ``AUDITOR_DATA_DIR`` or ``../shared/data``::

    python pipelines/cifar10.py [--budget-class cpu] [--seeds 3] [--networks resnet18,vgg11_bn,..] [--work FOLDER]

Everything that is stored in the work folder and still valid is not computed again: this continues a killed run, and
adding a network trains that network alone. Networks are trained below a paper's recipe unless ``--budget-class paper``:
not a reproduction.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import ROOT, find_settings, publish, published_verdicts

from auditor.audit.find_errors import find_errors
from auditor.benchmark.command import run_benchmark
from auditor.benchmark.training import MANIFEST
from auditor.cli.console import say
from auditor.core.config import Settings
from auditor.core.display import shown
from auditor.core.progress import Progress
from auditor.patch.create import create_patch
from auditor.patch.files import write_patch
from auditor.patch.importing import import_verdicts
from auditor.patch.rules import open_store, stored_consensus

#: Families and depths whose training fits two cores; the other names of `auditor models` work too, slower.
NETWORKS = "fastnet,resnet20,resnet32,vgg11_bn,vgg16_bn,mobilenet_v1"
#: Recipe of `find-errors` by budget class of the networks.
FIND = {"smoke": "smoke", "cpu": "quick", "gpu10": "standard", "paper": "standard"}
#: What is published from the result folder, the manifest last.
PUBLISHED = (
    "benchmark.json",
    "examples.json",
    "report.html",
    "report.md",
    "report.json",
    MANIFEST,
    "benchmark-manifest.json",
)
PATCH = "cifar10.labelpatch.jsonl"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget-class", "--budget", dest="budget", choices=list(FIND), default="cpu")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "cifar10-own")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "cifar10")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    command = shlex.join(["python", "pipelines/cifar10.py", *given])
    settings = find_settings()
    with shown() as progress:
        run = reviewed_run(settings, progress, options)
        # From the verdicts in the run's store, not from the patch: a patch holds what is changed, and says nothing of
        # the judged items without agreement, which must be left out.
        done = run_benchmark(
            settings,
            progress,
            reference="cifar10",
            run=str(run),
            train=options.networks,
            seeds=options.seeds,
            budget=options.budget,
            device=options.device,
            workers=options.workers,
            draws=options.draws,
            out=options.work,
            command=command,
        )
    say(done.result.headline)
    publish(options.work, options.out, (PATCH, *PUBLISHED))
    say(f"Report: {options.out}")


def reviewed_run(settings: Settings, progress: Progress, options: argparse.Namespace) -> Path:
    """Find errors in the test split, store the published votes as the review, and write the patch of their majority.

    Returns the run folder.
    """
    folder = options.work / "find-errors"
    run = find_errors(
        "cifar10",
        out=folder,
        budget=FIND[options.budget],
        device=options.device,
        workers=options.workers,
        settings=settings,
        progress=progress,
    )
    progress.stage("review", "published verdicts")
    with open_store(run.path) as store:
        store.load_run(run)
        taken = import_verdicts(run, published_verdicts(settings), store)
    say(f"{taken.items:,} items judged, {taken.counts['errors']:,} errors by 3 of 5 votes")
    made: Any = create_patch(run, stored_consensus(run, "3-of-5", None), settings)
    path = Path(options.work) / PATCH
    write_patch(made.patch, path)
    say(f"{len(made.patch.records):,} records in {path}")
    return run.path


if __name__ == "__main__":
    main()
