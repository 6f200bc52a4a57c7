"""The trainer, and why."""

from __future__ import annotations

import numpy as np

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult
from auditor.audit.plan import training_size
from auditor.runs import layout
from auditor.train.base import Trainer
from auditor.train.choose import choose_trainer


def choose_model(context: Context, bad: np.ndarray) -> StageResult[Trainer]:
    """The caller's trainer, the one asked for by name, or what suits the usable items."""
    config = context.config
    trainer, reason = context.trainer, "given by the caller"
    if trainer is None:
        data, work = context.training_data(np.flatnonzero(~bad)), context.folder / layout.WORK
        shape = data.features.shape[1:3] if data.kind == "image" else None
        n_items = training_size(context.dataset, bad, config)
        trainer, reason = choose_trainer(config.model, config.budget, data.kind, n_items, shape, config.device, work)
    context.progress.stage("model", f"{trainer.name}: {reason}")
    model = {"name": trainer.name, "reason": reason, "recipe": trainer.recipe()}
    return StageResult(trainer, sections={"model": model})
