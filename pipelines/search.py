"""Rebuild reports/search: EAS, ProxylessNAS and NASNet, each beside random architectures at equal cost.

Run from a checkout, with the data below ``AUDITOR_DATA_DIR`` or ``../shared/data``::

    python pipelines/search.py [--budget-class cpu] [--systems nasnet,proxyless,proxyless-mbconv,eas,eas-dense]
        [--seeds 1] [--train-seeds 3] [--transfer cifake]

One folder per system: genotypes of what was found and of the best random architecture, the search curve, pictures, the
final training. Final trainings are stored where ``pipelines/rebenchmark.py`` finds them. What is stored in the work
folder and still valid is not computed again. Below ``--budget-class paper`` nothing here reproduces a paper: not a
reproduction.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import ROOT, find_settings, publish_experiment

from auditor.cli.console import say
from auditor.core.display import shown
from auditor.core.errors import UsageError
from auditor.lab.experiment.shell import FITS, Workplace
from auditor.lab.search.experiment import SearchExperiment
from auditor.lab.search.systems import SPACES, SearchOptions

SYSTEMS = "nasnet,proxyless,proxyless-mbconv,eas,eas-dense"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--budget-class", "--budget", dest="budget", choices=["smoke", "cpu", "gpu10", "paper"], default="cpu"
    )
    parser.add_argument("--systems", default=SYSTEMS, help=f"of {', '.join(SPACES.names())}")
    parser.add_argument("--seeds", type=int, default=1, help="searches of each system")
    parser.add_argument("--train-seeds", type=int, default=3)
    parser.add_argument("--transfer", help="another data set on which what was found is trained and tested too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "search")
    parser.add_argument("--fits", type=Path, default=ROOT / "runs" / "rebenchmark" / FITS)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "search")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    command = shlex.join(["python", "pipelines/search.py", *given])
    settings = find_settings()
    with shown() as progress:
        for name, asked in searches(options).items():
            work = options.work / name
            place = Workplace(work, settings, progress, options.workers, command, options.fits)
            document = SearchExperiment(asked).run(place)
            say(f"{name}: {document['pooled']['verdict']} {'. '.join(document['final']['verdict'])}.")
            publish_experiment(work, options.out / name)
    say(f"Report: {options.out}")


def searches(options: argparse.Namespace) -> dict[str, SearchOptions]:
    """What is searched, by the name of its folder."""
    asked = {}
    for space in (name.strip() for name in options.systems.split(",")):
        SPACES.target(space)
        system, _, inner = space.partition("-")
        asked[space] = SearchOptions(
            system,
            budget=options.budget,
            seeds=options.seeds,
            train_seeds=options.train_seeds,
            family="dense" if inner == "dense" else None,
            space="mbconv" if inner == "mbconv" else None,
            transfer=options.transfer,
            device=options.device,
        )
    if len(asked) != len(options.systems.split(",")):
        raise UsageError(f"--systems {options.systems!r} names one twice.")
    return asked


if __name__ == "__main__":
    main()
