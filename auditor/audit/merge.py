"""From the results of single models to arrays over the audited items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.plan import AuditPlan
from auditor.train.base import FitResult

__all__ = ["merge_dynamics", "merge_probabilities", "training_log"]


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
        if result.dynamics is None:
            continue
        arrays[f"{task.name}/train_rows"] = plan.usable[task.train]
        arrays[f"{task.name}/heldout_rows"] = plan.usable[task.predict]
        for name, values in vars(result.dynamics).items():
            arrays[f"{task.name}/{name}"] = values
    return arrays


def training_log(plan: AuditPlan, results: Sequence[FitResult], labels: np.ndarray) -> pd.DataFrame:
    """One row per task and epoch, plus one per task (epoch -1) with its final held-out accuracy."""
    rows: list[dict[str, Any]] = []
    for task, result in zip(plan.tasks, results, strict=True):
        rows += [{"task": task.name, **entry} for entry in result.history]
        agree = result.probabilities.argmax(axis=1) == labels[task.predict]
        rows.append(
            {
                "task": task.name,
                "epoch": -1,
                "seconds": result.seconds,
                "heldout_accuracy": float(agree.mean()) if len(agree) else float("nan"),
                "n_train": len(task.train),
                "n_predict": len(task.predict),
            }
        )
    return pd.DataFrame(rows)
