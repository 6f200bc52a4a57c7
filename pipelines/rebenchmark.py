"""Rebuild reports/rebenchmark: dense, pruned and searched networks, ranked on original and corrected labels.

Run from a checkout, with the data below ``AUDITOR_DATA_DIR`` or ``../shared/data``::

    python pipelines/rebenchmark.py [--budget-class cpu] [--seeds 3] [--rd resnet20] [--ftwt vgg16_bn:w0.25]
        [--found reports/search/nasnet/found.json ...] [--steps rd,ftwt,ranking]
    python pipelines/rebenchmark.py --budget-class hour --seeds 1 --steps ranking

Three steps that share their fits: RD beside five baselines, FTWT beside its controls, and the corrected benchmark of
the dense networks, RD and its nearest rivals, FTWT, and the networks that ``pipelines/search.py`` found. Then the
paper's question for all of them: does lower capacity win as noise grows (``capacity.md``)? What is stored in the work
folder and still valid is not computed again, so a killed run goes on. At ``--budget-class hour`` the networks are those
that reach 90 % in an hour of two cores each, those with published weights, and what RD, its rivals and FTWT make of the
latter; it takes hours. Below ``--budget-class paper`` nothing here reproduces a
paper: not a reproduction.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import (
    CAPACITY,
    ROOT,
    find_settings,
    publish,
    publish_capacity,
    publish_experiment,
    published_network,
    published_verdicts,
)

from auditor.benchmark.command import run_benchmark
from auditor.benchmark.inputs import load_inputs
from auditor.benchmark.training import FITS, MANIFEST
from auditor.cli.console import say
from auditor.core.display import shown
from auditor.core.errors import UnreadableError, UsageError
from auditor.core.files import read_json
from auditor.lab.experiment.shell import Workplace
from auditor.lab.prune.experiment import PruneExperiment, PruneOptions

SPARSITIES, REDUCTION = (0.8, 0.9, 0.95), 0.4
#: At ``hour``: networks with published weights, those trained here, and what is made of published ones.
PUBLISHED = ("resnet20", "resnet32", "resnet44", "resnet56")
TRAINED = ("vgg16_bn:w0.25", "mobilenet_v1", "densenet121:g8", "nasnet_a:n1-f16", "proxyless:mobile")
STEPS = ("rd", "ftwt", "ranking")
#: What is published of the ranking, the manifest last.
RANKING = (
    "benchmark.json",
    "examples.json",
    "report.html",
    "report.md",
    *CAPACITY,
    MANIFEST,
    "benchmark-manifest.json",
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--budget-class", "--budget", dest="budget", choices=["smoke", "cpu", "hour", "gpu10", "paper"], default="cpu"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rd", default="resnet20", help="network of RD")
    parser.add_argument("--ftwt", help="network of FTWT; default vgg16_bn:w0.25, at hour resnet56")
    parser.add_argument("--sparsity", type=float, action="append")
    parser.add_argument(
        "--found", type=Path, action="append", help="genotype of a search; default: reports/search/*/found.json"
    )
    parser.add_argument("--steps", default=",".join(STEPS), help=f"of {', '.join(STEPS)}")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "rebenchmark")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "rebenchmark")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    options.sparsity = tuple(options.sparsity or SPARSITIES)
    options.ftwt = options.ftwt or ("resnet56" if options.budget == "hour" else "vgg16_bn:w0.25")
    steps = [name.strip() for name in options.steps.split(",")]
    if unknown := sorted(set(steps) - set(STEPS)):
        raise UsageError(f"--steps names {', '.join(unknown)}.", f"Known: {', '.join(STEPS)}.")
    if options.found is None:
        options.found = sorted((ROOT / "reports" / "search").glob("*/found.json"))
    command = shlex.join(["python", "pipelines/rebenchmark.py", *given])
    settings = find_settings()
    others: list[str] = []
    if options.budget == "hour":
        others = [*(published_network(settings, name) for name in PUBLISHED), *TRAINED]
        options.rd, options.ftwt = (published_network(settings, name) for name in (options.rd, options.ftwt))
    with shown() as progress:
        for part, asked in pruning(options).items():
            if part not in steps:
                continue
            work = options.work / part
            place = Workplace(work, settings, progress, options.workers, command, options.work / FITS)
            for sentence in PruneExperiment(asked).run(place)["verdict"]:
                say(sentence)
            publish_experiment(work, options.out / part)
        if "ranking" not in steps:
            return
        done = run_benchmark(
            settings,
            progress,
            reference="cifar10",
            verdicts=published_verdicts(settings),
            train=entries(options, others),
            seeds=options.seeds,
            budget=options.budget,
            device=options.device,
            workers=options.workers,
            draws=options.draws,
            out=options.work,
            command=command,
        )
    say(done.result.headline)
    inputs = load_inputs(settings, reference="cifar10", verdicts=published_verdicts(settings))
    for sentence in publish_capacity(options.work, inputs, done, options.draws):
        say(sentence)
    publish(options.work, options.out, RANKING)
    say(f"Report: {options.out}")


def pruning(options: argparse.Namespace) -> dict[str, PruneOptions]:
    """The two comparisons, by the folder they are written to."""
    common: dict[str, Any] = {"budget": options.budget, "seeds": options.seeds, "device": options.device}
    return {
        "rd": PruneOptions(options.rd, "rd", sparsities=options.sparsity, **common),
        "ftwt": PruneOptions(options.ftwt, "ftwt", reductions=(REDUCTION,), **common),
    }


def entries(options: argparse.Namespace, others: Sequence[str] = ()) -> str:
    """Names for ``--train``: dense networks, RD at every sparsity, rivals at the middle one, FTWT, its control, what
    was found by searches, and `others`, each once."""
    middle = sorted(options.sparsity)[len(options.sparsity) // 2]
    names = [options.rd, *(f"rd:{options.rd}@{s:g}" for s in options.sparsity)]
    names += [f"{method}:{options.rd}@{middle:g}" for method in ("lamp", "global", "uniform")]
    names.append(options.ftwt)
    names += [f"{method}:{options.ftwt}@f{REDUCTION:g}" for method in ("ftwt", "ftwt_joint", "ftwt_static")]
    names += [searched(path) for path in options.found]
    return ",".join(dict.fromkeys([*names, *others]))


def searched(path: Path) -> str:
    """Name of the network of a genotype file, with a path from here, so that reports hold no place on a machine."""
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("genotype"), dict):
        raise UnreadableError(f"{str(path)!r} is not a genotype.", "Make one with pipelines/search.py.")
    return f"{found['genotype'].get('system')}:{os.path.relpath(path)}"


if __name__ == "__main__":
    main()
