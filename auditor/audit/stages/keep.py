"""What only memory held goes into the run folder, for the commands that come later."""

from __future__ import annotations

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult
from auditor.data.kinds import ProbabilityDataset
from auditor.data.reference import is_held
from auditor.data.stored import write_stored
from auditor.runs import layout


def keep(context: Context) -> StageResult[None]:
    """Write items and contents of data that no reference opens again; of others, nothing."""
    dataset = context.dataset
    if is_held(dataset.reference) and not isinstance(dataset, ProbabilityDataset):
        context.progress.stage("keep", f"{len(dataset):,} items, which were in memory, in {layout.DATA}")
        context.stages.run(
            "keep", context.inputs(), [layout.DATA], lambda: write_stored(dataset, context.folder / layout.DATA)
        )
    return StageResult(None)
