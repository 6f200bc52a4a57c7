"""The second cleaning round of a run: the same folds, fitted again without the suspected items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.merge import merge_probabilities
from auditor.audit.plan import AuditPlan
from auditor.core.files import load_npy
from auditor.core.hashing import hash_array
from auditor.detect.second_round import SecondRound, second_round
from auditor.runs import layout
from auditor.runs.stages import Stages
from auditor.runs.tables import write_array
from auditor.train.base import FitResult, FitTask

__all__ = ["clean_and_refit", "keep_second_round", "not_possible", "reduced_tasks"]


def not_possible(plan: AuditPlan) -> str | None:
    """Why a plan has no second round; None where it has one."""
    if plan.scheme == "train-to-test":
        return "the training items are not audited, so none of them is known to be suspect"
    return None


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
    plan: AuditPlan, probabilities: np.ndarray, labels: np.ndarray, fit: Callable[[Sequence[FitTask]], list[FitResult]]
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
        Fits tasks, e.g. `auditor.train.crossval.run_tasks` with everything else bound.

    Returns
    -------
    SecondRound
    dict
        ``fit_seconds`` of the additional models by task.
    """
    seconds: dict[str, float] = {}
    rounds = 0

    def refit(kept: np.ndarray) -> np.ndarray:
        nonlocal rounds
        rounds += 1
        tasks = reduced_tasks(plan, kept, rounds)
        results = fit(tasks)
        seconds.update({t.name: round(r.seconds, 2) for t, r in zip(tasks, results, strict=True)})
        return merge_probabilities(replace(plan, tasks=tasks), results, probabilities.shape[1])

    return second_round(probabilities, labels, refit), {"fit_seconds": seconds}


def keep_second_round(
    plan: AuditPlan,
    labels: np.ndarray,
    fit: Callable[[Sequence[FitTask]], list[FitResult]],
    folder: Path,
    stages: Stages,
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """`clean_and_refit` on the run's probabilities as a content-addressed stage that writes ``second_round.npy``.

    Returns
    -------
    dict
        ``accepted, rounds, fit_seconds`` for the manifest. Where ``accepted`` is 0 the file equals
        ``pred_probs.npy`` up to rounding and is not read.
    """
    first = load_npy(folder / layout.PRED_PROBS)

    def produce() -> dict[str, Any]:
        found, costs = clean_and_refit(plan, first, labels, fit)
        write_array(folder / layout.SECOND_ROUND, found.probabilities.astype(np.float32))
        return found.facts() | costs

    wanted = {**inputs, "probabilities": hash_array(first), "audited": hash_array(plan.audited)}
    return stages.run("second-round", wanted, [layout.SECOND_ROUND], produce).info
