"""The second cleaning round of a run: the same folds, fitted again without the suspected items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult, done, not_applicable
from auditor.audit.plan import AuditPlan
from auditor.audit.stages.train import ModelFits, fit_models, merge_probabilities, pool_models
from auditor.core.files import load_npy
from auditor.core.hashing import hash_array
from auditor.detect.second_round import SecondRound
from auditor.detect.second_round import second_round as guarded_rounds
from auditor.runs import layout
from auditor.runs.tables import write_array
from auditor.train.base import FitTask, Trainer


def second_round(context: Context, trainers: Sequence[Trainer], plan: AuditPlan) -> StageResult[None]:
    """Where asked for: fit again without the suspects, and go on with that if its guard agrees.

    Writes ``second_round.npy``. Where the section's ``accepted`` is 0 that file equals ``pred_probs.npy`` up to
    rounding and is not read.
    """
    if not context.config.second_round:
        return StageResult(None)
    if plan.scheme == "train-to-test":
        reason = "the training items are not audited, so none of them is known to be suspect"
        return StageResult(None, [not_applicable("second round", reason)])
    if plan.scheme == "published":
        return StageResult(None, [not_applicable("second round", "published weights are not trained again")])
    context.progress.stage("second round", "the same folds without the suspected items")
    data = context.training_data(plan.usable)
    first = load_npy(context.folder / layout.PRED_PROBS)

    def produce() -> dict[str, Any]:
        labels = context.dataset.labels[plan.audited]
        rounds, costs = clean_and_refit(
            plan, first, labels, lambda reduced: fit_models(context, trainers, data, reduced)
        )
        write_array(context.folder / layout.SECOND_ROUND, rounds.probabilities.astype(np.float32))
        return rounds.facts() | costs

    inputs = context.inputs(
        recipe=trainers[0].recipe(),
        probabilities=hash_array(first),
        audited=hash_array(plan.audited),
        **({"second": trainers[1].recipe()} if len(trainers) > 1 else {}),
    )
    info = context.stages.run("second-round", inputs, [layout.SECOND_ROUND], produce).info
    detail = "; ".join(f"round {r['number']}: {r['reason']}" for r in info["rounds"])
    return StageResult(None, [done("second round", detail)], [f"second round: {detail}"], {"second_round": info})


def reduced_tasks(plan: AuditPlan, kept: np.ndarray, number: int) -> tuple[FitTask, ...]:
    """The tasks of a plan, without the audited items that are not kept, under names of their own.

    Parameters
    ----------
    plan : AuditPlan
    kept : bool array (n audited,)
        In the order of ``plan.audited``. Training items that are not audited stay.
    number : int
        Of the round.
    """
    stays = np.ones(int(plan.usable.max()) + 1, dtype=bool)
    stays[plan.audited] = kept
    return tuple(
        replace(task, name=f"{task.name}-round-{number}", train=task.train[stays[plan.usable[task.train]]])
        for task in plan.tasks
    )


def clean_and_refit(
    plan: AuditPlan, probabilities: np.ndarray, labels: np.ndarray, fit: Callable[[AuditPlan], list[ModelFits]]
) -> tuple[SecondRound, dict[str, Any]]:
    """At most two guarded rounds (`auditor.detect.second_round`).

    Parameters
    ----------
    plan : AuditPlan
    probabilities : float array (n audited, K)
        Of the first fit.
    labels : int array (n audited,)
        Given labels of the audited items.
    fit : callable
        Fits the models of a plan, e.g. `auditor.audit.stages.train.fit_models` with everything else bound.

    Returns
    -------
    SecondRound
    dict
        ``fit_seconds`` of the additional models by task.
    """
    seconds: dict[str, float] = {}
    number = count(1)

    def refit(stays: np.ndarray) -> np.ndarray:
        fits = fit(replace(plan, tasks=reduced_tasks(plan, stays, next(number))))
        for each in fits:
            seconds.update({t.name: round(r.seconds, 2) for t, r in zip(each.tasks, each.results, strict=True)})
        return pool_models([merge_probabilities(plan, each, probabilities.shape[1]) for each in fits], labels)[0]

    return guarded_rounds(probabilities, labels, refit), {"fit_seconds": seconds}
