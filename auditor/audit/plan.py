"""Which items are audited, and which models are trained on what to predict them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.audit.config import AuditConfig
from auditor.core.errors import EmptyDataError, UsageError
from auditor.core.seeds import derive_seed
from auditor.data.base import Dataset
from auditor.train.base import FitTask
from auditor.train.folds import FoldPlan, plan_folds

__all__ = ["AuditPlan", "NotAuditableClass", "plan_audit", "wanted_rows"]


@dataclass(frozen=True)
class NotAuditableClass:
    """A class whose labels cannot be checked, because too few of its items are there to learn it from."""

    name: str
    n_items: int
    reason: str


@dataclass(frozen=True)
class AuditPlan:
    """The plan of one run. Positions refer to the rows of the data set.

    Attributes
    ----------
    scheme : str
        ``"cross-validation"``, ``"train-to-test"`` or ``"test-folds"``.
    description : str
        The scheme in words.
    audited : int64 array
        Rows that get out-of-sample probabilities, ascending.
    fold : int64 array (n,)
        Fold of each row; -1 where it has none.
    tasks : tuple of FitTask
        Models to fit; positions refer to `usable`.
    usable : int64 array
        Rows that can be decoded, ascending: the rows of the training data.
    not_auditable : tuple of NotAuditableClass
    left_out : int
        Training items kept out because a duplicate of theirs is audited.
    """

    scheme: str
    description: str
    audited: np.ndarray
    fold: np.ndarray
    tasks: tuple[FitTask, ...]
    usable: np.ndarray
    not_auditable: tuple[NotAuditableClass, ...]
    left_out: int


def plan_audit(dataset: Dataset, groups: np.ndarray, bad: np.ndarray, config: AuditConfig) -> AuditPlan:
    """Plan the models of one run.

    Parameters
    ----------
    dataset : Dataset
        n items.
    groups : int64 array (n,)
        Items with equal numbers never lie on both sides of a model (duplicates, the user's groups).
    bad : bool array (n,)
        Items that could not be decoded.
    config : AuditConfig

    Raises
    ------
    UsageError
        If the split asked for does not exist.
    EmptyDataError
        If no item is left to audit.
    """
    wanted = wanted_rows(dataset, config.audit)
    splits = dataset.items.splits
    has_train = bool(((splits == "train") & ~wanted).any())
    if has_train and config.train_on_test_folds:
        plan = _folds_plan(dataset, groups, bad, wanted, ~wanted & (splits == "train"), config)
    elif has_train:
        plan = _train_to_test(dataset, groups, bad, wanted, config)
    else:
        plan = _folds_plan(dataset, groups, bad, wanted, np.zeros(len(dataset), bool), config)
    if not len(plan.audited):
        reasons = "; ".join(f"{c.name}: {c.reason}" for c in plan.not_auditable[:5])
        raise EmptyDataError(
            f"no item of {dataset.name!r} can be audited. {reasons}",
            "Give more items per class, or fewer folds.",
        )
    return plan


def wanted_rows(dataset: Dataset, audit: str) -> np.ndarray:
    """Items to audit, bool (n,). ``"auto"`` means the test split where there are both, else everything.

    Raises
    ------
    UsageError
        If the split does not exist.
    """
    splits = dataset.items.splits
    present = list(dict.fromkeys(splits.tolist()))
    if audit == "auto":
        audit = "test" if {"train", "test"} <= set(present) else "all"
    if audit == "all":
        return np.ones(len(dataset), bool)
    if audit not in present:
        raise UsageError(
            f"data set {dataset.name!r} has no split {audit!r}.",
            f"Its splits: {', '.join(present)}; or use --audit all.",
        )
    return splits == audit


def _train_to_test(
    dataset: Dataset, groups: np.ndarray, bad: np.ndarray, wanted: np.ndarray, config: AuditConfig
) -> AuditPlan:
    """Networks trained on the train split predict the audited split; a few seeds are averaged."""
    labels, names = dataset.labels, dataset.class_names
    predict = wanted & ~bad
    train = (dataset.items.splits == "train") & ~wanted & ~bad
    leaked = train & np.isin(groups, np.unique(groups[predict]))
    train &= ~leaked
    counts = np.bincount(labels[train], minlength=len(names))
    # A class is learnt from the train split here, so only its train count matters.
    too_small = [k for k in np.unique(labels[predict]) if counts[k] < config.folds]
    not_auditable = tuple(
        NotAuditableClass(
            names[k],
            int((labels[predict] == k).sum()),
            f"only {counts[k]} training items; at least {config.folds} are needed",
        )
        for k in too_small
    )
    predict &= ~np.isin(labels, too_small)
    usable = np.flatnonzero(~bad)
    place = _places(usable, len(dataset))
    tasks = tuple(
        FitTask(
            f"seed-{s}",
            place[np.flatnonzero(train)],
            place[np.flatnonzero(predict)],
            derive_seed(config.seed, "task", "train-to-test", s),
        )
        for s in range(config.seeds)
    )
    return AuditPlan(
        "train-to-test",
        f"{config.seeds} model(s) trained on the train split ({int(train.sum()):,} items), averaged",
        np.flatnonzero(predict),
        np.full(len(dataset), -1),
        tasks,
        usable,
        not_auditable,
        int(leaked.sum()),
    )


def _folds_plan(
    dataset: Dataset,
    groups: np.ndarray,
    bad: np.ndarray,
    wanted: np.ndarray,
    always: np.ndarray,
    config: AuditConfig,
) -> AuditPlan:
    """Cross-validation over the audited items; `always` are added to every training part (as in the paper)."""
    names, labels = dataset.class_names, dataset.labels
    rows = np.flatnonzero(wanted & ~bad)
    if not len(rows):
        raise EmptyDataError(f"no item of {dataset.name!r} can be decoded.")
    folds: FoldPlan = plan_folds(
        dataset.ids[rows], labels[rows], len(names), config.folds, config.seed, groups=groups[rows]
    )
    fold = np.full(len(dataset), -1)
    fold[rows] = folds.fold
    not_auditable = tuple(NotAuditableClass(names[c.label], c.n_items, c.reason) for c in folds.not_auditable)
    usable = np.flatnonzero(~bad)
    place = _places(usable, len(dataset))
    # Items of classes too small to audit have no fold: they train in every fold and are never predicted.
    base = ~bad & (always | (wanted & (fold < 0)))
    leaked = always & ~bad & np.isin(groups, np.unique(groups[fold >= 0]))
    tasks = []
    for k in range(int(fold.max()) + 1 if (fold >= 0).any() else 0):
        predict = fold == k
        train = (base | ((fold >= 0) & ~predict)) & ~np.isin(groups, np.unique(groups[predict]))
        tasks.append(
            FitTask(
                f"fold-{k}",
                place[np.flatnonzero(train)],
                place[np.flatnonzero(predict)],
                derive_seed(config.seed, "task", "fold", k),
            )
        )
    scheme = "test-folds" if always.any() else "cross-validation"
    added = f", with {int((always & ~bad).sum()):,} train items added to each" if always.any() else ""
    return AuditPlan(
        scheme,
        f"{len(tasks)}-fold cross-validation over {int((fold >= 0).sum()):,} items{added}",
        np.flatnonzero(fold >= 0),
        fold,
        tuple(tasks),
        usable,
        not_auditable,
        int(leaked.sum()),
    )


def _places(usable: np.ndarray, n: int) -> np.ndarray:
    """Row of the data set -> row of the training data."""
    place = np.full(n, -1, dtype=np.int64)
    place[usable] = np.arange(len(usable))
    return place
