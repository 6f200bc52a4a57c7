"""Entries x seeds: who is fitted first, under which names, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.errors import UsageError
from auditor.core.progress import Progress, SilentProgress
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.many import TestRows, fit_entries

FITTED: list[str] = []


@dataclass(frozen=True)
class Constant:
    """Says its seed."""

    name: str
    threads: int = 1

    def recipe(self) -> dict[str, Any]:
        return {"name": self.name}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        FITTED.append(task.name)
        return FitResult(np.full((len(task.predict), 2), task.seed, np.float32), None, [], 0.0, {"by": self.name})


@dataclass(frozen=True)
class FromDense(Constant):
    """Starts from another network."""

    dense: str = "a"


@pytest.fixture
def rows() -> TestRows:
    data = TrainingData("image", np.zeros((6, 2, 2, 3), np.uint8), np.arange(6) % 2, 2)
    return TestRows(data, np.arange(4), np.arange(4, 6), np.array(["x", "y"]), "toy")


def test_what_starts_from_another_network_is_fitted_after_it(rows: TestRows, tmp_path: Path) -> None:
    FITTED.clear()
    entries = {"rd:a@0.5": FromDense("rd:a@0.5"), "a": Constant("a"), "b": Constant("b")}
    results = fit_entries(entries, 2, rows, tmp_path, 1, SilentProgress())
    assert FITTED == ["a__seed0", "a__seed1", "b__seed0", "b__seed1", "rd-a-0.5__seed0", "rd-a-0.5__seed1"]
    assert list(results) == list(entries)
    assert [[float(r.probabilities[0, 0]) for r in by_seed] for by_seed in results.values()] == [[0.0, 1.0]] * 3
    assert [by_seed[0].details["by"] for by_seed in results.values()] == list(entries)
    FITTED.clear()
    fit_entries(entries, 3, rows, tmp_path, 1, SilentProgress())
    assert FITTED == ["a__seed2", "b__seed2", "rd-a-0.5__seed2"], "the others are stored"


def test_entries_with_one_file_name_are_refused(rows: TestRows, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="same file name"):
        fit_entries({"a:b": Constant("a:b"), "a-b": Constant("a-b")}, 1, rows, tmp_path, 1, SilentProgress())
