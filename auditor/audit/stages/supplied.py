"""Probabilities supplied by the caller, in place of training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult, not_applicable
from auditor.audit.stages.plan import write_items
from auditor.data.kinds import ProbabilityDataset
from auditor.runs import layout
from auditor.runs.tables import write_array, write_table


def take_supplied(context: Context, source: ProbabilityDataset) -> StageResult[np.ndarray]:
    """Write the supplied probabilities as those of all items; returns the audited rows, int64 (n,)."""
    context.progress.stage("probabilities", "supplied by you; nothing is trained")
    n = len(context.dataset)
    audited = np.arange(n)
    write_items(context, audited, np.full(n, -1), np.arange(n), np.zeros(n, bool))

    def produce() -> None:
        write_array(context.folder / layout.PRED_PROBS, np.asarray(source.probabilities))
        write_array(context.folder / layout.AUDITED, audited)
        empty = pd.DataFrame({"task": pd.Series(dtype=str), "epoch": pd.Series(dtype=np.int64)})
        write_table(context.folder / layout.FOLDS, empty, "auditor.folds/1")

    inputs = context.inputs(probabilities=source.fingerprint)
    context.stages.run("probabilities", inputs, [layout.PRED_PROBS, layout.AUDITED, layout.FOLDS], produce)
    return StageResult(
        audited,
        [not_applicable(part, "probabilities were supplied") for part in ("duplicates", "training", "dynamics")],
        [] if source is context.dataset else source.notes,
        {
            "plan": {"scheme": "supplied", "description": "probabilities supplied by the user", "left_out": 0},
            "model": {"name": "supplied", "reason": "probabilities were given", "recipe": {}},
        },
    )
