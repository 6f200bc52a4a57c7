"""Rebuild reports/human-labels: does the ranking of networks survive thousands of wrong labels?

Run from a checkout, with the data below ``AUDITOR_DATA_DIR`` or ``../shared/data``::

    python pipelines/human_labels.py [--budget-class cpu] [--seeds 3] [--networks fastnet,resnet20,..]
        [--labels aggre,random1] [--steps published,own]

The published test errors of CIFAR-10 leave 18 rows that can be corrected. The human labels of CIFAR-10N leave 4,505
(``aggre``) and 8,617 (``random1``) of 50,000 train images; its clean labels correct them. Two steps, each ranked on the
human labels and on the clean ones:

- ``published``: five stored networks, fine-tuned on the aggre labels of four folds, on the fifth. Nothing is trained.
- ``own``: networks of many sizes, trained here on one half of the images **with the human labels**, on the other half;
  and whether lower capacity wins as noise grows (``capacity.md``). Below ``--budget-class paper`` not a reproduction.

Expected, written down before the first run: with this many wrong rows crossovers can be told from chance; if the label
errors paper's finding holds for networks of one family trained on noisy labels, larger ones lose on corrected rows what
they gain on wrong ones. The report says what came of it. What is stored in the work folder is not computed again.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pipeline import CAPACITY, ROOT, data_file, find_settings, publish, publish_capacity

from auditor.benchmark.command import BenchmarkDone, run_benchmark
from auditor.benchmark.inputs import load_inputs
from auditor.benchmark.training import MANIFEST
from auditor.cli.console import say
from auditor.core.config import Settings
from auditor.core.display import shown
from auditor.core.errors import UnknownNameError
from auditor.core.files import atomic_path, load_npy, write_json
from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.data.open import open_dataset
from auditor.train.budget import check_budget_class

LABELS, STEPS = ("aggre", "random1"), ("published", "own")
#: Of one family each, from small to large.
NETWORKS = "fastnet,resnet20,resnet32,resnet44,vgg16_bn:w0.25,mobilenet_v1"
TRAIN = "cifar10/train-00000-of-00001.parquet"
CLEAN, DATA = "clean.json", "data"
#: What is published, the manifest last.
PUBLISHED = (
    "benchmark.json",
    "examples.json",
    "report.html",
    "report.md",
    *CAPACITY,
    MANIFEST,
    "benchmark-manifest.json",
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", default=",".join(LABELS), help="files of cifar10n/, without .npy")
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--steps", default=",".join(STEPS), help=f"of {', '.join(STEPS)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget-class", "--budget", dest="budget", default="cpu")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "human-labels")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "human-labels")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    command = shlex.join(["python", "pipelines/human_labels.py", *given])
    steps = [name.strip() for name in options.steps.split(",")]
    if unknown := sorted(set(steps) - set(STEPS)):
        raise UnknownNameError("step", unknown[0], STEPS)
    check_budget_class(options.budget)
    settings = find_settings()
    with shown() as progress:
        for labels in (name.strip() for name in options.labels.split(",")):
            for step in steps:
                name = f"{step}-{labels}"
                run = published if step == "published" else own
                done = run(labels, options.work / name, options, settings, progress, command)
                say(f"{name}: {done.result.headline}")
                publish(options.work / name, options.out / name, PUBLISHED)
    say(f"Report: {options.out}")


def published(
    labels: str, work: Path, options: argparse.Namespace, settings: Settings, progress: Progress, command: str
) -> BenchmarkDone:
    """The stored networks, ranked by these labels and the clean ones."""
    clean = load_npy(data_file(settings, "cifar10n/clean.npy"))
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / CLEAN, [[int(label)] for label in clean])
    return run_benchmark(
        settings,
        progress,
        labels=data_file(settings, f"cifar10n/{labels}.npy"),
        verdicts=work / CLEAN,
        predictions=data_file(settings, "oof/cifar10n_aggre"),
        class_names=open_dataset("cifar10?split=test", settings).class_names,
        draws=options.draws,
        out=work,
        command=command,
    )


def own(
    labels: str, work: Path, options: argparse.Namespace, settings: Settings, progress: Progress, command: str
) -> BenchmarkDone:
    """Networks trained on one half with these labels, ranked on the other half by them and by the clean ones."""
    data = halves(labels, work, settings)
    done = run_benchmark(
        settings,
        progress,
        reference=str(data),
        verdicts=work / CLEAN,
        train=options.networks,
        seeds=options.seeds,
        budget=options.budget,
        device=options.device,
        workers=options.workers,
        draws=options.draws,
        out=work,
        command=command,
    )
    inputs = load_inputs(settings, reference=str(data), verdicts=work / CLEAN)
    for sentence in publish_capacity(work, inputs, done, options.draws):
        say(sentence)
    return done


def halves(labels: str, work: Path, settings: Settings) -> Path:
    """The train images as a data set of two splits with these labels, one random half each; writes the clean labels of
    its test split beside it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = pq.read_table(data_file(settings, TRAIN))
    human, clean = (load_npy(data_file(settings, f"cifar10n/{name}.npy")) for name in (labels, "clean"))
    at = images.schema.get_field_index("label")
    images = images.set_column(at, images.schema.field(at), pa.array(human.astype(np.int64)))
    rows = generator(0, "halves of the CIFAR-10 train images").permutation(len(images))
    split = {"train": np.sort(rows[: len(rows) // 2]), "test": np.sort(rows[len(rows) // 2 :])}
    folder = work / DATA / f"cifar10n-{labels}-halves"
    folder.mkdir(parents=True, exist_ok=True)
    for name, chosen in split.items():
        with atomic_path(folder / f"{name}-00000-of-00001.parquet") as path:
            pq.write_table(images.take(pa.array(chosen)), path)
    write_json(work / CLEAN, [[int(label)] for label in clean[split["test"]]])
    return folder


if __name__ == "__main__":
    main()
