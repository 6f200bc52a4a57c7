"""The main job on small parts of the real image sets, through the Python API."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.core.config import Settings
from auditor.data.base import Dataset
from auditor.data.open import open_dataset


def _part(reference: str, data_dir: Path, n: int, seed: int = 0) -> Dataset:
    """`n` random items, the same number of every class and split."""
    dataset = open_dataset(reference, Settings(data_dirs=(data_dir,), offline=True))
    rng = np.random.default_rng(seed)
    cells = {(s, k) for s, k in zip(dataset.items.splits.tolist(), dataset.labels.tolist(), strict=True)}
    chosen = [
        rng.choice(np.flatnonzero((dataset.items.splits == s) & (dataset.labels == k)), n // len(cells), replace=False)
        for s, k in sorted(cells)
    ]
    return dataset.subset(np.sort(np.concatenate(chosen)))


def test_cifake_real_against_fake(data_dir: Path, tmp_path: Path) -> None:
    part = _part("cifake", data_dir, 1000)
    run = auditor.find_errors(
        part, out=tmp_path / "run", audit="all", folds=2, budget="smoke", model="fastnet", workers=1
    )
    assert run.class_names == ("FAKE", "REAL")
    assert run.counts["n_audited"] == 1000
    assert run.manifest["model"]["out_of_sample_accuracy"] > 0.6
    assert run.dynamics()
    assert run.report_path.read_text().count("data:image/png") >= 20


def test_cifar10_test_items_are_predicted_from_train(data_dir: Path, tmp_path: Path) -> None:
    part = _part("cifar10", data_dir, 1600)
    test = part.items.splits == "test"
    # Planted in memory only: frogs called ships among the test items.
    planted = np.flatnonzero(test & (part.labels == 6))[:5]
    part.items.labels[planted] = 8
    run = auditor.find_errors(part, out=tmp_path / "run", budget="smoke", model="fastnet", seeds=1, workers=1)
    assert run.manifest["plan"]["scheme"] == "train-to-test"
    assert run.counts["n_audited"] == int(test.sum())
    assert set(run.findings["split"]) == {"test"}
    dynamics = run.dynamics()
    assert dynamics is not None
    assert dynamics["seed-0/heldout_given"].shape[1] == int(test.sum())
    assert not set(dynamics["seed-0/train_rows"]) & set(np.flatnonzero(test))


@pytest.mark.slow
def test_the_same_findings_for_1_and_2_workers(data_dir: Path, tmp_path: Path) -> None:
    part = _part("cifar10", data_dir, 1600)
    both = [
        auditor.find_errors(
            part, out=tmp_path / str(w), audit="all", folds=4, budget="smoke", model="fastnet", workers=w
        )
        for w in (1, 2)
    ]
    files = [(r.path / "findings.parquet").read_bytes() for r in both]
    assert files[0] == files[1]
