"""Outcomes of the checks as a document and as a table, and in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.files import write_json
from auditor.quality.base import Found, Group, Outcome
from auditor.quality.subject import Subject
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.tables import read_table, write_table

__all__ = ["LISTED", "QUALITY_SCHEMA", "document", "item_table", "recorded_outcomes", "write_quality"]

QUALITY_SCHEMA = "auditor.quality/1"
#: Items and groups of one check in the document; `quality.parquet` has all.
LISTED = 10_000


def document(subject: Subject, outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> dict[str, Any]:
    """One JSON document.

    Parameters
    ----------
    subject : Subject
    outcomes : sequence of Outcome
    about : mapping
        JSON values put first: name and reference of the data, configuration, machine.

    Returns
    -------
    dict
        ``schema``, what `about` holds, ``n_items``, ``n_examined``, ``parts``, ``reference`` and ``checks``: a list of
        ``{code, name, status, reason, severity, about, n_items, n_groups, groups, items, facts, left_out}``.
    """
    parts, counts = np.unique(subject.part, return_counts=True)
    return {
        "schema": QUALITY_SCHEMA,
        **about,
        "n_items": len(subject),
        "n_examined": int(subject.examined.sum()),
        "parts": dict(zip(parts.tolist(), counts.tolist(), strict=True)),
        "reference": subject.reference,
        "checks": [_entry(subject, outcome) for outcome in outcomes],
    }


def _entry(subject: Subject, outcome: Outcome) -> dict[str, Any]:
    found = outcome.found
    entry: dict[str, Any] = {
        "code": outcome.code,
        "name": outcome.name,
        "status": outcome.status,
        "reason": outcome.reason,
        "severity": outcome.severity,
        "about": outcome.about,
        "n_items": 0 if found is None else len(found.items),
        "n_groups": 0 if found is None else len(found.groups),
        "groups": [],
        "items": [],
        "facts": {} if found is None else dict(found.facts),
    }
    if found is None:
        return entry
    names = subject.class_names
    for group in found.groups[:LISTED]:
        members = group.members
        entry["groups"].append(
            {
                "kind": group.kind,
                "ids": [str(subject.ids[k]) for k in members],
                "parts": [str(subject.part[k]) for k in members],
                "labels": [names[subject.labels[k]] for k in members],
            }
        )
    for place, k in enumerate(found.items[:LISTED].tolist()):
        item = {"id": str(subject.ids[k]), "part": str(subject.part[k]), "label": names[subject.labels[k]]}
        if found.values is not None:
            item["value"] = _number(found.values[place])
        if found.notes is not None:
            item["note"] = found.notes[place]
        entry["items"].append(item)
    left = {"items": len(found.items) - len(entry["items"]), "groups": len(found.groups) - len(entry["groups"])}
    if any(left.values()):
        entry["left_out"] = left
    return entry


def _number(value: Any) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def item_table(subject: Subject, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Every item of every check that found something.

    Columns: ``code, name, severity, id, index, part, given, value, note,
    group``; the last is the number of the item's group within the check, -1 where it is in none.
    """
    parts = []
    for outcome in outcomes:
        found = outcome.found
        if found is None or not len(found.items):
            continue
        rows = found.items
        group = np.full(len(subject), -1, np.int64)
        for number, one in enumerate(found.groups):
            group[one.members] = number
        parts.append(
            pd.DataFrame(
                {
                    "code": outcome.code,
                    "name": outcome.name,
                    "severity": outcome.severity,
                    "id": subject.ids[rows].astype(object),
                    "index": subject.index[rows],
                    "part": subject.part[rows].astype(object),
                    "given": np.array(subject.class_names, dtype=object)[subject.labels[rows]],
                    "value": np.full(len(rows), np.nan) if found.values is None else found.values,
                    "note": [""] * len(rows) if found.notes is None else list(found.notes),
                    "group": group[rows],
                }
            )
        )
    if not parts:
        text = dict.fromkeys(("code", "name", "severity", "id"), pd.Series(dtype=object))
        more = {"index": pd.Series(dtype=np.int64), "part": pd.Series(dtype=object), "given": pd.Series(dtype=object)}
        last = {"value": pd.Series(dtype=np.float64), "note": pd.Series(dtype=object)}
        return pd.DataFrame({**text, **more, **last, "group": pd.Series(dtype=np.int64)})
    return pd.concat(parts, ignore_index=True)


def write_quality(folder: Path, found: Mapping[str, Any], table: pd.DataFrame) -> None:
    """Write ``quality.parquet`` and then ``quality.json`` into a folder, each whole or not at all."""
    write_table(folder / layout.QUALITY_ITEMS, table, QUALITY_SCHEMA)
    write_json(folder / layout.QUALITY, dict(found))


def recorded_outcomes(run: Run) -> tuple[Outcome, ...]:
    """Outcomes of the data-quality checks of a run, with positions in its items; none where it did not run them.

    Groups beyond those that the document lists hold the items that the check names, without those they are compared
    with.
    """
    if run.quality is None:
        return ()
    position = {str(item): k for k, item in enumerate(run.items["id"])}

    def at(ids: Iterable[str]) -> np.ndarray:
        return np.array([position[str(item)] for item in ids], np.int64)

    table, outcomes = read_table(run.path / layout.QUALITY_ITEMS), []
    for check in run.quality["checks"]:
        named, found = table[table["code"] == check["code"]], None
        if check["status"] != "not applicable":
            groups = [Group(group["kind"], np.sort(at(group["ids"]))) for group in check["groups"]]
            unlisted = named[named["group"] >= len(groups)].groupby("group")["id"]
            groups += [Group("near", np.sort(at(ids))) for _, ids in unlisted]
            notes = tuple(named["note"]) if named["note"].any() else None
            found = Found(check["reason"], at(named["id"]), None, notes, tuple(groups), check["facts"])
        fields = (check[name] for name in ("code", "name", "severity", "about", "status", "reason"))
        outcomes.append(Outcome(*fields, found))
    return tuple(outcomes)
