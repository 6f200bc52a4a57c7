"""Verify, apply and revert a label patch. Nothing is ever changed in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auditor.core.config import Settings
from auditor.core.errors import DataError, UsageError
from auditor.core.escaping import csv_text
from auditor.core.files import atomic_write
from auditor.patch.copies import Change, CopyState, new_folder
from auditor.patch.matching import Match, Row, check_header, match_apply, match_revert, refuse
from auditor.patch.open_target import open_target
from auditor.patch.records import OPS, Patch, labels_cell, primary_label
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
    return _fit("verify", patch, reference, settings, label_column, force_index)[-1]


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
        CSV of the rows that change (`MAPPING_COLUMNS`, as `csv_text` writes them), instead of a copy.
    link : bool
        Hard-link files that do not change.

    Raises
    ------
    DataError, UsageError
        Refusal rules 1 to 4; `out` exists; no copy can be made of this kind of data. Nothing is written then.
    """
    if (out is None) == (mapping is None):
        raise UsageError("give either a folder for the copy or a mapping file.", "--out FOLDER | --mapping FILE.csv")
    target, match, result = _fit("apply", patch, reference, settings, label_column, force_index)
    if mapping is not None:
        _write_mapping(mapping, target, match)
        return replace(result, out=str(mapping))
    assert out is not None
    state, labels = target.memory, {}
    for key, row in _by_key(match.rows).items():
        if row.record.op != "drop" and primary_label(row.record) != row.now:
            labels[key] = primary_label(row.record)
    changes = [Change(r.key, r.record.id, r.record.op, r.record.from_label, r.record.to, r.now) for r in match.rows]
    after = replace(state, changes=[*state.changes, *changes], patches=_with_patch(state, patch, match))
    _write_copy(out, target, labels, {}, after, settings, link)
    return replace(result, out=str(out), multi_place=target.multi_place if after.multi else None)


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
    target, match, result = _fit("revert", patch, reference, settings, label_column)
    state, back = target.memory, _by_key(match.rows)
    taken = {(row.key, row.record.id, row.record.from_label, row.record.op) for row in match.rows}
    changes = [c for c in state.changes if (c.key, c.id, c.from_label, c.op) not in taken]
    after = replace(state, changes=changes, patches=[p for p in state.patches if p["digest"] != patch.digest])
    labels = {k: row.was for k, row in back.items() if row.was is not None and row.was != row.now}
    raws = {k: row.raw for k, row in back.items() if row.raw is not None and k in labels}
    _write_copy(out, target, labels, raws, after, settings, link)
    return replace(result, out=str(out))


def _fit(
    command: str, patch: Patch, reference: str, settings: Settings, label_column: str | None, force_index: bool = False
) -> tuple[Target, Match, PatchResult]:
    """Open the data and find the rows of the patch; what forbids the command stops it here."""
    target = open_target(reference, settings, any_kind=patch.header.label_form is not None)
    check_header(patch, target, label_column)
    match = match_revert(patch, target) if command == "revert" else match_apply(patch, target, force_index)
    refuse(match, target, command)
    counts = Counter(row.record.op for row in match.rows)
    result = PatchResult(
        command=command,
        dataset=target.dataset.name,
        records=len(patch.records),
        changed={op: counts[op] for op in OPS},
        done=match.done,
        other=[{"line": r.line, "key": key, "label": name, "from": r.from_label} for r, key, name in match.other],
        forced=[
            {"key": r.key, "index": r.record.index, "now": r.now, "from": r.record.from_label}
            for r in match.rows
            if r.forced
        ],
        warnings=match.warnings,
    )
    return target, match, result


def _by_key(rows: list[Row]) -> dict[str, Row]:
    """One row per key.

    Raises
    ------
    DataError
        If two records change one row, which only ``--force-index`` can bring about.
    """
    by_key: dict[str, Row] = {}
    for row in rows:
        if (first := by_key.setdefault(row.key, row)) is not row:
            raise DataError(
                f"two records change one row: {first.record.where()} and {row.record.where()}.",
                "Their row numbers do not fit this data; leave --force-index out.",
            )
    return by_key


def _with_patch(state: CopyState, patch: Patch, match: Match) -> list[dict[str, Any]]:
    """The copy's list of patches; a patch applied again with nothing to do is listed once."""
    if any(p["digest"] == patch.digest for p in state.patches):
        return state.patches
    forced = [{"key": r.key, "index": r.record.index, "id": r.record.id} for r in match.rows if r.forced]
    return [*state.patches, {"digest": patch.digest, "name": patch.header.name, "forced": forced}]


def _write_copy(
    out: Path,
    target: Target,
    labels: dict[str, str],
    raws: dict[str, str],
    after: CopyState,
    settings: Settings,
    link: bool,
) -> None:
    """Write the copy beside `out`, read it again, compare every label, and only then give it its name."""
    before, edit = target.memory, Edit(labels, raws, after.multi, frozenset(after.dropped))
    expected = {change.key: change.was for change in before.changes if change.op == "drop"}
    expected |= dict(zip(map(str, target.keys), map(str, target.given_names), strict=True)) | labels
    expected = {key: name for key, name in expected.items() if key not in edit.dropped}
    with new_folder(out) as folder:
        replaced, extra, open_as = target.write(folder, edit, link)
        # Only the changes made just now can have a spelling that was replaced just now.
        old = len(before.changes)
        changes = [*after.changes[:old], *(replace(c, raw=replaced.get(c.key)) for c in after.changes[old:])]
        replace(after, changes=changes, extra=extra, open_as=open_as).write(folder)
        written = open_target(str(folder), settings)
        read_back = dict(zip(map(str, written.keys), map(str, written.given_names), strict=True))
        if read_back != expected:
            wrong = next((k for k in {**expected, **read_back} if expected.get(k) != read_back.get(k)), "")
            raise DataError(
                f"the copy reads differently from what was to be written: row {wrong!r} is {read_back.get(wrong)!r}, "
                f"not {expected.get(wrong)!r}. Nothing was kept.",
                "Write the corrections to a table instead, with --mapping FILE.csv, and report this.",
            )


def _write_mapping(path: Path, target: Target, match: Match) -> None:
    items = target.dataset.items
    row_of = {str(key): k for k, key in enumerate(target.keys)}
    rows = []
    for row in match.rows:
        k, record = row_of[row.key], row.record
        path_here = "" if items.paths is None else items.paths[k]
        where = (items.ids[k], items.splits[k], items.index[k], path_here)
        rows.append([*where, record.op, row.now, labels_cell(record), record.id])
    with atomic_write(path) as handle:
        handle.write(csv_text(MAPPING_COLUMNS, rows).encode("utf-8", "backslashreplace"))
