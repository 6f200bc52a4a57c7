"""Which items are audited, and which models are trained on what to predict them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.audit.config import AuditConfig
from auditor.core.errors import EmptyDataError, UsageError
from auditor.data.base import Dataset
from auditor.train.base import FitTask
from auditor.train.folds import MIN_PER_CLASS, plan_folds, seed_tasks


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


def plan_audit(dataset: Dataset, groups: np.ndarray, bad: np.ndarray, config: AuditConfig, seeds: int = 1) -> AuditPlan:
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
    seeds : int
        Models averaged in a train-to-test plan, unless ``config.seeds`` says otherwise.

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
        plan = _train_to_test(dataset, groups, bad, wanted, config.seeds or seeds, config.seed)
    else:
        plan = _folds_plan(dataset, groups, bad, wanted, np.zeros(len(dataset), bool), config)
    if not len(plan.audited):
        reasons = "; ".join(f"{c.name}: {c.reason}" for c in plan.not_auditable[:5])
        raise EmptyDataError(
            f"no item of {dataset.name!r} can be audited. {reasons}", "Give more items per class, or fewer folds."
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


def training_size(dataset: Dataset, bad: np.ndarray, config: AuditConfig) -> int:
    """About how many items one model of the plan will be trained on."""
    wanted = wanted_rows(dataset, config.audit)
    train = int(((dataset.items.splits == "train") & ~wanted & ~bad).sum())
    if train and not config.train_on_test_folds:
        return train
    return train + int((wanted & ~bad).sum()) * (config.folds - 1) // config.folds


def _train_to_test(
    dataset: Dataset, groups: np.ndarray, bad: np.ndarray, wanted: np.ndarray, seeds: int, seed: int
) -> AuditPlan:
    """Models trained on the train split predict the audited split; a few seeds are averaged."""
    labels, names = dataset.labels, dataset.class_names
    predict = wanted & ~bad
    split = (dataset.items.splits == "train") & ~wanted & ~bad
    # Copies of predicted items are dropped here rather than in `seed_tasks`, so that they are counted.
    train = split & ~np.isin(groups, np.unique(groups[predict]))
    counts = np.bincount(labels[train], minlength=len(names))
    # A class is learnt from the train split here, so only its train count matters.
    small = [int(k) for k in np.unique(labels[predict]) if counts[k] < MIN_PER_CLASS]
    not_auditable = tuple(
        NotAuditableClass(
            names[k], int((labels[predict] == k).sum()), f"{counts[k]} training items, and {MIN_PER_CLASS} are needed"
        )
        for k in small
    )
    predict &= ~np.isin(labels, small)
    usable = np.flatnonzero(~bad)
    position = _positions(usable, len(dataset))
    rows = np.flatnonzero(predict)
    tasks = seed_tasks(position[np.flatnonzero(train)], position[rows], seeds, seed) if len(rows) else []
    return AuditPlan(
        "train-to-test",
        f"{seeds} model(s) trained on the train split ({int(train.sum()):,} items), averaged",
        rows,
        _no_fold(dataset),
        tuple(tasks),
        usable,
        not_auditable,
        int(split.sum() - train.sum()),
    )


def _folds_plan(
    dataset: Dataset, groups: np.ndarray, bad: np.ndarray, wanted: np.ndarray, always: np.ndarray, config: AuditConfig
) -> AuditPlan:
    """Cross-validation over the audited items; `always` are added to every training part (as in the paper)."""
    rows = np.flatnonzero(wanted & ~bad)
    if not len(rows):
        raise EmptyDataError(f"no item of {dataset.name!r} can be decoded.")
    folds = plan_folds(
        dataset.ids[rows],
        dataset.labels[rows],
        len(dataset.class_names),
        config.folds,
        config.seed,
        groups=groups[rows],
    )
    fold = _no_fold(dataset)
    fold[rows] = folds.fold
    usable = np.flatnonzero(~bad)
    position = _positions(usable, len(dataset))
    extra = always & ~bad
    added = extra & ~np.isin(groups, np.unique(groups[rows]))
    tasks = folds.tasks(config.seed, position[rows], position[np.flatnonzero(added)])
    more = f", with {int(added.sum()):,} train items added to each" if added.any() else ""
    return AuditPlan(
        "test-folds" if added.any() else "cross-validation",
        f"{len(tasks)}-fold cross-validation over {int((fold >= 0).sum()):,} items{more}",
        np.flatnonzero(fold >= 0),
        fold,
        tuple(tasks),
        usable,
        tuple(NotAuditableClass(dataset.class_names[c.label], c.items, c.reason) for c in folds.not_auditable),
        int(extra.sum() - added.sum()),
    )


def _no_fold(dataset: Dataset) -> np.ndarray:
    return np.full(len(dataset), -1, dtype=np.int64)


def _positions(usable: np.ndarray, n: int) -> np.ndarray:
    """Row of the data set -> row of the training data."""
    position = np.full(n, -1, dtype=np.int64)
    position[usable] = np.arange(len(usable))
    return position
