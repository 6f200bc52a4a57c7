"""The trainers, and why."""

from __future__ import annotations

import numpy as np

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult
from auditor.audit.plan import training_size
from auditor.runs import layout
from auditor.train.base import Trainer
from auditor.train.choose import choose_second, choose_trainer


def choose_model(context: Context, bad: np.ndarray) -> StageResult[Trainer]:
    """The caller's trainer, the one asked for by name, or what suits the usable items."""
    config, usable = context.config, np.flatnonzero(~bad)
    trainer, reason = context.trainer, "given by the caller"
    if trainer is None:
        data, work = context.training_data(usable), context.folder / layout.WORK
        shape = data.features.shape[1:3] if data.kind == "image" else None
        n_items = training_size(context.dataset, bad, config)
        trainer, reason = choose_trainer(config.model, config.budget, data.kind, n_items, shape, config.device, work)
    context.progress.stage("model", f"{trainer.name}: {reason}")
    return StageResult(
        trainer, sections={"model": {"name": trainer.name, "reason": reason, "recipe": trainer.recipe()}}
    )


def choose_second_model(context: Context, bad: np.ndarray, first: Trainer) -> StageResult[tuple[Trainer, ...]]:
    """`first`, and behind it the model that its probabilities are pooled with, if there is to be one."""
    config, data = context.config, context.training_data(np.flatnonzero(~bad))
    shape, work = data.features.shape[1:3] if data.kind == "image" else None, context.folder / layout.WORK
    automatic = context.trainer is None and config.model == "auto"
    second, reason = choose_second(
        config.second_model, first, automatic, config.budget, data.kind, shape, config.device, work
    )
    if second is None:
        return StageResult((first,), sections={"second_model": {"name": None, "reason": reason}})
    context.progress.stage("second model", f"{second.name}: {reason}")
    section = {"name": second.name, "reason": reason, "recipe": second.recipe()}
    return StageResult((first, second), sections={"second_model": section})
