"""Two versions of a data set, item by item: which were added, removed, edited, relabelled or moved."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.core.errors import UsageError
from auditor.data.base import Dataset

#: What can have happened to an item, in the order of the page.
KINDS = ("added", "removed", "edited", "relabelled", "moved")


@dataclass(frozen=True, eq=False)
class Versions:
    """What changed from one version to another.

    Attributes
    ----------
    old, new : int64 array (m,)
        Positions of the items that are in both versions, by `old`.
    edited : bool array (m,)
        Whether their content differs.
    added, removed : int64 arrays
        Positions in the new and in the old version, ascending.
    changes : DataFrame
        One row a change: ``change`` (of `KINDS`; an item may have several), ``old_id, new_id, old_label, new_label,
        old_split, new_split``, empty where there is none.
    by_id : bool
        Whether an item without an equal content was looked for by its id; else ids are row numbers, and it was looked
        for between the same neighbours.
    """

    old: np.ndarray
    new: np.ndarray
    edited: np.ndarray
    added: np.ndarray
    removed: np.ndarray
    changes: pd.DataFrame
    by_id: bool

    def counts(self) -> dict[str, int]:
        """How often each kind of change occurs, and ``unchanged``, the items of both versions with none."""
        found = {kind: int((self.changes["change"] == kind).sum()) for kind in KINDS}
        touched = self.changes[self.changes["change"].isin(KINDS[2:])]["new_id"].nunique()
        return found | {"unchanged": len(self.old) - touched}


def compare_versions(old: Dataset, new: Dataset) -> Versions:
    """Match the items of two versions.

    Items of equal content are the same: first those of one id, then in the order of the versions. Of the rest those are
    the same, edited, that have one id; where ids are row numbers, those that stand between the same neighbours in a gap
    of one size.

    Parameters
    ----------
    old, new : Dataset
        Of one modality.

    Raises
    ------
    UsageError
        If they hold different kinds of items, or hash them differently.
    """
    if old.modality != new.modality:
        raise UsageError(f"{old.name!r} holds {old.modality} items and {new.name!r} {new.modality}.")
    if old.hash_scheme != new.hash_scheme:
        raise UsageError(
            f"the contents of {old.name!r} are known by {old.hash_scheme!r}, of {new.name!r} by {new.hash_scheme!r}.",
            "Store both in one form, lossless or not.",
        )
    match = np.full(len(old), -1)
    for a, b in _equal(old, new):
        match[a] = b
    by_id = not (_numbered(old) and _numbered(new))
    for a, b in _same_id(old, new, match) if by_id else _between(match, len(new)):
        match[a] = b
    here = np.flatnonzero(match >= 0)
    there = match[here]
    edited = old.content_hashes[here] != new.content_hashes[there]
    taken = np.zeros(len(new), bool)
    taken[there] = True
    added, removed = np.flatnonzero(~taken), np.flatnonzero(match < 0)
    return Versions(here, there, edited, added, removed, _changes(old, new, here, there, edited, added, removed), by_id)


def _numbered(data: Dataset) -> bool:
    """Whether ids are numbers of rows, which say nothing once a row is gone."""
    bare = [str(item).rsplit("/", 1)[-1] for item in data.ids.tolist()]
    return bare == [str(k) for k in data.items.index.tolist()] or bare == [str(k) for k in range(len(bare))]


def _equal(old: Dataset, new: Dataset) -> Iterator[tuple[int, int]]:
    """Items of equal content: those of one id, label and split first, then those of one id, of one label, and any."""
    left: dict[str, deque[int]] = defaultdict(deque)
    for b, content in enumerate(new.content_hashes.tolist()):
        left[content].append(b)
    waiting = [a for a, content in enumerate(old.content_hashes.tolist()) if content in left]
    keys = (
        lambda data, k: (data.ids[k], data.given[k], data.items.splits[k]),
        lambda data, k: (data.ids[k],),
        lambda data, k: (data.given[k],),
        lambda data, k: (),
    )
    for key in keys:
        places: dict[tuple[str, ...], deque[int]] = defaultdict(deque)
        for content, members in left.items():
            for b in members:
                places[content, *map(str, key(new, b))].append(b)
        still = []
        for a in waiting:
            found = places.get((old.content_hashes[a], *map(str, key(old, a))))
            if found:
                b = found.popleft()
                left[old.content_hashes[a]].remove(b)
                yield a, b
            else:
                still.append(a)
        waiting = still


def _same_id(old: Dataset, new: Dataset, match: np.ndarray) -> Iterator[tuple[int, int]]:
    taken = set(match[match >= 0].tolist())
    place = {str(item): b for b, item in enumerate(new.ids.tolist()) if b not in taken}
    for a in np.flatnonzero(match < 0).tolist():
        if (b := place.get(str(old.ids[a]))) is not None:
            yield a, b


def _between(match: np.ndarray, n_new: int) -> Iterator[tuple[int, int]]:
    """Runs of unmatched items of one length, after matched items that match one another."""
    taken = np.zeros(n_new, bool)
    taken[match[match >= 0]] = True
    runs: dict[int, list[int]] = {}
    last = -1
    for a, b in enumerate(match.tolist()):
        if b >= 0:
            last = b
        else:
            runs.setdefault(last, []).append(a)
    for after, members in runs.items():
        end = after + 1
        while end < n_new and not taken[end]:
            end += 1
        if end - after - 1 == len(members):
            yield from zip(members, range(after + 1, end), strict=True)


def _changes(
    old: Dataset,
    new: Dataset,
    here: np.ndarray,
    there: np.ndarray,
    edited: np.ndarray,
    added: np.ndarray,
    removed: np.ndarray,
) -> pd.DataFrame:
    old_splits, new_splits = old.items.splits.astype("U"), new.items.splits.astype("U")
    relabelled = old.given[here] != new.given[there]
    moved = old_splits[here] != new_splits[there]
    parts = [
        ("added", np.full(len(added), -1), added),
        ("removed", removed, np.full(len(removed), -1)),
        *(
            (kind, here[hit], there[hit])
            for kind, hit in (("edited", edited), ("relabelled", relabelled), ("moved", moved))
        ),
    ]
    frames = []
    for kind, a, b in parts:
        columns: dict[str, object] = {"change": np.full(len(a), kind, object)}
        for name, data, splits, at in (("old", old, old_splits, a), ("new", new, new_splits, b)):
            known = at >= 0
            for what, values in (("id", data.ids.astype("U")), ("label", data.given.astype("U")), ("split", splits)):
                columns[f"{name}_{what}"] = np.where(known, values[np.maximum(at, 0)], "").astype(object)
        frames.append(pd.DataFrame(columns))
    table = pd.concat(frames, ignore_index=True)
    return table[["change", "old_id", "new_id", "old_label", "new_label", "old_split", "new_split"]]
