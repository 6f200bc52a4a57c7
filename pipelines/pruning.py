"""Rebuild reports/pruning: RD and FTWT on networks at their real accuracy, from none to long fine-tuning.

Run from a checkout, with the data below ``AUDITOR_DATA_DIR`` or ``../shared/data``::

    python pipelines/pruning.py [--networks resnet20,resnet32,resnet56] [--steps 0,36,117,360] [--seeds 5]
        [--sparsity 0.9 ...] [--long 3750]

One folder per network. Each cell (a network, a method, a sparsity, steps of fine-tuning, a seed) is stored when it is
done; what is stored in the work folder and still valid is not computed again, and a killed run goes on from its last
iteration. So that a piece takes less than three hours of one thread, ask for a part first and for more afterwards: the
report is of the cells that were asked for last. Steps are taken in rising order: ``--steps 0`` of ResNet-20 takes
half an hour, ``--steps 36`` two hours for two seeds, each of the others one run a seed.

``NAME`` means the published weights ``weights/cifar10/NAME.safetensors`` of the data folder; ``NAME@FILE`` names
others.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import ROOT, find_settings, publish_experiment

from auditor.cli.console import say
from auditor.core.config import Settings
from auditor.core.display import shown
from auditor.core.errors import OfflineError
from auditor.lab.experiment.shell import FITS, Workplace
from auditor.lab.prune.tuning import METHODS, PAPER, TuningExperiment, TuningOptions
from auditor.models.weights import names_weights
from auditor.train.final import slug

SPARSITIES = (0.9, 0.95, 0.97, 0.98)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget-class", "--budget", dest="budget", choices=["smoke", "hour"], default="hour")
    parser.add_argument("--networks", default="resnet20,resnet32,resnet56")
    parser.add_argument("--steps", default="0,36,117,360", help="of fine-tuning after each iteration")
    parser.add_argument("--long", type=int, help="one more number of steps")
    parser.add_argument("--sparsity", type=float, action="append")
    parser.add_argument("--methods", default=",".join(METHODS))
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
    steps = [int(n) for n in options.steps.split(",")] + ([] if options.long is None else [options.long])
    with shown() as progress:
        for name in options.networks.split(","):
            network = published_network(settings, name.strip())
            sparsities = tuple(options.sparsity or SPARSITIES)
            if not options.sparsity and network.startswith(f"{PAPER['network']}@"):
                sparsities = (*sparsities, PAPER["sparsity"] / 100)
            asked = TuningOptions(
                network,
                sparsities,
                tuple(steps),
                tuple(options.methods.split(",")),
                data=options.data,
                budget=options.budget,
                seeds=options.seeds,
                device=options.device,
            )
            work = options.work / f"rd-{slug(network)}"
            place = Workplace(work, settings, progress, options.workers, command, options.work / FITS)
            for verdict in TuningExperiment(asked).run(place)["verdict"]:
                say(f"{network.partition('@')[0]}: {verdict['method']}: {verdict['expected']}: {verdict['outcome']}.")
            publish_experiment(work, options.out / f"rd-{network.partition('@')[0]}")
    say(f"Report: {options.out}")


def published_network(settings: Settings, name: str) -> str:
    """``NAME@FILE`` with the published weights of `name` for CIFAR-10; `name` itself where it names weights."""
    if names_weights(name):
        return name
    for folder in settings.data_dirs:
        path = Path(folder) / "weights" / "cifar10" / f"{name}.safetensors"
        if path.is_file():
            return f"{name}@{path}"
    raise OfflineError(f"weights/cifar10/{name}.safetensors is in no data folder.", "Set AUDITOR_DATA_DIR.")


if __name__ == "__main__":
    main()
