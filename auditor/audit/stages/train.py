"""Fit the planned models; their results become arrays over the audited items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult, done, not_applicable
from auditor.audit.plan import AuditPlan
from auditor.core.hashing import hash_array, hash_json
from auditor.core.seeds import generator
from auditor.data.class_order import check_class_order
from auditor.detect.margins import LOG_FLOOR
from auditor.detect.noise_models import apply_exponents, pool_exponents
from auditor.runs import layout
from auditor.runs.tables import write_array, write_arrays, write_table
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.crossval import run_jobs

#: Pairs of item and class that the exponents of a pool of models are fitted to at most: there are two of them.
POOL_ENTRIES = 5_000_000
#: Training items of a class that a thinned task keeps in any case.
FEW = 20


@dataclass(frozen=True, eq=False)
class ModelFits:
    """What one of the models of an audit says.

    Attributes
    ----------
    tasks : tuple of FitTask
    results : list of FitResult
        One per task.
    """

    tasks: tuple[FitTask, ...]
    results: list[FitResult]


def train(context: Context, trainers: Sequence[Trainer], plan: AuditPlan) -> StageResult[None]:
    """Fit the planned models and write the out-of-sample probabilities of the audited items.

    Of two trainers the probabilities are pooled (`pool_models`), and what each says alone is written beside them.
    """
    data, names = context.training_data(plan.usable), model_names(trainers)
    task_lists = tasks_of(trainers, plan, data.labels)
    workers, n_tasks = context.workers_for(trainers), sum(map(len, task_lists))
    where = f"{min(workers, n_tasks)} at a time" if context.cluster is None else "on the cluster"
    context.progress.stage("train", f"{n_tasks} model(s), {where}")
    labels, several = context.dataset.labels[plan.audited], len(trainers) > 1

    def produce() -> dict[str, Any]:
        fits = fit_models(context, trainers, data, task_lists)
        single = [merge_probabilities(plan, each, data.n_classes) for each in fits]
        for trainer, probabilities in zip(trainers, single, strict=True):
            if getattr(trainer, "fixed", False):  # nobody but its file says which output is which class
                check_class_order(probabilities, labels, context.dataset.class_names)
        pooled, exponents = pool_models(single, labels)
        dynamics = merge_dynamics(plan, fits)
        write_array(context.folder / layout.PRED_PROBS, pooled)
        if several:
            write_arrays(context.folder / layout.MODEL_PROBS, dict(zip(names, single, strict=True)))
        write_array(context.folder / layout.AUDITED, plan.audited)
        write_table(context.folder / layout.FOLDS, training_log(fits, data.labels), "auditor.folds/1")
        write_arrays(context.folder / layout.DYNAMICS, dynamics)
        return {
            "fit_seconds": {t.name: round(r.seconds, 2) for each in fits for t, r in _pairs(each)},
            "details": fits[0].results[0].details,
            "has_dynamics": bool(dynamics),
            **(
                {"pool": pool_rows(names, exponents, single, labels), "second_details": fits[1].results[0].details}
                if several
                else {}
            ),
        }

    inputs = context.inputs(
        recipe=trainers[0].recipe(),
        tasks=_tasks_key(task_lists[0]),
        usable=hash_array(plan.usable),
        **({"left_out": context.left_out} if context.left_out else {}),
        **({"second": [trainers[1].recipe(), _tasks_key(task_lists[1])]} if several else {}),
    )
    outputs = [layout.PRED_PROBS, layout.AUDITED, layout.FOLDS, layout.DYNAMICS]
    info = context.stages.run("train", inputs, outputs + ([layout.MODEL_PROBS] if several else []), produce).info
    dynamics = not_applicable("dynamics", "the trainer has no epochs")
    if info["has_dynamics"]:
        dynamics = done("dynamics", "logits per epoch kept")
    sections = {"model": {k: v for k, v in info.items() if k not in ("pool", "second_details")}}
    outcomes = [done("training", plan.description), dynamics]
    if several:
        sections["second_model"] = {"pool": info["pool"], "details": info["second_details"]}
        parts = (f"{row['name']} {row['accuracy']:.3f} (exponent {row['exponent']:.2f})" for row in info["pool"])
        outcomes.append(done("pool of two models", f"accuracy against the given labels: {', '.join(parts)}"))
    return StageResult(None, outcomes, sections=sections)


def pool_rows(
    names: Sequence[str], exponents: np.ndarray, single: Sequence[np.ndarray], labels: np.ndarray
) -> list[dict[str, Any]]:
    """Of each model of a pool its name, its exponent there and its accuracy against the given labels."""
    return [
        {"name": name, "exponent": exponent, "accuracy": float((p.argmax(axis=1) == labels).mean())}
        for name, exponent, p in zip(names, exponents.tolist(), single, strict=True)
    ]


def _tasks_key(tasks: Sequence[FitTask]) -> str:
    return hash_json([[t.name, t.seed, hash_array(t.train), hash_array(t.predict)] for t in tasks])


def _pairs(fits: ModelFits) -> zip[tuple[FitTask, FitResult]]:
    return zip(fits.tasks, fits.results, strict=True)


def model_names(trainers: Sequence[Trainer]) -> list[str]:
    """Names of the models of a run, the second with a mark where both have one."""
    names = [trainer.name for trainer in trainers]
    return [name if name not in names[:k] else f"{name} (second)" for k, name in enumerate(names)]


def tasks_of(trainers: Sequence[Trainer], plan: AuditPlan, labels: np.ndarray) -> list[tuple[FitTask, ...]]:
    """The tasks of each trainer. The second predicts every item once, since seeds are the first one's, and where one
    split is predicted from another it learns from as many items as are enough for it."""
    if len(trainers) == 1:
        return [plan.tasks]
    second = plan.tasks
    if plan.scheme == "train-to-test":
        second = tuple(_thinned(task, labels, getattr(trainers[1], "enough", None)) for task in plan.tasks[:1])
    return [plan.tasks, tuple(replace(task, name=f"{layout.SECOND}{task.name}") for task in second)]


def _thinned(task: FitTask, labels: np.ndarray, most: int | None) -> FitTask:
    """`task` with about so many items to train on, drawn by its seed: a share of each class, at least a few."""
    if most is None or len(task.train) <= most:
        return task
    rows = generator(task.seed, "enough").permutation(task.train)
    place = pd.Series(labels[rows]).groupby(labels[rows]).rank(method="first", pct=True).to_numpy()
    few = pd.Series(rows).groupby(labels[rows]).cumcount().to_numpy() < FEW
    return replace(task, train=np.sort(rows[few | (place <= most / len(rows))]))


def fit_models(
    context: Context, trainers: Sequence[Trainer], data: TrainingData, task_lists: Sequence[Sequence[FitTask]]
) -> list[ModelFits]:
    """Fit the tasks of every trainer side by side, with the workers or cluster of the run; finished ones are read from
    its folder."""
    results = iter(
        run_jobs(
            [(trainer, task) for trainer, tasks in zip(trainers, task_lists, strict=True) for task in tasks],
            data,
            workers=context.workers_for(trainers),
            progress=context.progress,
            folder=context.folder / layout.TASKS,
            cluster=context.cluster,
        )
    )
    return [ModelFits(tuple(tasks), list(islice(results, len(tasks)))) for tasks in task_lists]


def pool_models(probabilities: Sequence[np.ndarray], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One array of the out-of-sample probabilities of several models (`auditor.detect.noise_models.log_pool`).

    Parameters
    ----------
    probabilities : sequence of float32 arrays (n, K)
        One alone is given back as it is.
    labels : int array (n,)
        Given labels: the exponents are those that predict them best.

    Returns
    -------
    pooled : float32 array (n, K)
    exponents : float64 array (models,)
    """
    if len(probabilities) == 1:
        return probabilities[0], np.ones(1)
    n, n_classes = probabilities[0].shape
    rows = np.unique(np.linspace(0, n - 1, min(n, max(1, POOL_ENTRIES // n_classes))).astype(np.int64))
    floors = [LOG_FLOOR] * len(probabilities)
    exponents = pool_exponents([p[rows].astype(np.float64) for p in probabilities], floors, labels[rows])
    return apply_exponents(probabilities, floors, exponents).astype(np.float32), exponents


def merge_probabilities(plan: AuditPlan, fits: ModelFits, n_classes: int) -> np.ndarray:
    """`mean_predictions` of the fits of a model, float32 (n audited, K), rows summing to 1."""
    mean = mean_predictions(plan, _pairs(fits), n_classes)
    return (mean / mean.sum(axis=1, keepdims=True)).astype(np.float32)


def mean_predictions(plan: AuditPlan, pairs: Iterable[tuple[FitTask, FitResult]], n_outputs: int) -> np.ndarray:
    """Mean of the predictions each audited item received, float64 (n audited, n_outputs).

    In cross-validation that is one prediction per item, with several seeds their mean. Summation runs in float64
    in the order of the tasks, so the result does not depend on which worker finished first.
    """
    n = int(plan.usable.max()) + 1
    total = np.zeros((n, n_outputs), dtype=np.float64)
    times = np.zeros(n, dtype=np.int64)
    for task, result in pairs:
        rows = plan.usable[task.predict]
        total[rows] += result.probabilities
        times[rows] += 1
    chosen, count = total[plan.audited], times[plan.audited]
    if (count == 0).any():
        raise RuntimeError(f"{int((count == 0).sum())} audited items have no prediction")
    return np.asarray(chosen / count[:, None])


def merge_dynamics(plan: AuditPlan, models: Sequence[ModelFits]) -> dict[str, np.ndarray]:
    """Logits per epoch of every task, with the rows they belong to; empty when no trainer has epochs.

    Keys: ``<task>/train_rows`` and ``<task>/heldout_rows`` (int64, rows of items.parquet) and ``<task>/<array>``
    for the six arrays of `auditor.train.base.Dynamics` (float16, (epochs, rows)).
    """
    arrays: dict[str, np.ndarray] = {}
    for task, result in (pair for fits in models for pair in _pairs(fits)):
        if result.dynamics is not None:
            rows = {"train_rows": plan.usable[task.train], "heldout_rows": plan.usable[task.predict]}
            arrays |= {f"{task.name}/{name}": values for name, values in {**rows, **vars(result.dynamics)}.items()}
    return arrays


def training_log(models: Sequence[ModelFits], labels: np.ndarray) -> pd.DataFrame:
    """One row per task and epoch, plus one per task (epoch -1) with its final held-out accuracy."""
    rows: list[dict[str, Any]] = []
    for task, result in (pair for fits in models for pair in _pairs(fits)):
        rows += [{"task": task.name, **entry} for entry in result.history]
        agree = result.probabilities.argmax(axis=1) == labels[task.predict]
        accuracy = float(agree.mean()) if len(agree) else float("nan")
        sizes = {"n_train": len(task.train), "n_predict": len(task.predict)}
        rows.append({"task": task.name, "epoch": -1, "seconds": result.seconds, "heldout_accuracy": accuracy, **sizes})
    return pd.DataFrame(rows)
