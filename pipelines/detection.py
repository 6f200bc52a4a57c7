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
import shutil
import sys
from pathlib import Path

from auditor.cli.console import RichProgress
from auditor.core.config import load_settings
from auditor.core.files import atomic_write
from auditor.lab.detectors.benchmark import MANIFEST, REPORT, RESULTS, run_benchmark
from auditor.lab.detectors.sets import Context, Options

ROOT = Path(__file__).resolve().parents[1]


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
        context = Context(
            load_settings(),
            options.work / "work",
            Options(budget=options.budget),
            tuple(options.run),
            options.workers,
            progress,
        )
        run_benchmark(options.sets, context, options.work, options.seeds, options.draws, command)
    publish(options.work, options.out)


def publish(work: Path, out: Path) -> None:
    """Copy what the report consists of, the manifest last."""
    (out / "plots").mkdir(parents=True, exist_ok=True)
    for old in (out / "plots").glob("*.svg"):
        old.unlink()
    for path in [work / RESULTS, work / REPORT, *sorted((work / "plots").glob("*.svg")), work / MANIFEST]:
        with atomic_write(out / path.relative_to(work)) as handle, open(path, "rb") as source:
            shutil.copyfileobj(source, handle)


if __name__ == "__main__":
    main()
