"""Find the rows of every record by content hash, and say what forbids applying or reverting a patch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from auditor.core.errors import DataError
from auditor.core.label_forms import LabelForm
from auditor.core.row_lookup import RowLookup
from auditor.patch.copies import Change
from auditor.patch.records import Patch, PatchRecord, primary_label
from auditor.patch.target import Target

#: Rows named in one message.
_SHOWN = 5


#: Why a record cannot be used: the number of the refusal rule, and the text that names the row.
Problem = tuple[int, str]


@dataclass(frozen=True)
class Row:
    """One row to change: its key and label now, the record, and whether it was found by index only."""

    key: str
    now: str
    record: PatchRecord
    forced: bool = False
    raw: str | None = None
    was: str | None = None


@dataclass
class Match:
    """Rows of a patch in a data set.

    Attributes
    ----------
    warnings : list of str
    rows : list of Row
        To be changed.
    done : int
        Rows that are as the patch wants them.
    other : list of (PatchRecord, str, str)
        Copies of an item with a label that is neither before nor after: reported (key, label), left alone.
    problems : list of Problem
    """

    warnings: list[str]
    rows: list[Row] = field(default_factory=list)
    done: int = 0
    other: list[tuple[PatchRecord, str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def check_header(patch: Patch, target: Target, label_column: str | None) -> None:
    """Refusal rules 3 and 4.

    Raises
    ------
    DataError
    """
    header, dataset = patch.header, target.dataset
    target.use_scheme(header.hash_scheme)
    here = tuple(dataset.class_names)
    if header.form != dataset.form:
        raise DataError(
            f"the labels of the patch are {_described(header.form)}, those of {dataset.name!r} "
            f"{_described(dataset.form)}.",
            "Take the right data, and name its label column; of joined tags, give them all with classes=A,B,..",
        )
    if header.form is None and header.classes != here:
        gone = [n for n in header.classes if n not in here]
        new = [n for n in here if n not in header.classes]
        if not gone and not new:
            k = next(k for k, (a, b) in enumerate(zip(header.classes, here, strict=True)) if a != b)
            what = (
                f"stand in another order: class {k} is {header.classes[k]!r} in the patch and {here[k]!r} in the data"
            )
        else:
            what = f"differ: {_names(gone) or 'none'} only in the patch, {_names(new) or 'none'} only in the data"
        raise DataError(
            f"the class names of the patch and of {dataset.name!r} {what}.",
            "Take the right data; of a table, give the classes in the patch's order with classes=A,B,..",
        )
    wanted = label_column or header.label_column
    if wanted != target.column:
        raise DataError(
            f"the patch changes the label column {wanted!r}; the labels of {dataset.name!r} are in {target.column!r}.",
            f"Open the data with label={wanted}, or say that they are the same with --label-column {target.column}.",
        )


def _described(form: LabelForm | None) -> str:
    if form is None:
        return "classes"
    return f"of the kind {form.kind!r}" + (f" with {_names(list(form.names))}" if form.names else "")


def _names(names: list[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


class _Lookup:
    """Rows of the patched split by content hash, and what the copy remembers by record."""

    def __init__(self, patch: Patch, target: Target) -> None:
        dataset, split = target.dataset, target.split
        splits = dataset.items.splits
        wanted = split or patch.header.split
        known = wanted is not None and bool((splits == wanted).any())
        if split is not None and patch.header.split not in (None, split) and known:
            raise DataError(
                f"the patch is for the split {patch.header.split!r}, the data reference asks for {split!r}.",
                "Leave the split out of the reference.",
            )
        self.scope = np.flatnonzero(splits == wanted) if known else np.arange(len(dataset))
        self.part = dataset.subset(self.scope)
        self.names = target.given_names[self.scope]
        self.keys = target.keys[self.scope]
        self.index = self.part.items.index
        rows = RowLookup(len(self.part), ids=self.keys, hashes=lambda: self.part.content_hashes)
        self.at, self.row_of = rows.by_hash, rows.by_id
        self.changes: dict[Any, list[Change]] = defaultdict(list)
        for change in target.memory.changes:
            self.changes[_outcome(change)].append(change)
        self.multi, self.aside = target.memory.multi, target.memory.dropped

    def remembered(self, record: PatchRecord) -> list[Change]:
        """What the copy remembers of this very record."""
        return self.changes.get((record.id, record.from_label, *record.outcome), [])


def _outcome(change: Change) -> tuple[Any, ...]:
    return change.id, change.from_label, change.op, tuple(sorted(change.to)) if change.op == "multi" else change.to


def match_apply(patch: Patch, target: Target, force_index: bool) -> Match:
    """Rows that `patch` changes.

    Parameters
    ----------
    patch : Patch
    target : Target
    force_index : bool
        Find rows by `PatchRecord.index` where the hash or the label does not fit (rules 1 and 2).
    """
    look = _Lookup(patch, target)
    match = Match(_warnings(patch, target, look))
    for record in patch.records:
        remembered = {c.key for c in look.remembered(record)}
        places = look.at(record.id)
        fits, finished = [], len(remembered)
        for k in places:
            key, name = str(look.keys[k]), str(look.names[k])
            if key in remembered:
                continue
            if name == record.from_label and key not in look.multi:
                fits.append(Row(key, name, record))
            elif record.op == "relabel" and name == record.to[0] and key not in look.multi:
                finished += 1
            else:
                match.other.append((record, key, name))
        if not fits and not finished:
            fits, problem = _unmatched(record, places, look, force_index)
            if problem is not None:
                match.problems.append(problem)
        match.rows += fits
        match.done += finished
    return match


def _unmatched(
    record: PatchRecord, places: list[int], look: _Lookup, force_index: bool
) -> tuple[list[Row], Problem | None]:
    """A record whose item is not here, or labelled otherwise: by index if that is forced, else a problem."""
    rule, text = 1, f"{record.where()}, {record.from_label!r}, is not in the data"
    if places:
        labelled = sorted({" + ".join(look.multi.get(str(look.keys[k]), (str(look.names[k]),))) for k in places})
        text = f"{record.where()} is labelled {' or '.join(map(repr, labelled))}, not {record.from_label!r}"
        rule = 2
    if not force_index:
        return [], (rule, text)
    if look.aside:
        return [], (rule, f"{text}; rows cannot be found by index in a copy with rows set aside")
    hits = np.flatnonzero(look.index == record.index) if record.index is not None else np.empty(0, dtype=int)
    if len(hits) != 1:
        return [], (rule, f"{text}, and its index {record.index} names {len(hits)} rows")
    key, name = str(look.keys[hits[0]]), str(look.names[hits[0]])
    if name == primary_label(record) and record.op == "relabel":
        return [], None
    return [Row(key, name, record, forced=True)], None


def match_revert(patch: Patch, target: Target) -> Match:
    """Rows that taking `patch` back changes.

    A corrected copy remembers its changes, so exactly these rows are taken back. Other data is taken back by its
    labels: every row with the item's hash and the label after.
    """
    look = _Lookup(patch, target)
    match = Match(_warnings(patch, target, look))
    for record in patch.records:
        after = primary_label(record)
        if target.state is not None:
            changes = look.remembered(record)
            for change in changes:
                problem = _later(change, record, after, look)
                if problem is None:
                    now = change.was if change.op == "drop" else str(look.names[look.row_of(change.key)])
                    match.rows.append(Row(change.key, now, record, raw=change.raw, was=change.was))
                else:
                    match.problems.append(problem)
            if changes:
                continue
        places = look.at(record.id)
        names = [str(look.names[k]) for k in places]
        match.done += names.count(record.from_label)
        fits = [k for k, name in zip(places, names, strict=True) if name == after and after != record.from_label]
        if target.state is not None:
            fits = []
        match.rows += [Row(str(look.keys[k]), after, record, was=record.from_label) for k in fits]
        match.other += [
            (record, str(look.keys[k]), n)
            for k, n in zip(places, names, strict=True)
            if n not in (after, record.from_label)
        ]
        if not fits and record.from_label not in names:
            match.problems.append(_cannot_revert(record, places, names))
    return match


def _later(change: Change, record: PatchRecord, after: str, look: _Lookup) -> Problem | None:
    """A problem if something else changed the row after this record did."""
    if change.op == "drop":
        return None
    place = look.row_of(change.key)
    if place is None:
        return 2, f"{record.where()} was set aside by a later patch; revert that one first"
    now = str(look.names[place])
    if now != after or (change.op == "multi" and look.multi.get(change.key) != change.to):
        return 2, f"{record.where()} is now labelled {now!r}, not {after!r}; revert the later patch first"
    return None


def _cannot_revert(record: PatchRecord, places: list[int], names: list[str]) -> Problem:
    if record.op == "drop":
        way_out = "this data has it not set aside; give the folder that auditor patch apply made"
        return 1, f"{record.where()}, {record.from_label!r}, was dropped, and {way_out}"
    if not places:
        return 1, f"{record.where()} is not in the data"
    labelled = " or ".join(map(repr, sorted(set(names))))
    return 2, f"{record.where()} is labelled {labelled}, neither as before nor as after the patch"


def _warnings(patch: Patch, target: Target, look: _Lookup) -> list[str]:
    n, made_for = len(look.scope), patch.header
    if target.state is not None or look.part.fingerprint == made_for.fingerprint:
        return list(patch.notes)
    others = "as many rows, but other items, ids or labels"
    rows = others if n == made_for.n else f"{n:,} rows, the patch was made for {made_for.n:,}"
    return [*patch.notes, f"this is not exactly the data the patch was made for ({rows})"]


def refuse(match: Match, target: Target, what: str) -> None:
    """Stop if there are problems.

    Raises
    ------
    DataError
        Exit code 3, naming the rows, their number and the way out.
    """
    if not match.problems:
        return
    shown = "\n".join(f"    rule {rule}: {text}" for rule, text in match.problems[:_SHOWN])
    more = len(match.problems) - _SHOWN
    tail = f"\n    .. and {more:,} more" if more > 0 else ""
    wrong_hash = sum(rule == 1 for rule, _ in match.problems)
    way_out = (
        "Take the data the patch was made for, or leave these records out of the patch. "
        "--force-index finds such rows by their row number and marks the copy."
        if what != "revert"
        else "Give the folder that auditor patch apply made with this patch."
    )
    raise DataError(
        f"the patch does not fit {target.dataset.name!r}: {len(match.problems):,} record(s), {wrong_hash:,} of them "
        f"not found by their hash. Nothing was written.\n{shown}{tail}",
        way_out,
    )
