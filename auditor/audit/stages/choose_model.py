"""The trainer, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult
from auditor.audit.plan import from_another_split, training_size
from auditor.core.hashing import hash_array
from auditor.train.base import Trainer
from auditor.train.choose import choose_second, choose_trainer
from auditor.train.quick_look import QuickLook, quick_look


def choose_model(context: Context, bad: np.ndarray) -> StageResult[Trainer]:
    """The caller's trainer, the one asked for by name, or what suits the usable items."""
    config, usable = context.config, np.flatnonzero(~bad)
    trainer, reason, looks = context.trainer, "given by the caller", list[dict[str, Any]]()
    if trainer is None:
        data = context.training_data(usable)
        shape = data.features.shape[1:3] if data.kind == "image" else None
        n_items = training_size(context.dataset, bad, config)

        def compare(rivals: dict[str, Trainer]) -> QuickLook | None:
            context.progress.stage("model", f"a quick look at the data with {' and '.join(rivals)}")
            recipes = {name: rival.recipe() for name, rival in rivals.items()}
            inputs = context.inputs(recipes=recipes, usable=hash_array(usable), seed=config.seed)

            def look() -> dict[str, Any]:
                seen = quick_look(rivals, data, config.seed, context.progress)
                return {} if seen is None else asdict(seen)

            info = context.stages.run("quick-look", inputs, [], look).info
            looks.append(info)
            return QuickLook(**info) if info else None

        trainer, reason = choose_trainer(
            config.model, config.budget, data.kind, n_items, shape, config.device, context.cache, compare
        )
    context.progress.stage("model", f"{trainer.name}: {reason}")
    model = {"name": trainer.name, "reason": reason, "recipe": trainer.recipe()}
    notes = [f"model {trainer.name}: {reason}"] if any(looks) else []
    return StageResult(trainer, notes=notes, sections={"model": model | ({"quick_look": looks[0]} if notes else {})})


def choose_second_model(context: Context, first: Trainer) -> StageResult[tuple[Trainer, ...]]:
    """`first`, and behind it the model that its probabilities are pooled with, if there is to be one."""
    config, kind = context.config, context.dataset.modality
    automatic = context.trainer is None and config.model == "auto"
    where = (config.device, context.cache, from_another_split(context.dataset, config))
    second, reason = choose_second(config.second_model, first, automatic, config.budget, kind, *where)
    if second is None:
        return StageResult((first,), sections={"second_model": {"name": None, "reason": reason}})
    context.progress.stage("second model", f"{second.name}: {reason}")
    section = {"name": second.name, "reason": reason, "recipe": second.recipe()}
    return StageResult((first, second), sections={"second_model": section})
