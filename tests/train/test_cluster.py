"""Folds on a Ray cluster: the local result, errors come through, and a node killed in the middle of an epoch."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fitting_cases import MeanTrainer, fold_tasks, small_data

from auditor.core.errors import LabelError, ResourceError
from auditor.train.base import FitResult, TrainingData
from auditor.train.crossval import run_tasks
from auditor.train.folds import plan_folds
from auditor.train.image_network import ImageNetwork
from auditor.train.recipe import Stage
from tests.conftest import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]


@pytest.fixture
def executor(ray_node: None) -> Any:
    from auditor.engine.ray_executor import RayExecutor

    return RayExecutor()


def assert_equal(first: list[FitResult], second: list[FitResult]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.probabilities.tobytes() == b.probabilities.tobytes()
        assert (a.dynamics is None) == (b.dynamics is None)
        if a.dynamics is not None and b.dynamics is not None:
            assert a.dynamics.heldout_given.tobytes() == b.dynamics.heldout_given.tobytes()
            assert a.dynamics.train_given.tobytes() == b.dynamics.train_given.tobytes()


def test_equals_local_and_stores_results(executor: Any, tmp_path: Path) -> None:
    data, calls = small_data(), tmp_path / "calls"
    trainer = MeanTrainer(calls=str(calls))
    away = run_tasks(trainer, data, fold_tasks(data), folder=tmp_path / "run", cluster=executor)
    lines = calls.read_text().splitlines()
    assert len(lines) == 4
    assert str(os.getpid()) not in {line.split()[1] for line in lines}
    # Stored: neither here nor there is anything fitted again.
    again = run_tasks(trainer, data, fold_tasks(data), folder=tmp_path / "run")
    run_tasks(trainer, data, fold_tasks(data), folder=tmp_path / "run", cluster=executor)
    assert len(calls.read_text().splitlines()) == 4
    assert_equal(away, again)
    assert_equal(away, run_tasks(trainer, data, fold_tasks(data)))
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_errors_come_through(executor: Any) -> None:
    data = small_data()
    with pytest.raises(LabelError, match="the label is odd"):
        run_tasks(MeanTrainer(mode="label"), data, fold_tasks(data), cluster=executor)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_tasks(MeanTrainer(mode="bug"), data, fold_tasks(data), cluster=executor)


def test_no_node_is_large_enough(executor: Any) -> None:
    with pytest.raises(ResourceError, match=r"no node of the cluster has 64 CPU\(s\)"):
        list(executor.run_named(len, [], [("a", ())], cpus=64))


def folds(piece: TrainingData) -> tuple[ImageNetwork, TrainingData, list[Any]]:
    data = TrainingData("image", np.ascontiguousarray(piece.features[:400]), piece.labels[:400], 10)
    trainer = ImageNetwork.from_budget("smoke", device="cpu", stages=(Stage(0.5, 10), Stage(0.75, 2)), batch=40)
    plan = plan_folds(np.arange(400).astype(str), data.labels, 10, 2, 0)
    return replace(trainer, precision="fp32"), data, plan.tasks(0)


@pytest.mark.slow
def test_node_killed_during_a_fit(ray_cluster: RayCluster, cifar_piece: TrainingData, tmp_path: Path) -> None:
    """The lost fit goes on from its last epoch on another node."""
    from auditor.engine.ray_executor import RayExecutor

    trainer, data, tasks = folds(cifar_piece)
    local = run_tasks(trainer, data, tasks)
    remove, killed = ray_cluster.add_node(), threading.Event()

    def kill() -> None:
        while len(list((tmp_path / "run" / "checkpoints").glob("*/*"))) < 2:  # both folds have ended an epoch
            time.sleep(0.02)
        remove()
        killed.set()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    away = run_tasks(trainer, data, tasks, folder=tmp_path / "run", cluster=RayExecutor())
    assert killed.is_set(), "both folds ended before the node was killed"
    killer.join()
    assert_equal(away, local)
