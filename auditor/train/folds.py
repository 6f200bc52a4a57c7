"""Which item is held out when: stratified, grouped, and a function of the items' ids alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.core.errors import DataError, EmptyDataError, LabelError, UsageError
from auditor.core.hashing import hash_strings
from auditor.core.seeds import derive_seed
from auditor.train.base import FitTask

#: Independent members of its class that every training part must hold. Below this a network has seen too little
#: of the class for its probability to mean anything.
MIN_PER_CLASS = 5
#: The share of a class in a training part, over its share in all items. A model that was shown a class less often takes
#: right labels of it for wrong ones: at .65 already twice as many (four overlapping classes: 7 % became 16, 25 % 48).
MIN_SHARE = 0.5


def well_shown(held: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Classes that a training part holds enough of, for their share in all items, to check labels of them.

    Parameters
    ----------
    held : integer array (..., K)
        Members of each class in the training part.
    members : integer array (K,)
        In all items.

    Returns
    -------
    bool array (..., K)
    """
    shares = held / held.sum(axis=-1, keepdims=True)
    return (held > 0) & (shares >= MIN_SHARE * members / members.sum())


@dataclass(frozen=True)
class NotAuditable:
    """A class of which items have no out-of-sample probabilities, and why.

    Attributes
    ----------
    label : int
    items : int
        Members of the class without.
    units : int
        Independent members: items of one group (duplicates, one patient, ...) count once.
    reason : str
    """

    label: int
    items: int
    units: int
    reason: str


@dataclass(frozen=True)
class FoldPlan:
    """The fold of every item.

    Attributes
    ----------
    fold : int64 array (n,)
        Fold in which the item is held out and predicted; -1 = not auditable, never predicted.
    home : int64 array (n,)
        Fold in whose training part the item is missing. Equal to `fold` where that is not -1. Items that are not
        auditable have a home too: they share it with the rest of their group.
    n_folds : int
    not_auditable : tuple of NotAuditable
        By ascending label.
    key : str
        Content hash of everything the plan depends on; independent of row order.
    """

    fold: np.ndarray
    home: np.ndarray
    n_folds: int
    not_auditable: tuple[NotAuditable, ...]
    key: str

    def tasks(
        self, seed: int, positions: np.ndarray | None = None, always_train: np.ndarray | None = None
    ) -> list[FitTask]:
        """One task per fold: train on the other folds, predict this one.

        Parameters
        ----------
        seed : int
        positions : int array (n,), optional
            Positions of the plan's items in the training data; default 0 .. n-1.
        always_train : int array, optional
            Positions added to every training part. The caller answers for their being disjoint from the plan's
            groups (`seed_tasks` shows how to drop duplicates).

        Raises
        ------
        UsageError
            If `always_train` holds an item of the plan.
        """
        where = np.arange(len(self.fold)) if positions is None else np.asarray(positions, dtype=np.int64)
        extra = np.zeros(0, np.int64) if always_train is None else np.asarray(always_train, dtype=np.int64)
        if np.intersect1d(where, extra).size:
            raise UsageError("always_train holds items that are predicted by the same plan.")
        return [
            FitTask(
                name=f"fold-{k}",
                train=np.concatenate([where[self.home != k], extra]),
                predict=where[self.fold == k],
                seed=derive_seed(seed, "fold", k),
            )
            for k in range(self.n_folds)
            if np.any(self.fold == k)
        ]


def merge_groups(n: int, *columns: Sequence[object] | np.ndarray | None) -> np.ndarray:
    """Merge several groupings of n items: items that share a value in any column end in one group.

    Parameters
    ----------
    n : int
    *columns : sequences of length n, or None
        Values are compared for equality; ``None``, NaN and the empty string mean "no group".

    Returns
    -------
    int64 array (n,)
        Group of each item: the smallest row of the group, so that ungrouped items have their own row.

    Raises
    ------
    UsageError
        If a column has another length.
    """
    nodes, rows, shared = n, [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]  # one more node for each value
    for column in columns:
        if column is None:
            continue
        if len(column) != n:
            raise UsageError(f"a group column has {len(column)} values for {n} items.")
        values = pd.Series(list(column), dtype=object)
        codes, names = pd.factorize(values.mask(values == ""))
        rows.append(np.flatnonzero(codes >= 0))
        shared.append(nodes + codes[codes >= 0])
        nodes += len(names)
    edges = (np.concatenate(rows), np.concatenate(shared))
    _, group = connected_components(coo_array((np.ones(len(edges[0])), edges), (nodes, nodes)), directed=False)
    _, first, inverse = np.unique(group[:n], return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def plan_folds(
    ids: Sequence[str] | np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    n_folds: int,
    seed: int,
    groups: np.ndarray | None = None,
    min_per_class: int = MIN_PER_CLASS,
) -> FoldPlan:
    """Assign every item to one fold.

    The assignment is a function of (ids, labels, groups as a partition, n_folds, seed): permuting the rows
    permutes the result, and nothing else matters. Items of one group share a fold. Classes are spread evenly:
    without groups the members of a class differ by at most one between folds, and so do the folds' sizes.

    Parameters
    ----------
    ids : str (n,)
        Unique, stable.
    labels : int array (n,)
        0 .. n_classes - 1.
    n_classes, n_folds : int
        At least 2 each.
    seed : int
    groups : array (n,), optional
        Equal value = same group (`merge_groups` joins several columns and returns such an array).
    min_per_class : int
        Independent members (groups count once) of a class that every training part must hold; a class that
        misses this in any fold is listed in `FoldPlan.not_auditable` with fold -1. So are the items of a class in a
        fold whose training part holds less than half of the class's share (`well_shown`). cleanlab instead copies a
        held-out item into training and sets its prediction to certainty.

    Raises
    ------
    UsageError
        Fewer than two folds, or arrays of different length.
    LabelError
        A label outside the classes.
    DataError
        Fewer groups than folds, ids that repeat.
    EmptyDataError
        No auditable class, or only one.
    """
    ids = np.asarray(ids, dtype=np.str_)
    labels = np.asarray(labels)
    _check(ids, labels, n_classes, n_folds, groups)
    labels = labels.astype(np.int64)
    order = np.argsort(ids, kind="stable")  # canonical order: everything below works on sorted ids
    sorted_labels = labels[order]
    group, members = _canonical_groups(order, groups)
    if len(members) < n_folds:
        raise DataError(
            f"{len(ids)} items fall into {len(members)} independent groups; {n_folds} folds need as many.",
            f"Copies of one item, and items of one group, stay in one fold. Use at most {len(members)} folds, or check "
            "the group column.",
        )
    salt = str(derive_seed(seed, "folds"))
    rank = _hash_rank(ids[order[members]], salt)
    home_sorted = _assign(sorted_labels, group, rank, n_classes, n_folds)
    auditable, missing = _auditable(sorted_labels, group, home_sorted, n_classes, n_folds, min_per_class)
    home = np.empty(len(ids), np.int64)
    home[order] = home_sorted
    fold = np.where(auditable[labels, home], home, -1)
    if len(classes := np.unique(labels[fold >= 0])) < 2:
        detail = "; ".join(f"class {m.label}: {m.reason}" for m in missing[:3])
        raise EmptyDataError(
            f"{'only one class is' if len(classes) else 'no class is'} large enough to audit"
            f" ({detail or 'there is one class only'}).",
            f"Give more items per class, or fewer folds; min_per_class is {min_per_class}.",
        )
    header = f"{n_classes}/{n_folds}/{seed}/{min_per_class}"
    first_id = ids[order[members]][group]  # a group is named by its smallest id
    key = hash_strings([header, *ids[order], *sorted_labels.astype(str), *first_id])
    return FoldPlan(fold, home, n_folds, tuple(missing), key)


def _check(ids: np.ndarray, labels: np.ndarray, n_classes: int, n_folds: int, groups: np.ndarray | None) -> None:
    if n_folds < 2:
        raise UsageError(f"{n_folds} folds: cross-validation needs at least 2.")
    if len(ids) == 0:
        raise EmptyDataError("there are no items to put into folds.")
    for name, column in (("labels", labels), ("groups", groups)):
        if column is not None and len(column) != len(ids):
            raise UsageError(f"{len(column)} {name} for {len(ids)} items.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise LabelError(f"labels must be integers, not {labels.dtype}.")
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if len(outside):
        row = int(outside[0])
        raise LabelError(f"label {int(labels[row])} of item {str(ids[row])!r} is outside the {n_classes} classes.")
    if len(np.unique(ids)) != len(ids):
        unique, counts = np.unique(ids, return_counts=True)
        raise DataError(f"item id {str(unique[counts > 1][0])!r} occurs {counts.max()} times; ids are unique.")


def _canonical_groups(order: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Group number of each sorted row, and the first sorted row of each group (numbered by that row)."""
    number = (
        np.arange(len(order)) if groups is None else pd.factorize(np.asarray(groups)[order], use_na_sentinel=False)[0]
    )
    return number, np.unique(number, return_index=True)[1]


def _hash_rank(names: np.ndarray, salt: str) -> np.ndarray:
    """Random-looking rank of each name, a function of (name, salt) and of the set of names only."""
    digests = (hashlib.blake2b(name.encode(), key=salt.encode(), digest_size=8).digest() for name in names.tolist())
    return np.argsort(np.argsort(np.frombuffer(b"".join(digests), dtype=">u8"), kind="stable"))


def _assign(labels: np.ndarray, group: np.ndarray, rank: np.ndarray, n_classes: int, n_folds: int) -> np.ndarray:
    """Fold of each row: big groups first, one by one, then single items so that classes and folds even out."""
    sizes = np.bincount(group)
    counts = np.zeros((n_classes, n_folds), np.int64)
    home = np.full(len(labels), -1, np.int64)
    by_group = np.argsort(group, kind="stable")
    start = np.concatenate([[0], np.cumsum(sizes)])
    class_size = np.maximum(np.bincount(labels, minlength=n_classes), 1)
    big = np.flatnonzero(sizes > 1)
    for g in big[np.lexsort((rank[big], -sizes[big]))]:
        rows = by_group[start[g] : start[g + 1]]
        classes, here = np.unique(labels[rows], return_counts=True)
        # Increase of the sum of squared class shares, then the fold's size: the emptiest fold for these classes.
        cost = ((2 * counts[classes] + here[:, None]) * (here / class_size[classes])[:, None]).sum(0)
        total = counts.sum(0)
        k = min(range(n_folds), key=lambda f: (round(float(cost[f]), 9), int(total[f]), f))
        home[rows] = k
        counts[classes, k] += here
    single = np.flatnonzero(sizes[group] == 1)
    single = single[np.lexsort((rank[group[single]], labels[single]))]
    bounds = np.searchsorted(labels[single], np.arange(n_classes + 1))
    total = counts.sum(0)
    for c in range(n_classes):
        rows = single[bounds[c] : bounds[c + 1]]
        share = _level(counts[c], len(rows), total)
        total += share
        home[rows] = np.repeat(np.arange(n_folds), share)
    return home


def _level(filled: np.ndarray, amount: int, total: np.ndarray) -> np.ndarray:
    """Distribute `amount` items over folds so that `filled` + result is as level as it can be.

    The remainder goes to the folds with the smallest `total`, so that classes do not all favour the same one.
    """
    share = np.zeros(len(filled), np.int64)
    order = np.lexsort((np.arange(len(filled)), filled))
    height = filled[order]
    # Largest set of lowest folds whose common level stays below the next one.
    for m in range(len(filled), 0, -1):
        lowest, needed = order[:m], int((height[m - 1] - height[:m]).sum())
        if needed <= amount:
            share[lowest] = height[m - 1] - height[:m]
            each, rest = divmod(amount - needed, m)
            share[lowest] += each
            emptiest = lowest[np.lexsort((lowest, (total + share)[lowest]))]
            share[emptiest[:rest]] += 1
            return share
    return share


def _auditable(
    labels: np.ndarray, group: np.ndarray, home: np.ndarray, n_classes: int, n_folds: int, least: int
) -> tuple[np.ndarray, list[NotAuditable]]:
    """Whether a class can be audited in a fold, bool (K, folds), and where it cannot: classes of which some training
    part would hold fewer than `least` independent members, and folds whose training part holds too small a share."""
    # A group counts once for each class it has members in.
    classes, homes, _ = np.unique(np.stack([labels, home, group]), axis=1)
    units, items = np.zeros((n_classes, n_folds), np.int64), np.zeros((n_classes, n_folds), np.int64)
    np.add.at(units, (classes, homes), 1)
    np.add.at(items, (labels, home), 1)
    n_units, n_items = units.sum(1), items.sum(1)
    weakest = n_units - units.max(1)
    large = weakest >= max(1, least)
    shown = well_shown((n_items[:, None] - items).T, n_items).T
    missing = []
    for c in np.flatnonzero(n_items):
        n = int(n_items[c] if not large[c] else items[c, ~shown[c]].sum())
        if not n:
            continue
        if large[c]:
            reason = f"{n} of {n_items[c]} items: the training parts of their folds hold less than half of its share"
        else:
            held = f"{n} item{'s' if n != 1 else ''}"
            if n_units[c] != n:
                held += f" in {n_units[c]} independent group{'s' if n_units[c] != 1 else ''}"
            reason = f"{held}: a training part would hold {weakest[c]}, and {max(1, least)} are needed"
        missing.append(NotAuditable(int(c), n, int(n_units[c]), reason))
    return large[:, None] & shown, missing


def seed_tasks(
    train: np.ndarray, predict: np.ndarray, n_seeds: int, seed: int, groups: np.ndarray | None = None
) -> list[FitTask]:
    """Tasks that all predict one split from another, with different seeds; the caller averages them.

    Parameters
    ----------
    train, predict : int arrays
        Positions into the training data.
    n_seeds : int
    seed : int
    groups : array over all positions, optional
        Training items that share a group with a predicted item (a duplicate across the splits) are left out.

    Raises
    ------
    UsageError
        If the splits overlap or no seed is asked for.
    EmptyDataError
        If nothing is left to train on or to predict.
    """
    train, predict = np.asarray(train, dtype=np.int64), np.asarray(predict, dtype=np.int64)
    if n_seeds < 1:
        raise UsageError(f"{n_seeds} seeds: at least 1 is needed.")
    if np.intersect1d(train, predict).size:
        raise UsageError("the training split and the predicted split share items.")
    if groups is not None:
        train = train[~np.isin(groups[train], groups[predict])]
    if not len(train) or not len(predict):
        raise EmptyDataError(f"{len(train)} items to train on and {len(predict)} to predict; both are needed.")
    return [FitTask(f"seed-{s}", train, predict, derive_seed(seed, "seed", s)) for s in range(n_seeds)]
