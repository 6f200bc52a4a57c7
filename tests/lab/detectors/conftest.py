"""A tiny stand-in for the stored probabilities: 400 items, two networks, all files of a data folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.config import Settings
from auditor.lab.detectors.benchmark import DetectionBenchmark
from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions
from auditor.lab.experiment.shell import Workplace

ITEMS, CLASSES = 400, 10


def write_stored(folder: Path) -> Path:
    """``cifar10n`` and ``oof`` below `folder`."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, ITEMS)
    labels = np.where(rng.random(ITEMS) < 0.15, rng.integers(0, CLASSES, ITEMS), truth)
    (folder / "cifar10n").mkdir(parents=True)
    (folder / "oof" / "cifar10n_aggre").mkdir(parents=True)
    np.save(folder / "cifar10n" / "clean.npy", truth.astype(np.uint8))
    np.save(folder / "cifar10n" / "aggre.npy", labels.astype(np.uint8))
    for name, signal in (("resnet18", 3.0), ("resnet50d", 4.0)):
        logits = rng.normal(size=(ITEMS, CLASSES)) + signal * np.eye(CLASSES)[truth]
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        path = folder / "oof" / "cifar10n_aggre" / f"{name}.npz"
        np.savez(path, pred_probs=p.astype(np.float16), labels=labels)
    return folder


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return write_stored(tmp_path / "data")


@pytest.fixture
def context(stored: Path, tmp_path: Path) -> BenchmarkContext:
    settings = Settings(data_dirs=(stored,), cache_dir=tmp_path / "cache", offline=True)
    return BenchmarkContext(settings, tmp_path / "work", BenchmarkOptions(folds=3))


@pytest.fixture
def training_context(context: BenchmarkContext, tmp_path_factory: pytest.TempPathFactory) -> BenchmarkContext:
    """One whose trained runs are kept for the next test."""
    return replace(context, work=tmp_path_factory.getbasetemp() / "trained-detection-sets")


def run_in(folder: Path, context: BenchmarkContext, sets: list[str], draws: int = 20, seeds: int = 3) -> dict[str, Any]:
    """The benchmark with the options of `context`."""
    options = replace(context.options, draws=draws, seeds=seeds)
    at = Workplace(folder, context.settings, fits=context.work)
    return DetectionBenchmark(options, sets, context.runs).run(at)
