"""Refits: the same folds once more, each label counting as much as the fit before lets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult, done, not_applicable
from auditor.audit.plan import AuditPlan
from auditor.audit.stages.train import fit_models, merge_probabilities, model_names, pool_models, pool_rows, tasks_of
from auditor.core.errors import UsageError
from auditor.core.files import load_npy, load_npz
from auditor.data.labels import listed
from auditor.detect.cleaning import LEAST_BELIEVED, LEAST_TRUST, refit_weights
from auditor.runs import layout
from auditor.runs.tables import write_array, write_arrays
from auditor.train.base import FitTask, Trainer


@dataclass(frozen=True)
class Refits:
    """What is to be fitted again.

    Attributes
    ----------
    count : int
        How often; 0 for not at all.
    trainers : tuple of Trainer
        Which; the others keep their first fit.
    reason : str
        One sentence.
    """

    count: int
    trainers: tuple[Trainer, ...]
    reason: str


def choose_refits(
    asked: int | Literal["auto"], trainers: Sequence[Trainer], scheme: str, budget: str = "standard"
) -> Refits:
    """How often which of the models of an audit are fitted again.

    Parameters
    ----------
    asked : int or "auto"
        ``auto``: as often as the trainers say (`Trainer`), if all do; never in the ``smoke`` budget. What the first fit
        says of the labels may keep it from being done (`hardly_believed`).
    trainers : sequence of Trainer
    scheme : str
        Of the plan.
    budget : str

    Raises
    ------
    UsageError
        If refits are asked for and there can be none.
    """
    if asked == 0:
        return Refits(0, (), "not wanted")
    able = tuple(trainer for trainer in trainers if getattr(trainer, "weighs", False))
    to_test, obstacle = scheme == "train-to-test", ""
    if to_test:
        obstacle = "the items of the train split are not audited, so nothing says how far to trust their labels"
    elif scheme == "published":
        obstacle = "published weights are not trained again"
    elif not able:
        obstacle = f"{_names(trainers)} cannot weigh the items of its training part"
    if asked != "auto":
        if obstacle:
            way_out = "Audit them too (--audit all)" if to_test else "Name another model (auditor models)"
            raise UsageError(f"{asked} refit(s) are asked for, and {obstacle}.", f"{way_out}, or leave --refits away.")
        return Refits(asked, able, "asked for")
    if obstacle:
        return Refits(0, (), obstacle)
    if budget == "smoke":
        return Refits(0, (), "the smoke budget fits every model once")
    # All or none: how a refitted model does beside one that keeps its first fit was not measured.
    usual = [getattr(trainer, "refits", 0) for trainer in trainers]
    if not all(usual):
        return Refits(0, (), f"{_names(trainers)}: fitted again only where --refits says so")
    return Refits(max(usual), able, f"a fit of {_names(trainers)} takes seconds")


def _names(trainers: Sequence[Trainer]) -> str:
    return " and ".join(trainer.name for trainer in trainers)


def refit(context: Context, trainers: Sequence[Trainer], plan: AuditPlan) -> StageResult[None]:
    """Fit the models again that are to be fitted again, and go on with what they say.

    Each item of a training part weighs what the models before, which were not trained on it, let its label be worth
    (`refit_weights`, of the pool of all models); items that are not audited weigh 1. Fits are kept as the first ones
    are. Writes ``refit_probs.npy`` and, of two models, ``refit_model_probs.npz``.
    """
    refits = choose_refits(context.config.refits, trainers, plan.scheme, context.config.budget)
    if not refits.count:
        return StageResult(None, [not_applicable("refits", refits.reason)] if context.config.refits else [])
    names, several = model_names(trainers), len(trainers) > 1
    again = {name: trainer for name, trainer in zip(names, trainers, strict=True) if trainer in refits.trainers}
    labels, first = context.dataset.labels[plan.audited], load_npy(context.folder / layout.PRED_PROBS)
    how_first = refit_weights(first, labels)
    class_names = context.dataset.class_names
    if context.config.refits == "auto" and (unbelieved := hardly_believed(how_first.trust, labels, class_names)):
        return StageResult(None, [not_applicable("refits", unbelieved)])
    context.progress.stage("refits", f"{refits.count} of {_names(refits.trainers)}: {refits.reason}")
    data = context.training_data(plan.usable)
    lists = dict(zip(names, tasks_of(trainers, plan, data.labels), strict=True))

    def produce() -> dict[str, Any]:
        single = load_npz(context.folder / layout.MODEL_PROBS) if several else {names[0]: first}
        pooled, rounds, seconds = first, list[dict[str, Any]](), dict[str, float]()
        for number in range(1, refits.count + 1):
            how = how_first if number == 1 else refit_weights(pooled, labels)
            weighted = [weighted_tasks(plan, lists[name], how.weights, number) for name in again]
            for name, fits in zip(again, fit_models(context, list(again.values()), data, weighted), strict=True):
                single[name] = merge_probabilities(plan, fits, data.n_classes)
                seconds |= {t.name: round(r.seconds, 2) for t, r in zip(fits.tasks, fits.results, strict=True)}
            pooled, exponents = pool_models([single[name] for name in names], labels)
            rounds.append({"number": number, **_facts(how.trust, labels, data.n_classes)})
        write_array(context.folder / layout.REFIT_PROBS, pooled)
        if several:
            write_arrays(context.folder / layout.REFIT_MODEL_PROBS, single)
        pool = pool_rows(names, exponents, [single[name] for name in names], labels)
        return {"rounds": rounds, "fit_seconds": seconds, "pool": pool}

    trained = next(stage for stage in context.stages.done if stage.name == "train")
    inputs = context.inputs(trained=[trained.key, trained.outputs], refits=refits.count, models=list(again))
    outputs = [layout.REFIT_PROBS] + ([layout.REFIT_MODEL_PROBS] if several else [])
    info = context.stages.run("refits", inputs, outputs, produce).info
    detail = _sentence(refits.count, list(again), info["rounds"][-1], context.dataset.class_names)
    facts = {"count": refits.count, "models": list(again), "reason": refits.reason, "summary": detail}
    sections = {"refits": {**facts, "rounds": info["rounds"], "fit_seconds": info["fit_seconds"]}}
    if several:
        sections["second_model"] = {"pool": info["pool"]}
    notes = hardly_trusted(info["rounds"], context.dataset.class_names)
    return StageResult(None, [done("refits", detail)], notes, sections)


def weighted_tasks(plan: AuditPlan, tasks: Sequence[FitTask], weights: np.ndarray, number: int) -> list[FitTask]:
    """The tasks of a refit, under names of their own.

    Parameters
    ----------
    plan : AuditPlan
    tasks : sequence of FitTask
        Of the first fit.
    weights : float64 array (n audited,)
        In the order of ``plan.audited``.
    number : int
        Of the refit, from 1.
    """
    by_row = np.ones(int(plan.usable.max()) + 1)
    by_row[plan.audited] = weights
    return [
        replace(task, name=f"{task.name}-refit-{number}", weights=by_row[plan.usable[task.train]]) for task in tasks
    ]


def _facts(trust: np.ndarray, labels: np.ndarray, n_classes: int) -> dict[str, Any]:
    """Mean trust in all labels, and in those of each class (None of one without items)."""
    sizes, sums = (np.bincount(labels, w, minlength=n_classes) for w in (None, trust))
    means = [round(float(s / n), 4) if n else None for s, n in zip(sums, sizes, strict=True)]
    return {"trust": round(float(trust.mean()), 4), "trust_by_class": means}


def hardly_believed(trust: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> str:
    """Why a refit would not be worth it where labels are trusted so far; empty where it is.

    Parameters
    ----------
    trust : float64 array (n,)
        `RefitWeights.trust` after the first fit.
    labels : int array (n,)
    class_names : sequence of str
    """
    means = _facts(trust, labels, len(class_names))["trust_by_class"]
    name, least = min(((n, t) for n, t in zip(class_names, means, strict=True) if t is not None), key=lambda of: of[1])
    if least >= LEAST_BELIEVED:
        return ""
    return (
        f"the labels of {name!r} are trusted {least:.0%} on average, less than {LEAST_BELIEVED:.0%}: the model has not "
        "learned the class, or most of it is labelled as another one; --refits 2 fits again nevertheless"
    )


def hardly_trusted(rounds: Sequence[dict[str, Any]], class_names: Sequence[str]) -> list[str]:
    """What must be said where a refit may have forgotten a class: most of its items may be labelled as another one."""
    trusts = zip(*(each["trust_by_class"] for each in rounds), strict=True)
    names = [
        n for n, own in zip(class_names, trusts, strict=True) if any(t is not None and t < LEAST_TRUST for t in own)
    ]
    if not names:
        return []
    return [
        f"refits: labels of {listed(names)} are trusted less than {LEAST_TRUST:.0%} on average, so the models may have "
        "forgotten what such items look like; compare with --refits 0"
    ]


def _sentence(count: int, models: list[str], last: dict[str, Any], class_names: Sequence[str]) -> str:
    means = {name: t for name, t in zip(class_names, last["trust_by_class"], strict=True) if t is not None}
    least = min(means, key=lambda name: means[name])
    times = {1: "once", 2: "twice"}.get(count, f"{count} times")
    return (
        f"{' and '.join(models)} fitted again {times}, each label weighed by how far the fit before trusts it: on "
        f"average {last['trust']:.1%}, least those of {least!r} ({means[least]:.1%})"
    )
