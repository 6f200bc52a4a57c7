"""Which items are audited, and which models are trained on what to predict them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.audit.config import AuditConfig
from auditor.core.errors import EmptyDataError, UsageError
from auditor.core.seeds import derive_seed
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
        ``"cross-validation"``, ``"train-to-test"``, ``"test-folds"``, or ``"published"`` where nothing is trained.
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


def plan_audit(
    dataset: Dataset, groups: np.ndarray, bad: np.ndarray, config: AuditConfig, seeds: int = 1, fixed: bool = False
) -> AuditPlan:
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
    fixed : bool
        Whether the model has published weights, and is not trained.

    Raises
    ------
    UsageError
        If the split asked for does not exist.
    EmptyDataError
        If no item is left to audit.
    """
    wanted, split = _wanted_and_train(dataset, config)
    to_test = from_another_split(dataset, config)
    predict, split = wanted & ~bad, split & ~bad
    # Copies of predicted items are dropped here rather than in `seed_tasks`, so that they are counted.
    train = split & ~np.isin(groups, groups[predict])
    position = np.cumsum(~bad) - 1  # of a usable row among the usable ones
    left_out = 0 if fixed else int(split.sum() - train.sum())
    if fixed:
        fields = _published_plan(dataset, split, predict, position, groups, config.seed)
    elif to_test:
        fields = _train_to_test(dataset, train, predict, position, config.seeds or seeds, config.seed)
    else:
        fields = _folds_plan(dataset, train, predict, position, groups, config)
    plan = AuditPlan(**fields, usable=np.flatnonzero(~bad), left_out=left_out)
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


def _wanted_and_train(dataset: Dataset, config: AuditConfig) -> tuple[np.ndarray, np.ndarray]:
    """Items to audit, and those of the train split that are not; bool (n,) each."""
    wanted = wanted_rows(dataset, config.audit)
    return wanted, (dataset.items.splits == "train") & ~wanted


def from_another_split(dataset: Dataset, config: AuditConfig) -> bool:
    """Whether what is audited is predicted by models of the train split."""
    return bool(_wanted_and_train(dataset, config)[1].any()) and not config.train_on_test_folds


def training_size(dataset: Dataset, bad: np.ndarray, config: AuditConfig) -> int:
    """About how many items one model of the plan will be trained on."""
    wanted, split = _wanted_and_train(dataset, config)
    train = int((split & ~bad).sum())
    if train and not config.train_on_test_folds:
        return train
    return train + int((wanted & ~bad).sum()) * (config.folds - 1) // config.folds


def _train_to_test(
    dataset: Dataset, train: np.ndarray, predict: np.ndarray, position: np.ndarray, seeds: int, seed: int
) -> dict[str, Any]:
    """Models trained on the train split predict the audited split; a few seeds are averaged."""
    labels, names = dataset.labels, dataset.class_names
    counts = np.bincount(labels[train], minlength=len(names))
    # A class is learnt from the train split here, so only its train count matters.
    small = [int(k) for k in np.unique(labels[predict]) if counts[k] < MIN_PER_CLASS]
    not_auditable = tuple(
        NotAuditableClass(
            names[k], int((labels[predict] == k).sum()), f"{counts[k]} training items, and {MIN_PER_CLASS} are needed"
        )
        for k in small
    )
    rows = np.flatnonzero(predict & ~np.isin(labels, small))
    return {
        "scheme": "train-to-test",
        "description": f"{seeds} model(s) trained on the train split ({int(train.sum()):,} items), averaged",
        "audited": rows,
        "fold": np.full(len(dataset), -1),
        "tasks": tuple(seed_tasks(position[train], position[rows], seeds, seed)) if len(rows) else (),
        "not_auditable": not_auditable,
    }


def _published_plan(
    dataset: Dataset, train: np.ndarray, predict: np.ndarray, position: np.ndarray, groups: np.ndarray, seed: int
) -> dict[str, Any]:
    """A network that is there already predicts the audited split."""
    rows = np.flatnonzero(predict)
    copies = int(np.isin(groups[rows], groups[train]).sum())
    seen = f"; {copies:,} of them are copies of items of the train split, which it may have seen" if copies else ""
    nothing = np.zeros(0, np.int64)
    return {
        "scheme": "published",
        "description": f"published weights predict {len(rows):,} items, and nothing is trained{seen}",
        "audited": rows,
        "fold": np.full(len(dataset), -1),
        "tasks": (FitTask("seed-0", nothing, position[rows], derive_seed(seed, "seed", 0)),) if len(rows) else (),
        "not_auditable": (),
    }


def _folds_plan(
    dataset: Dataset,
    train: np.ndarray,
    predict: np.ndarray,
    position: np.ndarray,
    groups: np.ndarray,
    config: AuditConfig,
) -> dict[str, Any]:
    """Cross-validation over the audited items; `train` are added to every training part (as in the paper)."""
    names, ids, labels = dataset.class_names, dataset.ids[predict], dataset.labels[predict]
    if not len(ids):
        raise EmptyDataError(f"no item of {dataset.name!r} can be decoded.")
    folds = plan_folds(ids, labels, len(names), config.folds, config.seed, groups=groups[predict])
    fold = np.full(len(dataset), -1)
    fold[predict] = folds.fold
    tasks = folds.tasks(config.seed, position[predict], position[train])
    more = f", with {int(train.sum()):,} train items added to each" if train.any() else ""
    return {
        "scheme": "test-folds" if train.any() else "cross-validation",
        "description": f"{len(tasks)}-fold cross-validation over {int((fold >= 0).sum()):,} items{more}",
        "audited": np.flatnonzero(fold >= 0),
        "fold": fold,
        "tasks": tuple(tasks),
        "not_auditable": tuple(NotAuditableClass(names[c.label], c.items, c.reason) for c in folds.not_auditable),
    }
