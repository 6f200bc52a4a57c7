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

from pipeline import ROOT, publish_experiment

from auditor.core.config import load_settings
from auditor.core.display import shown
from auditor.lab.detectors.benchmark import DetectionBenchmark
from auditor.lab.detectors.sets import BenchmarkOptions
from auditor.lab.experiment.shell import Workplace


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
    with shown() as progress:
        at = Workplace(options.work, load_settings(), progress, options.workers, command, options.work / "work")
        asked = BenchmarkOptions(audit_budget=options.budget, seeds=options.seeds, draws=options.draws)
        DetectionBenchmark(asked, options.sets, options.run).run(at)
    publish_experiment(options.work, options.out)


if __name__ == "__main__":
    main()
