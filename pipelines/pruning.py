"""Rebuild reports/pruning: RD and FTWT on networks at their real accuracy, from none to long fine-tuning.

Run from a checkout, with the data below ``AUDITOR_DATA_DIR`` or ``../shared/data``::

    python pipelines/pruning.py [--parts rd,ftwt] [--seeds 5]
        [--networks resnet20,resnet32,resnet56] [--steps 0,36,117,360] [--sparsity 0.9 ...] [--long 3750]
        [--gated resnet56] [--flops 0.4 ...]

One folder per part and network. Each cell (a network, a method, a sparsity, steps of fine-tuning, a seed) is stored
when it is done; what is stored in the work folder and still valid is not computed again, and a killed run goes on from
its last iteration. So that a piece takes less than three hours of one thread, ask for a part first and for more
afterwards: the report is of the cells that were asked for last. RD's steps are taken in rising order (``--parts rd
--networks resnet20 --steps 0``, then ``--steps 0,36 --seeds 2`` and so on), and any piece can be ended and goes on.

``NAME`` means the published weights ``weights/cifar10/NAME.safetensors`` of the data folder; ``NAME@FILE`` names
others.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import ROOT, find_settings, publish_experiment, published_network

from auditor.cli.console import say
from auditor.core.config import Settings
from auditor.core.display import shown
from auditor.core.errors import UsageError
from auditor.lab.experiment.shell import FITS, Experiment, Workplace
from auditor.lab.prune.gating import GatingExperiment, GatingOptions
from auditor.lab.prune.tuning import METHODS, PAPER, TuningExperiment, TuningOptions
from auditor.train.final import slug

SPARSITIES = (0.9, 0.95, 0.97, 0.98)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget-class", "--budget", dest="budget", choices=["smoke", "hour"], default="hour")
    parser.add_argument("--parts", default="rd,ftwt", help="of rd, ftwt")
    parser.add_argument("--networks", default="resnet20,resnet32,resnet56", help="of RD")
    parser.add_argument("--steps", default="0,36,117,360", help="of fine-tuning after each iteration")
    parser.add_argument("--long", type=int, help="one more number of steps")
    parser.add_argument("--sparsity", type=float, action="append")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--gated", default="resnet56", help="networks of FTWT")
    parser.add_argument("--flops", type=float, action="append", help="FTWT: share of the MACs to save; 0.4")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "pruning")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "pruning")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    command = shlex.join(["python", "pipelines/pruning.py", *given])
    settings = find_settings()
    if unknown := sorted(set(options.parts.split(",")) - {"rd", "ftwt"}):
        raise UsageError(f"--parts names {', '.join(unknown)}.", "Known: rd, ftwt.")
    with shown() as progress:
        for folder, experiment in experiments(options, settings).items():
            work = options.work / folder
            place = Workplace(work, settings, progress, options.workers, command, options.work / FITS)
            for verdict in experiment.run(place)["verdict"]:
                say(f"{folder}: {verdict['method']}: {verdict['expected']}: {verdict['outcome']}.")
            publish_experiment(work, options.out / folder)
    say(f"Report: {options.out}")


def experiments(options: argparse.Namespace, settings: Settings) -> dict[str, Experiment]:
    """What is asked for, by the name of its folder; all of it is checked before anything runs."""
    common = {name: getattr(options, name) for name in ("data", "budget", "seeds", "device")}
    try:
        steps = [int(n) for n in options.steps.split(",")] + ([] if options.long is None else [options.long])
    except ValueError as error:
        raise UsageError(f"--steps {options.steps!r} holds no whole numbers.", "Write --steps 0,36.") from error
    made: dict[str, Experiment] = {}
    if "rd" in options.parts.split(","):
        for name in options.networks.split(","):
            network = published_network(settings, name.strip())
            sparsities = tuple(options.sparsity or SPARSITIES)
            if not options.sparsity and name.strip() == PAPER["network"]:
                sparsities = (*sparsities, PAPER["sparsity"] / 100)
            methods = tuple(options.methods.split(","))
            asked = TuningOptions(network, sparsities, tuple(steps), methods, **common)
            made[f"rd-{slug(network)}"] = TuningExperiment(asked)
    if "ftwt" in options.parts.split(","):
        for name in options.gated.split(","):
            network = published_network(settings, name.strip())
            made[f"ftwt-{slug(network)}"] = GatingExperiment(
                GatingOptions(network, tuple(options.flops or (0.4,)), **common)
            )
    return made


if __name__ == "__main__":
    main()
