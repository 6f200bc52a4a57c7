"""What a person or a run waits for beside training, on this machine: one suspect explained, folds, an allocation.

    python benchmarks/waits.py [--repeats 5]

Processor seconds, the least of the repeats; each is to stay well under a second.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import auditor
from auditor.audit.why import Explainer
from auditor.lab.prune.rd.allocate import LayerOptions, allocate
from auditor.train.folds import plan_folds


def explain_one(folder: Path) -> Callable[[], Any]:
    """``auditor show --item``: one suspect of a run of 10,000 items."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 10, 10_000)
    logits = rng.normal(size=(10_000, 10)) + 4 * np.eye(10)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.where(rng.random(10_000) < 0.1, rng.integers(0, 10, 10_000), truth)
    run = auditor.find_errors(pred_probs=p, labels=labels, out=folder, embeddings="log-probabilities")
    return lambda: Explainer(auditor.open_run(run.path)).explain(str(run.findings["id"].iloc[0]))


def plan_60_000() -> Callable[[], Any]:
    """Folds of 60,000 items, 2,000 pairs of them copies."""
    rng = np.random.default_rng(0)
    n = 60_000
    ids, labels, groups = np.array([f"train/{i:06d}" for i in range(n)]), rng.integers(0, 10, n), np.arange(n)
    pairs = rng.choice(n, (2000, 2), replace=False)
    groups[pairs[:, 1]] = groups[pairs[:, 0]]
    return lambda: plan_folds(ids, labels, 10, 5, 0, groups)


def allocate_resnet32() -> Callable[[], Any]:
    """Sparsity per layer of a network of ResNet-32's size: 34 layers of 21 options."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(432, 36_864, 34)
    sizes = (sizes * 464_432 / sizes.sum()).astype(int)
    rates = np.linspace(0, 1, 21)
    layers = [LayerOptions(size - (rates * size).astype(int), np.sort(rng.random(21))) for size in sizes]
    return lambda: allocate(layers, int(0.2 * sizes.sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, least of {repeats}")
    with tempfile.TemporaryDirectory() as folder:
        waits = {
            "one suspect explained, 10,000 items": explain_one(Path(folder) / "run"),
            "folds of 60,000 items": plan_60_000(),
            "allocation over 34 layers": allocate_resnet32(),
        }
        for name, call in waits.items():
            spent = []
            for _ in range(repeats):
                begin = time.process_time()
                call()
                spent.append(time.process_time() - begin)
            print(f"{name:36} {min(spent):.2f} s")


if __name__ == "__main__":
    main()
