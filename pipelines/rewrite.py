"""Write pages, figures and manifests of stored reports again from their ``results.json``; nothing is trained.

    python pipelines/rewrite.py [FOLDER ...]

Without folders: those of reports/ that an experiment of `auditor.lab` wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline import ROOT

from auditor.cli.console import say
from auditor.core.errors import UnreadableError
from auditor.core.files import read_json
from auditor.lab.cifake.grid.experiment import GridExperiment
from auditor.lab.cifake.report import write_cifake_report
from auditor.lab.detectors.benchmark import DetectionBenchmark
from auditor.lab.experiment.shell import RESULTS, Experiment
from auditor.lab.prune.experiment import PruneExperiment
from auditor.lab.prune.gating import GatingExperiment
from auditor.lab.prune.tuning import TuningExperiment
from auditor.lab.search.experiment import SearchExperiment

EXPERIMENTS: dict[str, type[Experiment]] = {
    kind.schema: kind
    for kind in (
        DetectionBenchmark,
        GatingExperiment,
        GridExperiment,
        PruneExperiment,
        SearchExperiment,
        TuningExperiment,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    given = parser.parse_args().folders
    for folder in given or sorted(path.parent for path in (ROOT / "reports").rglob(RESULTS)):
        document = read_json(folder / RESULTS)
        schema = document.get("schema")
        if schema in EXPERIMENTS:
            EXPERIMENTS[schema].rewrite(folder)
        elif schema == "auditor.cifake-report/1":
            write_cifake_report(document, folder)
        elif given:
            raise UnreadableError(f"{str(folder)!r} holds no results of an experiment.")
        else:
            continue
        say(f"written: {folder}")


if __name__ == "__main__":
    main()
