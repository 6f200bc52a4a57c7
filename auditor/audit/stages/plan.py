"""Who is audited and what is trained on what; and ``items.parquet``, which says so item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult
from auditor.audit.plan import AuditPlan, NotAuditableClass, plan_audit
from auditor.data.base import Dataset
from auditor.runs import layout
from auditor.runs.tables import write_table
from auditor.train.base import Trainer


def plan(context: Context, trainers: Sequence[Trainer], groups: np.ndarray, bad: np.ndarray) -> StageResult[AuditPlan]:
    """Plan the models (`auditor.audit.plan`). Errors as `plan_audit`."""
    # A second model tells more than a second seed of the first one, in the same time.
    seeds = getattr(trainers[0], "seeds", 1) if len(trainers) == 1 else 1
    fixed = getattr(trainers[0], "fixed", False)
    planned = plan_audit(context.dataset, groups, bad, context.config, seeds, fixed)
    notes = cautions(trainers, context.dataset, planned.audited)
    context.progress.stage("plan", planned.description)
    write_items(context, planned.audited, planned.fold, groups, bad, planned.not_auditable)
    for entry in planned.not_auditable:
        context.progress.note(f"not auditable: class {entry.name!r} ({entry.n_items} items): {entry.reason}")
    if planned.left_out:
        context.progress.note(f"{planned.left_out} training item(s) left out: copies of them are audited")
    for note in notes:
        context.progress.note(note)
    scheme = {"scheme": planned.scheme, "description": planned.description, "left_out": planned.left_out}
    not_auditable = [asdict(entry) for entry in planned.not_auditable]
    return StageResult(planned, notes=notes, sections={"plan": scheme, "not_auditable": not_auditable})


def cautions(trainers: Sequence[Trainer], dataset: Dataset, rows: np.ndarray) -> list[str]:
    """What must be said of models that are not trained, where they predict `rows`. Errors as
    `auditor.train.published.PublishedNetwork.check_items`."""
    fixed: list[Any] = [trainer for trainer in trainers if getattr(trainer, "fixed", False)]
    splits = dataset.items.splits[rows]
    return [note for trainer in fixed for note in trainer.check_items(len(dataset.class_names), splits)]


def write_items(
    context: Context,
    audited: np.ndarray,
    fold: np.ndarray,
    groups: np.ndarray,
    bad: np.ndarray,
    not_auditable: Sequence[NotAuditableClass] = (),
) -> None:
    """Write ``items.parquet``, one row per item of the data set: who it is and what becomes of it."""
    items, given = context.dataset.items, context.dataset.given
    status = np.full(len(items.ids), "not audited", dtype=object)
    status[np.isin(given, [entry.name for entry in not_auditable])] = "not auditable"
    status[audited] = "audited"
    status[bad] = "undecodable"
    table = pd.DataFrame(
        {
            "id": items.ids.astype(object),
            "index": items.index,
            "split": items.splits.astype(object),
            "label": items.labels,
            "given": given,
            "status": status,
            "fold": fold,
            "group": groups,
            "content_hash": context.dataset.content_hashes.astype(object),
            "path": items.paths.astype(object) if items.paths is not None else None,
        }
    )
    write_table(context.folder / layout.ITEMS, table, "auditor.items/1")
