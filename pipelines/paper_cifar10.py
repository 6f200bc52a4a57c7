"""Rebuild reports/paper-cifar10: the published CIFAR-10 predictions and verdicts, re-ranked with significance.

Run from a checkout::

    python pipelines/paper_cifar10.py [--draws 10000] [--out reports/paper-cifar10]

Nothing is trained. Needs ``label_errors/cifar10``, ``predictions/cifar10`` and, for the pictures, ``cifar10`` in the
data folder (``AUDITOR_DATA_DIR``). Every number of the paper's repository is recomputed from these files and compared
with the published one; a difference stops the pipeline.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from pipeline import ROOT

from auditor.benchmark.command import run_benchmark
from auditor.core.config import Settings, load_settings
from auditor.core.display import shown
from auditor.core.errors import AuditorError, DataError, OfflineError
from auditor.core.progress import Progress

#: (files) at each agreement: non-errors, correctable, kept rows, crossovers, and where VGG-11 overtakes VGG-19.
PUBLISHED = {3: (221, 18, 9964, 37, "297/5270"), 4: (167, 7, 9899, 40, "1071/10963"), 5: (82, 3, 9810, 37, "144/3413")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "paper-cifar10")
    options = parser.parse_args()
    command = shlex.join(["python", "pipelines/paper_cifar10.py", *sys.argv[1:]])
    try:
        with shown() as progress:
            rebuild(load_settings(), options.out, options.draws, command, progress)
    except AuditorError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def rebuild(settings: Settings, out: Path, draws: int, command: str, progress: Progress) -> dict[str, Any]:
    """Make the folder; returns the result document.

    Raises
    ------
    OfflineError
        If the files are not here.
    DataError
        If a number differs from the published one.
    """
    place = _find(settings)
    done = run_benchmark(
        settings,
        progress,
        reference="cifar10?split=test",
        predictions=place / "predictions" / "cifar10",
        verdicts=place / "label_errors" / "cifar10" / "mturk.json",
        agreement=3,
        draws=draws,
        out=out,
        command=command,
    )
    document = done.document
    _check(document)
    return document


def _find(settings: Settings) -> Path:
    for folder in settings.data_dirs:
        if (folder / "predictions" / "cifar10").is_dir() and (folder / "label_errors" / "cifar10").is_dir():
            return folder
    raise OfflineError(
        "the published verdicts and predictions of CIFAR-10 are not here.",
        "Name the folder that holds label_errors/ and predictions/ with AUDITOR_DATA_DIR.",
    )


def _check(document: dict[str, Any]) -> None:
    for level in document["by_agreement"]:
        right, correctable, kept, crossovers, _ = PUBLISHED[level["agreement"]]
        found = (level["counts"]["non_errors"], level["n_correctable"], level["n_pruned"], level["crossovers"])
        if found != (right, correctable, kept, crossovers):
            raise DataError(
                f"agreement {level['agreement']}: {found}, published {(right, correctable, kept, crossovers)}"
            )
    pair = [c["exact"] for c in document["crossovers"] if (c["a"], c["b"]) == ("vgg11_bn", "vgg19_bn")]
    if pair != [PUBLISHED[document["agreement"]][4]]:
        raise DataError(f"VGG-11 overtakes VGG-19 at {pair}, published {PUBLISHED[document['agreement']][4]}.")


if __name__ == "__main__":
    sys.exit(main())
