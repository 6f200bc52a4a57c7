"""Which columns of a table no model is shown: those that give the label away."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult
from auditor.core.hashing import hash_array
from auditor.data.kinds import TableDataset
from auditor.data.labels import listed
from auditor.train.leaks import Leaks, find_leaks


def leave_out_leaks(context: Context, bad: np.ndarray) -> StageResult[Context]:
    """The context of a table without the columns that `find_leaks` would leave out.

    Columns that the caller named, and those of the caller's own model, which may name them, stay: a note warns of them.
    """
    dataset = context.dataset
    if not isinstance(dataset, TableDataset):
        return StageResult(context)
    usable = np.flatnonzero(~bad)

    def look() -> dict[str, Any]:
        frame, items = dataset.frame.iloc[usable], dataset.items.take(usable)
        return asdict(find_leaks(frame, items.labels, dataset.class_names, items.splits))

    context.progress.stage("features", f"do any of {dataset.frame.shape[1]:,} columns give the label away?")
    leaks = Leaks(**context.stages.run("features", context.inputs(usable=hash_array(usable)), [], look).info)
    if not leaks.left_out and not leaks.kept:
        return StageResult(context)
    why = "named in columns=" if dataset.named else "" if context.trainer is None else "the model is the caller's own"
    if why:
        leaks = Leaks({}, {**leaks.kept, **{name: f"{said}; {why}" for name, said in leaks.left_out.items()}})
    notes = []
    if leaks.left_out:
        notes.append(
            f"columns that no model was shown, because they give the label away: {_worded(leaks.left_out)}. Name the "
            "features in columns= to use them all the same"
        )
    if leaks.kept:
        notes.append(
            f"columns that may give the label away, and then hide wrong labels: {_worded(leaks.kept)}. Leave them out "
            "by naming the others in columns="
        )
    for note in notes:
        context.progress.note(note)
    return StageResult(replace(context, left_out=tuple(leaks.left_out)), notes=notes)


def _worded(columns: dict[str, str]) -> str:
    return listed([f"{name!r} ({why})" for name, why in columns.items()])
