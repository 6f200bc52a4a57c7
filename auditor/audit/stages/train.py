"""Fit the planned models; their results become arrays over the audited items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult, done, not_applicable
from auditor.audit.plan import AuditPlan
from auditor.core.hashing import hash_array, hash_json
from auditor.runs import layout
from auditor.runs.tables import write_array, write_arrays, write_table
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.crossval import run_tasks


def train(context: Context, trainer: Trainer, plan: AuditPlan) -> StageResult[None]:
    """Fit the planned models and write the out-of-sample probabilities of the audited items."""
    data, workers = context.training_data(plan.usable), context.workers_for(trainer)
    where = f"{min(workers, len(plan.tasks))} at a time" if context.cluster is None else "on the cluster"
    context.progress.stage("train", f"{len(plan.tasks)} model(s), {where}")

    def produce() -> dict[str, Any]:
        results = fit(context, trainer, data, plan.tasks)
        dynamics = merge_dynamics(plan, results)
        write_array(context.folder / layout.PRED_PROBS, merge_probabilities(plan, results, data.n_classes))
        write_array(context.folder / layout.AUDITED, plan.audited)
        write_table(context.folder / layout.FOLDS, training_log(plan, results, data.labels), "auditor.folds/1")
        write_arrays(context.folder / layout.DYNAMICS, dynamics)
        return {
            "fit_seconds": {t.name: round(r.seconds, 2) for t, r in zip(plan.tasks, results, strict=True)},
            "details": results[0].details,
            "has_dynamics": bool(dynamics),
        }

    inputs = context.inputs(
        recipe=trainer.recipe(),
        tasks=hash_json([[t.name, t.seed, hash_array(t.train), hash_array(t.predict)] for t in plan.tasks]),
        usable=hash_array(plan.usable),
        **({"left_out": context.left_out} if context.left_out else {}),
    )
    outputs = [layout.PRED_PROBS, layout.AUDITED, layout.FOLDS, layout.DYNAMICS]
    info = context.stages.run("train", inputs, outputs, produce).info
    dynamics = not_applicable("dynamics", "the trainer has no epochs")
    if info["has_dynamics"]:
        dynamics = done("dynamics", "logits per epoch kept")
    return StageResult(None, [done("training", plan.description), dynamics], sections={"model": info})


def fit(context: Context, trainer: Trainer, data: TrainingData, tasks: Sequence[FitTask]) -> list[FitResult]:
    """Fit tasks of one run, with its workers or cluster; finished ones are read from its folder."""
    workers, folder, cluster = context.workers_for(trainer), context.folder / layout.TASKS, context.cluster
    progress = context.progress
    return run_tasks(trainer, data, tasks, workers=workers, progress=progress, folder=folder, cluster=cluster)


def merge_probabilities(plan: AuditPlan, results: Sequence[FitResult], n_classes: int) -> np.ndarray:
    """Mean of the predictions each audited item received, float32 (n audited, K), rows summing to 1.

    In cross-validation that is one prediction per item, with several seeds their mean. Summation runs in float64
    in the order of the tasks, so the result does not depend on which worker finished first.
    """
    n = int(plan.usable.max()) + 1
    total = np.zeros((n, n_classes), dtype=np.float64)
    times = np.zeros(n, dtype=np.int64)
    for task, result in zip(plan.tasks, results, strict=True):
        rows = plan.usable[task.predict]
        total[rows] += result.probabilities
        times[rows] += 1
    chosen, count = total[plan.audited], times[plan.audited]
    if (count == 0).any():
        raise RuntimeError(f"{int((count == 0).sum())} audited items have no prediction")
    mean = chosen / count[:, None]
    return (mean / mean.sum(axis=1, keepdims=True)).astype(np.float32)


def merge_dynamics(plan: AuditPlan, results: Sequence[FitResult]) -> dict[str, np.ndarray]:
    """Logits per epoch of every task, with the rows they belong to; empty when no trainer has epochs.

    Keys: ``<task>/train_rows`` and ``<task>/heldout_rows`` (int64, rows of items.parquet) and ``<task>/<array>``
    for the six arrays of `auditor.train.base.Dynamics` (float16, (epochs, rows)).
    """
    arrays: dict[str, np.ndarray] = {}
    for task, result in zip(plan.tasks, results, strict=True):
        if result.dynamics is not None:
            rows = {"train_rows": plan.usable[task.train], "heldout_rows": plan.usable[task.predict]}
            arrays |= {f"{task.name}/{name}": values for name, values in {**rows, **vars(result.dynamics)}.items()}
    return arrays


def training_log(plan: AuditPlan, results: Sequence[FitResult], labels: np.ndarray) -> pd.DataFrame:
    """One row per task and epoch, plus one per task (epoch -1) with its final held-out accuracy."""
    rows: list[dict[str, Any]] = []
    for task, result in zip(plan.tasks, results, strict=True):
        rows += [{"task": task.name, **entry} for entry in result.history]
        agree = result.probabilities.argmax(axis=1) == labels[task.predict]
        accuracy = float(agree.mean()) if len(agree) else float("nan")
        sizes = {"n_train": len(task.train), "n_predict": len(task.predict)}
        rows.append({"task": task.name, "epoch": -1, "seconds": result.seconds, "heldout_accuracy": accuracy, **sizes})
    return pd.DataFrame(rows)
