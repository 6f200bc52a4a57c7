"""`find-errors --second-round`: what is left out of training, what a run keeps, and where it does not apply."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auditor.audit.evidence import run_evidence
from auditor.audit.find_errors import find_errors
from auditor.audit.plan import AuditPlan
from auditor.audit.stages.second_round import clean_and_refit, reduced_tasks
from auditor.audit.stages.train import ModelFits
from auditor.core.config import load_settings
from auditor.core.progress import SilentProgress
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.runs import layout
from auditor.train.base import FitTask, TrainingData
from auditor.train.crossval import run_tasks
from tests.audit.softmax_trainer import SoftmaxTrainer


def test_only_audited_suspects_leave_the_training_parts() -> None:
    usable = np.array([0, 1, 2, 3, 5, 6, 7])
    audited = np.array([1, 2, 5, 6])
    tasks = (FitTask("fold-0", np.array([0, 2, 4, 6]), np.array([1, 5]), 7),)  # rows 0, 2, 5, 7
    plan = AuditPlan("test-folds", "", audited, np.full(8, -1), tasks, usable, (), 0)
    (task,) = reduced_tasks(plan, np.array([True, False, True, False]), 2)  # row 2 and 6 are suspect
    assert usable[task.train].tolist() == [0, 5, 7]
    assert (task.name, task.seed, task.predict.tolist()) == ("fold-0-round-2", 7, [1, 5])


@pytest.fixture(scope="module")
def noisy_digits() -> tuple[ImageDataset, np.ndarray]:
    """Digits with a tenth of the labels replaced at random, and which."""
    dataset = open_dataset("digits", load_settings())
    assert isinstance(dataset, ImageDataset)
    rng = np.random.default_rng(0)
    wrong = rng.random(len(dataset)) < 0.1
    labels = dataset.items.labels.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, wrong.sum())) % 10
    dataset.items = replace(dataset.items, labels=labels)
    return dataset, wrong


def test_a_run_with_accepted_rounds(noisy_digits: tuple[ImageDataset, np.ndarray], tmp_path: Path) -> None:
    dataset, _ = noisy_digits
    trainer = SoftmaxTrainer()
    options = {"trainer": trainer, "out": tmp_path / "run", "workers": 1, "folds": 3}
    plain = find_errors(dataset, **options)
    first = np.array(plain.pred_probs)
    assert plain.manifest["second_round"] == {}
    run = find_errors(dataset, **options, second_round=True)
    stages = {s["name"]: s["reused"] for s in run.manifest["stages"]}
    assert stages["train"]
    assert not stages["second-round"]
    told = run.manifest["second_round"]
    assert told["accepted"] >= 1
    assert any(o["part"] == "second round" and "round 1" in o["detail"] for o in run.manifest["outcomes"])
    # The run goes on with the new probabilities everywhere; the first ones stay where they were.
    assert run.pred_probs_path.name == layout.SECOND_ROUND
    np.testing.assert_array_equal(np.load(run.path / layout.PRED_PROBS), first)
    np.testing.assert_array_equal(run_evidence(run).probabilities[0], run.pred_probs)  # type: ignore[index]
    place = int(np.flatnonzero(run.ids == run.scores["id"][0])[0])
    assert run.scores["p_given"][0] == pytest.approx(float(run.pred_probs[place, run.labels[place]]))
    # The first round by hand: same folds, without the items whose most probable class differs.
    kept = first.argmax(axis=1) == run.labels
    assert told["rounds"][0]["dropped"] == (~kept).sum()
    assert set(told["fit_seconds"]) >= {f"fold-{f}-round-1" for f in range(3)}
    again = find_errors(dataset, **options, second_round=True)
    assert all(s["reused"] for s in again.manifest["stages"])
    # Without the option the same folder goes back to the first probabilities.
    assert find_errors(dataset, **options).pred_probs_path.name == layout.PRED_PROBS


def test_refit_leaves_the_suspects_out_of_training(noisy_digits: tuple[ImageDataset, np.ndarray]) -> None:
    dataset, wrong = noisy_digits
    images, _ = dataset.load_images(np.arange(len(dataset)))
    data = TrainingData("image", images, dataset.labels, 10)
    rows = np.arange(len(dataset))
    tasks = tuple(FitTask(f"fold-{f}", rows[rows % 3 != f], rows[rows % 3 == f], f) for f in range(3))
    plan = AuditPlan("cross-validation", "", rows, rows % 3, tasks, rows, (), 0)
    trained: list[FitTask] = []

    def fit(reduced: AuditPlan) -> list[ModelFits]:
        trained.extend(reduced.tasks)
        results = run_tasks(SoftmaxTrainer(), data, list(reduced.tasks), progress=SilentProgress())
        return [ModelFits("softmax", reduced.tasks, results)]

    p = np.full((len(rows), 10), 0.02)
    p[rows, np.where(wrong, (dataset.labels + 1) % 10, dataset.labels)] = 0.82
    found, costs = clean_and_refit(plan, p, dataset.labels, fit)
    assert len(costs["fit_seconds"]) == len(trained) >= 3
    for task in trained[:3]:
        assert not wrong[task.train].any()
        assert len(task.train) == (~wrong[rows % 3 != int(task.name[5])]).sum()
    assert len(found.rounds) >= 1


def test_a_test_split_has_no_second_round(tmp_path: Path) -> None:
    """Models trained on the train split know nothing about the train labels."""
    dataset = open_dataset("digits", load_settings())
    splits = np.where(np.arange(len(dataset)) < 1200, "train", "test")
    dataset.items = replace(dataset.items, splits=splits)
    run = find_errors(dataset, trainer=SoftmaxTrainer(), out=tmp_path / "run", workers=1, second_round=True)
    assert len(run.audited) == 597
    (told,) = [o for o in run.manifest["outcomes"] if o["part"] == "second round"]
    assert told["status"] == "not applicable"
    assert "not audited" in told["detail"]
