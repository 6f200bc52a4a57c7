"""Out-of-sample predictions of labels that are no classes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.context import IMAGES as DECODED
from auditor.audit.context import Context, training_data
from auditor.audit.manifest import StageResult, done
from auditor.audit.plan import AuditPlan, plan_audit
from auditor.audit.stages.plan import write_items
from auditor.audit.stages.train import mean_predictions, model_names
from auditor.core.files import load_npy
from auditor.core.hashing import hash_array, hash_json
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset
from auditor.kinds.base import AuditedKind
from auditor.runs import layout
from auditor.runs.tables import write_array, write_table
from auditor.train.crossval import run_jobs
from auditor.train.outputs import choose_outputs


def plan_of_kind(dataset: Dataset, kind: AuditedKind, groups: np.ndarray, bad: np.ndarray, config: Any) -> AuditPlan:
    """As `plan_audit`, with groups of like labels in the place of classes. Errors as there."""
    strata = kind.strata(dataset.label_values)
    stratified = copy.copy(dataset)
    stratified.items = replace(dataset.items, labels=strata)
    stratified.class_names = tuple(f"group {k} of labels" for k in range(int(strata.max()) + 1))
    return plan_audit(stratified, groups, bad, config)


def predict(context: Context, kind: AuditedKind, groups: np.ndarray, bad: np.ndarray) -> StageResult[AuditPlan]:
    """Fit the models of `auditor.train.outputs` and write what they predict of the audited items."""
    dataset, config, form = context.dataset, context.config, context.dataset.form
    if form is None:
        raise TypeError("labels that are classes have trainers of their own")
    planned = plan_of_kind(dataset, kind, groups, bad, config)
    trainers, reason = choose_outputs(kind.output, dataset.modality, config.budget, context.cache)
    names = model_names(trainers)
    write_items(context, planned.audited, planned.fold, groups, bad, planned.not_auditable)
    images = load_npy(context.folder / DECODED, mmap=True) if isinstance(dataset, ImageDataset) else None
    data = training_data(dataset, planned.usable, images, context.left_out)
    values = np.ascontiguousarray(dataset.label_values[planned.usable])
    data = replace(data, labels=values, n_classes=kind.outputs(form, values))
    tasks = {
        name: tuple(
            replace(task, name=task.name if k == 0 else f"{layout.SECOND}{task.name}") for task in planned.tasks
        )
        for k, name in enumerate(names)
    }
    jobs = [(trainer, task) for trainer, name in zip(trainers, names, strict=True) for task in tasks[name]]
    workers = context.workers_for(trainers)
    context.progress.stage("train", f"{len(jobs)} model(s), {min(workers, len(jobs))} at a time; {planned.description}")

    def produce() -> dict[str, Any]:
        results = run_jobs(
            jobs, data, workers=workers, progress=context.progress, folder=context.folder / layout.TASKS,
            cluster=context.cluster,
        )  # fmt: skip
        by_task = dict(zip([task.name for _, task in jobs], results, strict=True))
        fits = ([(task, by_task[task.name]) for task in tasks[name]] for name in names)
        pooled = kind.pool([mean_predictions(planned, pairs, data.n_classes).astype(np.float32) for pairs in fits])
        write_array(context.folder / layout.PREDICTIONS, pooled)
        write_array(context.folder / layout.AUDITED, planned.audited)
        rows = [
            {"task": task.name, "epoch": -1, "seconds": by_task[task.name].seconds,
             "n_train": len(task.train), "n_predict": len(task.predict)}
            for _, task in jobs
        ]  # fmt: skip
        write_table(context.folder / layout.FOLDS, pd.DataFrame(rows), "auditor.folds/1")
        return {
            "fit_seconds": {name: round(result.seconds, 2) for name, result in by_task.items()},
            "details": {name: by_task[tasks[name][0].name].details for name in names},
        }

    inputs = context.inputs(
        kind=kind.name,
        recipes=[trainer.recipe() for trainer in trainers],
        tasks=hash_json([[t.name, t.seed, hash_array(t.train), hash_array(t.predict)] for t in planned.tasks]),
        usable=hash_array(planned.usable),
    )
    info = context.stages.run("train", inputs, [layout.PREDICTIONS, layout.AUDITED, layout.FOLDS], produce).info
    scheme = {"scheme": planned.scheme, "description": planned.description, "left_out": planned.left_out}
    return StageResult(
        planned,
        [done("training", f"{' and '.join(names)}: {planned.description}")],
        sections={
            "plan": scheme,
            "model": {"name": names[0], "reason": reason, **info},
            "labels": {"models": names},
            "not_auditable": [vars(entry) for entry in planned.not_auditable],
        },
    )
