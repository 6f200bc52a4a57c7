"""Rebuild reports/rebenchmark: pruned networks beside their dense ones, ranked on original and corrected labels.

Run from a checkout, with the data below ``AUDITOR_DATA_DIR`` or ``../shared/data``::

    python pipelines/rebenchmark.py [--budget cpu] [--seeds 3] [--rd resnet20] [--ftwt vgg16_bn:w0.25]

Three steps that share their fits: RD beside five baselines, FTWT beside its controls, and the corrected benchmark of
the dense networks, RD and its nearest rivals, and FTWT. What is stored in the work folder and still valid is not
computed again. Below ``--budget paper`` nothing here reproduces a paper: not a reproduction.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auditor.benchmark.command import run_benchmark
from auditor.benchmark.training import FITS, MANIFEST
from auditor.cli.console import RichProgress, say
from auditor.core.config import Settings, load_settings
from auditor.core.errors import OfflineError
from auditor.core.files import atomic_write
from auditor.prune.experiment import FIGURE, RESULTS, SUMMARY, PruneOptions, run_pruning

ROOT = Path(__file__).resolve().parents[1]
SPARSITIES, REDUCTION = (0.8, 0.9, 0.95), 0.4
#: What is published of the ranking, the manifest last.
RANKING = ("benchmark.json", "examples.json", "report.html", "report.md", MANIFEST, "benchmark-manifest.json")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", choices=["smoke", "cpu", "gpu10", "paper"], default="cpu")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rd", default="resnet20", help="network of RD")
    parser.add_argument("--ftwt", default="vgg16_bn:w0.25", help="network of FTWT")
    parser.add_argument("--sparsity", type=float, action="append")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "rebenchmark")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "rebenchmark")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    options.sparsity = tuple(options.sparsity or SPARSITIES)
    command = shlex.join(["python", "pipelines/rebenchmark.py", *given])
    settings = load_settings()
    if not settings.data_dirs:
        settings = load_settings({"data_dir": ROOT.parent / "shared" / "data"})
    with RichProgress() as progress:
        for part, asked in pruning(options).items():
            found = run_pruning(
                asked, options.work / part, settings, progress, options.workers, command, options.work / FITS
            )
            for sentence in found["verdict"]:
                say(sentence)
        done = run_benchmark(
            settings, progress, reference="cifar10", verdicts=published_verdicts(settings), train=entries(options),
            seeds=options.seeds, budget=options.budget, device=options.device, workers=options.workers,
            draws=options.draws, out=options.work, command=command,
        )  # fmt: skip
    say(done.result.headline)
    publish(options.work, options.out)


def pruning(options: argparse.Namespace) -> dict[str, PruneOptions]:
    """The two comparisons, by the folder they are written to."""
    common: dict[str, Any] = {"budget": options.budget, "seeds": options.seeds, "device": options.device}
    return {
        "rd": PruneOptions(options.rd, "rd", sparsities=options.sparsity, **common),
        "ftwt": PruneOptions(options.ftwt, "ftwt", reductions=(REDUCTION,), **common),
    }


def entries(options: argparse.Namespace) -> str:
    """Names for ``--train``: dense networks, RD at every sparsity, rivals at the middle one, FTWT, its control."""
    middle = sorted(options.sparsity)[len(options.sparsity) // 2]
    names = [options.rd, *(f"rd:{options.rd}@{s:g}" for s in options.sparsity)]
    names += [f"{method}:{options.rd}@{middle:g}" for method in ("lamp", "global", "uniform")]
    names.append(options.ftwt)
    names += [f"{method}:{options.ftwt}@f{REDUCTION:g}" for method in ("ftwt", "ftwt_joint", "ftwt_static")]
    return ",".join(names)


def published_verdicts(settings: Settings) -> Path:
    """The crowd's verdicts on CIFAR-10."""
    for folder in settings.data_dirs:
        path = Path(folder) / "label_errors" / "cifar10" / "mturk.json"
        if path.is_file():
            return path
    raise OfflineError("label_errors/cifar10/mturk.json is in no data folder.", "Set AUDITOR_DATA_DIR.")


def publish(work: Path, out: Path) -> None:
    """Copy what the report consists of, the manifest last."""
    for part in ("rd", "ftwt"):
        (out / part).mkdir(parents=True, exist_ok=True)
    names = [f"{part}/{name}" for part in ("rd", "ftwt") for name in (SUMMARY, FIGURE, RESULTS)]
    for name in (*names, *RANKING):
        if (work / name).is_file():
            with atomic_write(out / name) as handle, open(work / name, "rb") as source:
                shutil.copyfileobj(source, handle)
    say(f"Report: {out}")


if __name__ == "__main__":
    main()
