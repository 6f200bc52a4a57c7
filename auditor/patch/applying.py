"""Verify, apply and revert a label patch. Nothing is ever changed in place."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auditor.core.config import Settings
from auditor.core.errors import DataError, UsageError
from auditor.core.files import atomic_write
from auditor.patch.copies import Change, CopyState, new_folder
from auditor.patch.matching import Match, Row, check_header, match_apply, match_revert, refuse
from auditor.patch.open_target import open_target
from auditor.patch.records import Patch, labels_cell, primary_label
from auditor.patch.target import Edit, Target

MAPPING_COLUMNS = ("id", "split", "index", "path", "op", "from", "to", "hash")


@dataclass(frozen=True)
class PatchResult:
    """What verifying, applying or reverting found or did.

    Attributes
    ----------
    command : str
    dataset : str
    records : int
    changed : dict
        Rows by operation that were changed (or would be).
    done : int
        Rows that were already as wanted, and left alone.
    other : list of dict
        Copies of an item with another label; left alone.
    forced : list of dict
        Rows found by index against the refusal rules.
    warnings : list of str
    out : str or None
    multi_place : str or None
        Where several labels were written, if there are any.
    """

    command: str
    dataset: str
    records: int
    changed: Mapping[str, int]
    done: int
    other: list[dict[str, Any]] = field(default_factory=list)
    forced: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    out: str | None = None
    multi_place: str | None = None


def verify_patch(
    patch: Patch, reference: str, settings: Settings, force_index: bool = False, label_column: str | None = None
) -> PatchResult:
    """Check header, every hash and every label of `patch` against a data set; change nothing.

    Parameters
    ----------
    patch : Patch
    reference : str
        Data reference, or the folder of a corrected copy.
    settings : Settings
    force_index : bool
        Accept rows that only their number names.
    label_column : str, optional
        What the patch's label column is called in this data.

    Raises
    ------
    DataError
        Refusal rules 1 to 4.
    """
    target, match = _matched(patch, reference, settings, force_index, label_column)
    refuse(match, target, "verify")
    return _result("verify", patch, target, match)


def apply_patch(
    patch: Patch,
    reference: str,
    settings: Settings,
    out: Path | None = None,
    mapping: Path | None = None,
    force_index: bool = False,
    label_column: str | None = None,
    link: bool = False,
) -> PatchResult:
    """Write a corrected copy, or a table of the corrections.

    Parameters
    ----------
    patch, reference, settings, force_index, label_column :
        As `verify_patch`.
    out : Path, optional
        New folder for the copy.
    mapping : Path, optional
        CSV of the rows that change (`MAPPING_COLUMNS`), instead of a copy.
    link : bool
        Hard-link files that do not change.

    Raises
    ------
    DataError, UsageError
        Refusal rules 1 to 4; `out` exists; no copy can be made of this kind of data. Nothing is written then.
    """
    if (out is None) == (mapping is None):
        raise UsageError("give either a folder for the copy or a mapping file.", "--out FOLDER | --mapping FILE.csv")
    target, match = _matched(patch, reference, settings, force_index, label_column)
    refuse(match, target, "apply")
    if mapping is not None:
        _write_mapping(mapping, target, match)
        return replace(_result("apply", patch, target, match), out=str(mapping))
    assert out is not None
    changes = [
        Change(row.key, row.record.id, row.record.op, row.record.from_label, row.record.to, row.now)
        for row in match.rows
    ]
    state = _state(target)
    changed = _by_key(match.rows)
    labels = {key: primary_label(row.record) for key, row in changed.items() if primary_label(row.record) != row.now}
    after = replace(state, changes=[*state.changes, *changes], patches=_with_patch(state, patch, match))
    edit = Edit(
        {k: v for k, v in labels.items() if changed[k].record.op != "drop"}, {}, after.multi, frozenset(after.dropped)
    )
    _write_copy(out, target, edit, after, settings, link)
    place = target.multi_place if after.multi else None
    return replace(_result("apply", patch, target, match), out=str(out), multi_place=place)


def revert_patch(
    patch: Patch, reference: str, settings: Settings, out: Path, label_column: str | None = None, link: bool = False
) -> PatchResult:
    """Write a copy without the patch: of a corrected copy, exactly what was there before.

    Parameters
    ----------
    patch, reference, settings, label_column, link :
        As `apply_patch`.
    out : Path
        New folder.

    Raises
    ------
    DataError, UsageError
        As `apply_patch`; also where a later patch changed the same rows, or dropped rows are not there to put back.
    """
    opened = open_target(reference, settings)
    target = opened.target
    check_header(patch, target, label_column)
    match = match_revert(patch, target, opened.split)
    refuse(match, target, "revert")
    state = _state(target)
    back = _by_key(match.rows)
    taken = {(row.key, row.record.id, row.record.from_label, row.record.op) for row in match.rows}
    changes = [c for c in state.changes if (c.key, c.id, c.from_label, c.op) not in taken]
    after = replace(state, changes=changes, patches=[p for p in state.patches if p["digest"] != patch.digest])
    labels = {k: row.was for k, row in back.items() if row.was is not None and row.was != row.now}
    raws = {k: row.raw for k, row in back.items() if row.raw is not None and k in labels}
    edit = Edit(labels, raws, after.multi, frozenset(after.dropped))
    _write_copy(out, target, edit, after, settings, link)
    return replace(_result("revert", patch, target, match), out=str(out))


def _matched(
    patch: Patch, reference: str, settings: Settings, force_index: bool, label_column: str | None
) -> tuple[Target, Match]:
    opened = open_target(reference, settings)
    check_header(patch, opened.target, label_column)
    return opened.target, match_apply(patch, opened.target, opened.split, force_index)


def _by_key(rows: list[Row]) -> dict[str, Row]:
    """One row per key.

    Raises
    ------
    DataError
        If two records change one row, which only ``--force-index`` can bring about.
    """
    found: dict[str, Row] = {}
    for row in rows:
        if row.key in found:
            raise DataError(
                f"two records change one row: {found[row.key].record.where()} and {row.record.where()}.",
                "Their row numbers do not fit this data; leave --force-index out.",
            )
        found[row.key] = row
    return found


def _state(target: Target) -> CopyState:
    if target.state is not None:
        return target.state
    dataset = target.dataset
    return CopyState(
        dataset.reference, target.open_as(), tuple(dataset.class_names), dataset.hash_scheme, target.column
    )


def _with_patch(state: CopyState, patch: Patch, match: Match) -> list[dict[str, Any]]:
    """The copy's list of patches; a patch applied again with nothing to do is listed once."""
    if any(p["digest"] == patch.digest for p in state.patches):
        return state.patches
    forced = [{"key": r.key, "index": r.record.index, "id": r.record.id} for r in match.rows if r.forced]
    return [*state.patches, {"digest": patch.digest, "name": patch.header.name, "forced": forced}]


def _write_copy(out: Path, target: Target, edit: Edit, state: CopyState, settings: Settings, link: bool) -> None:
    """Write the copy beside `out`, read it again, compare every label, and only then give it its name."""
    expected = {
        str(key): edit.labels.get(str(key), str(name))
        for key, name in zip(target.keys, target.given_names, strict=True)
        if str(key) not in edit.dropped
    }
    was_aside = target.state.dropped if target.state is not None else set()
    names = {c.key: c.was for c in (target.state.changes if target.state is not None else []) if c.op == "drop"}
    expected |= {key: names[key] for key in was_aside - edit.dropped}
    with new_folder(out) as folder:
        raws, extra = target.write(folder, edit, link)
        # Only the changes made just now can have a spelling that was replaced just now.
        old = len(target.state.changes) if target.state is not None else 0
        changes = [*state.changes[:old], *(replace(c, raw=raws.get(c.key)) for c in state.changes[old:])]
        replace(state, changes=changes, extra=extra, open_as=target.open_as()).write(folder)
        written = open_target(str(folder), settings).target
        found = dict(zip(map(str, written.keys), map(str, written.given_names), strict=True))
        if found != expected:
            wrong = next((k for k in {**expected, **found} if expected.get(k) != found.get(k)), "")
            raise DataError(
                f"the copy reads differently from what was to be written: row {wrong!r} is {found.get(wrong)!r}, "
                f"not {expected.get(wrong)!r}. Nothing was kept.",
                "Write the corrections to a table instead, with --mapping FILE.csv, and report this.",
            )


def _write_mapping(path: Path, target: Target, match: Match) -> None:
    items = target.dataset.items
    row_of = {str(key): k for k, key in enumerate(target.keys)}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(MAPPING_COLUMNS)
    for row in match.rows:
        k = row_of[row.key]
        path_here = "" if items.paths is None else items.paths[k]
        to, record = labels_cell(row.record), row.record
        table.writerow([items.ids[k], items.splits[k], items.index[k], path_here, record.op, row.now, to, record.id])
    with atomic_write(path) as handle:
        handle.write(text.getvalue().encode("utf-8", "backslashreplace"))


def _result(command: str, patch: Patch, target: Target, match: Match) -> PatchResult:
    counts = Counter(row.record.op for row in match.rows)
    return PatchResult(
        command=command,
        dataset=target.dataset.name,
        records=len(patch.records),
        changed={op: counts.get(op, 0) for op in ("relabel", "multi", "drop")},
        done=match.done,
        other=[{"line": r.line, "key": key, "label": name, "from": r.from_label} for r, key, name in match.other],
        forced=[
            {"key": r.key, "index": r.record.index, "now": r.now, "from": r.record.from_label}
            for r in match.rows
            if r.forced
        ],
        warnings=match.warnings,
    )
