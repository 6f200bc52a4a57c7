"""Accuracy and time of the trainers that are not image networks, on real data.

    python benchmarks/trainers.py [--data-dir DIR] [--out FOLDER]

Every row is one cross-validation (or one train and test part) through the same code as ``auditor find-errors``:
accuracy of the out-of-sample predictions against the given labels, and against the truth where it is known.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_wine

import auditor
from auditor.core.config import Settings
from auditor.core.files import atomic_write, write_json
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.data.base import Dataset
from auditor.data.open import open_dataset

SEED = 0


def measure(name: str, data: Dataset, truth: np.ndarray | None = None, **options: Any) -> dict[str, Any]:
    """One run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run = auditor.find_errors(data, out=Path(folder) / "run", seed=SEED, near_duplicates=False, **options)
        seconds = time.perf_counter() - begin
        predicted = run.pred_probs.argmax(axis=1)
        row = {
            "data": name,
            "model": run.manifest["model"]["name"],
            "plan": run.manifest["plan"]["description"],
            "n_audited": run.counts["n_audited"],
            "accuracy_against_given": float((predicted == run.labels).mean()),
            "accuracy_against_truth": None if truth is None else float((predicted == truth[run.audited]).mean()),
            "seconds": round(seconds, 1),
        }
    print(f"{name:<40} {row['model']:<28} {row['accuracy_against_given']:.4f}  {seconds:.1f} s", flush=True)
    return row


def _texts(data_dir: Path, settings: Settings) -> dict[str, Any]:
    path = data_dir / "text" / "noisy_agnews_10k.csv"
    table = pd.read_csv(path)
    data = open_dataset(f"{path}?text=text&label=label", settings)
    names = {name: k for k, name in enumerate(data.class_names)}
    truth = table["gt"].astype(str).map(names).to_numpy()
    return measure("NoisyAG-News, 10,000 texts", data, truth, model="tfidf")


def _cifar_part(data_dir: Path, settings: Settings, model: str, budget: str) -> dict[str, Any]:
    """6,000 train and 2,000 test images, drawn with a fixed seed."""
    data = open_dataset("cifar10", settings)
    rng = np.random.default_rng(SEED)
    splits = data.items.splits
    rows = [rng.choice(np.flatnonzero(splits == s), n, replace=False) for s, n in (("train", 6000), ("test", 2000))]
    part = data.subset(np.sort(np.concatenate(rows)))
    return measure(f"CIFAR-10, 6,000 train, 2,000 test, {budget}", part, model=model, budget=budget)


def _frame(name: str, load: Callable[..., Any], folder: Path, settings: Settings) -> dict[str, Any]:
    bunch = load(as_frame=True)
    path = folder / f"{name}.csv"
    bunch.data.assign(label=bunch.target.map(lambda k: f"class {k}")).to_csv(path, index=False)
    return measure(f"{name}, {len(bunch.data)} rows", open_dataset(f"{path}?label=label", settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("AUDITOR_DATA_DIR", "../shared/data")))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data_dir = arguments.data_dir.resolve()
    settings = Settings(data_dirs=(data_dir,), offline=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measure("digits, 1,797 images of 8 px", open_dataset("digits", settings)),
            _frame("wine", load_wine, Path(folder), settings),
            _frame("breast cancer", load_breast_cancer, Path(folder), settings),
            _texts(data_dir, settings),
            _cifar_part(data_dir, settings, "frozen", "quick"),
            _cifar_part(data_dir, settings, "frozen", "standard"),
            _cifar_part(data_dir, settings, "fastnet", "quick"),
        ]
    document = {"machine": describe_machine(), "versions": package_versions(), "seed": SEED, "rows": rows}
    if arguments.out:
        write_json(arguments.out / "trainers.json", document)
        with atomic_write(arguments.out / "trainers.md") as handle:
            handle.write(markdown(document).encode())


def markdown(document: dict[str, Any]) -> str:
    """The rows as a table with their conditions."""
    machine, versions = document["machine"], document["versions"]
    lines = [
        "# Trainers on real data",
        "",
        "Made by `python benchmarks/trainers.py --out benchmarks/results`. One seed "
        f"({document['seed']}) each; whole runs of `find_errors`, loading and report included; {cpu_count()} workers.",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; "
        + ", ".join(f"{k} {v}" for k, v in versions.items() if k in ("auditor", "torch", "scikit-learn")),
        "",
        "| data | model | plan | accuracy against given | against truth | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        truth = "-" if row["accuracy_against_truth"] is None else f"{row['accuracy_against_truth']:.4f}"
        lines.append(
            f"| {row['data']} | {row['model']} | {row['plan']} | {row['accuracy_against_given']:.4f} | {truth} "
            f"| {row['seconds']} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
