"""Rebuild reports/detection: the detection benchmark with publication settings.

Run from a checkout::

    python pipelines/detection.py [--budget quick] [--seeds 3] [--draws 1000] [--run FOLDER] [SET ...]

Figures that are stored in the work folder and still valid are not computed again, so this also continues a killed
run and rewrites the report after single sets were added with ``auditor benchmark-detection --out``. Without
``--budget`` the sets that train on 50,000 images are listed as not run, unless ``--run`` names finished runs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from pipeline import ROOT, publish

from auditor.cli.console import RichProgress
from auditor.core.config import load_settings
from auditor.lab.detectors.benchmark import MANIFEST, REPORT, RESULTS, run_benchmark
from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--budget", choices=["quick", "standard"])
    parser.add_argument("--run", type=Path, action="append", default=[])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "benchmark-detection")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "detection")
    options = parser.parse_args()
    command = shlex.join(["python", "pipelines/detection.py", *sys.argv[1:]])
    with RichProgress() as progress:
        context = BenchmarkContext(
            load_settings(),
            options.work / "work",
            BenchmarkOptions(budget=options.budget),
            tuple(options.run),
            options.workers,
            progress,
        )
        run_benchmark(options.sets, context, options.work, options.seeds, options.draws, command)
    for old in (options.out / "plots").glob("*.svg"):
        old.unlink()
    plots = sorted(str(path.relative_to(options.work)) for path in (options.work / "plots").glob("*.svg"))
    publish(options.work, options.out, [RESULTS, REPORT, *plots, MANIFEST])


if __name__ == "__main__":
    main()
