"""Outcomes of the checks as a document and as a table, and in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.errors import UnreadableError
from auditor.core.files import json_value, read_json, refuse_existing, write_json
from auditor.quality.base import Findings, Outcome
from auditor.quality.groups import Group
from auditor.quality.subject import Subject
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.tables import read_table, write_table

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
    findings = outcome.findings or Findings("")
    groups, items = findings.groups[:LISTED], findings.items[:LISTED]
    names = subject.class_names
    entry: dict[str, Any] = {
        **{name: getattr(outcome, name) for name in ("code", "name", "status", "reason", "severity", "about")},
        "n_items": len(findings.items),
        "n_groups": len(findings.groups),
        "groups": [
            {
                "kind": group.kind,
                "ids": [str(subject.ids[k]) for k in group.members],
                "parts": [str(subject.part[k]) for k in group.members],
                "labels": [names[subject.labels[k]] for k in group.members],
            }
            for group in groups
        ],
        "items": [
            {"id": str(subject.ids[k]), "part": str(subject.part[k]), "label": names[subject.labels[k]]} for k in items
        ],
        "facts": dict(findings.facts),
    }
    for row, item in enumerate(entry["items"]):
        if findings.values is not None:
            item["value"] = json_value(findings.values[row], 6)
        if findings.notes is not None:
            item["note"] = findings.notes[row]
    left = {"items": len(findings.items) - len(items), "groups": len(findings.groups) - len(groups)}
    return entry | {"left_out": left} if any(left.values()) else entry


def quality_lines(outcomes: Mapping[str, Any]) -> list[str]:
    """What a `document` says besides the findings: checks that found nothing, that could not look and why, the size."""
    lines = []
    if passed := [c["name"] for c in outcomes["checks"] if c["status"] == "passed"]:
        lines.append(f"Nothing found: {', '.join(passed)}.")
    silent = [(c["name"], c["reason"]) for c in outcomes["checks"] if c["status"] == "not applicable"]
    if silent:
        lines.append(f"Not applicable: {by_reason(silent)}.")
    compared = f", compared with {outcomes['reference']!r}" if outcomes["reference"] else ""
    return [*lines, f"{outcomes['n_examined']:,} items examined{compared}; {outcomes['seconds']:.1f} s."]


def by_reason(checks: Iterable[tuple[str, str]]) -> str:
    """Names of checks that could not look, with each reason (name, reason) said once, in one line."""
    reasons: dict[str, list[str]] = {}
    for name, reason in checks:
        reasons.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())


def item_table(subject: Subject, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Every item of every check that found something.

    Columns: ``code, name, severity, id, index, part, given, value, note,
    group``; the last is the number of the item's group within the check, -1 where it is in none.
    """
    frames = []
    for outcome in outcomes:
        findings = outcome.findings or Findings("")
        rows = findings.items
        group = np.full(len(subject), -1, np.int64)
        for number, copies in reversed([*enumerate(findings.groups)]):
            group[copies.members] = number  # slices may overlap: the first one counts
        columns = {
            "code": outcome.code,
            "name": outcome.name,
            "severity": outcome.severity,
            "id": subject.ids[rows].astype(object),
            "index": subject.index[rows],
            "part": subject.part[rows].astype(object),
            "given": np.array(subject.class_names, dtype=object)[subject.labels[rows]],
            "value": np.full(len(rows), np.nan) if findings.values is None else findings.values,
            "note": [""] * len(rows) if findings.notes is None else list(findings.notes),
            "group": group[rows],
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def refuse_others(folder: Path, overwrite: bool) -> None:
    """Stop before files in a folder are replaced that `quality` did not write there. Errors as `refuse_existing`."""
    ours = False
    with suppress(UnreadableError, AttributeError):
        ours = read_json(folder / layout.QUALITY).get("schema") == QUALITY_SCHEMA
    for name in (layout.QUALITY, layout.QUALITY_ITEMS):
        refuse_existing(folder / name, overwrite or (ours and not (folder / layout.CONFIG).exists()))


def write_quality(folder: Path, outcomes: Mapping[str, Any], table: pd.DataFrame) -> None:
    """Write ``quality.parquet`` and then ``quality.json`` into a folder, each whole or not at all."""
    write_table(folder / layout.QUALITY_ITEMS, table, QUALITY_SCHEMA)
    write_json(folder / layout.QUALITY, dict(outcomes))


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

    table, outcomes = read_table(run.file(layout.QUALITY_ITEMS)), []
    for check in run.quality["checks"]:
        named, findings = table[table["code"] == check["code"]], None
        if check["status"] != "not applicable":
            groups = [Group(group["kind"], np.sort(at(group["ids"]))) for group in check["groups"]]
            unlisted = named[named["group"] >= len(groups)].groupby("group")["id"]
            groups += [Group("near", np.sort(at(ids))) for _, ids in unlisted]
            notes = tuple(named["note"]) if named["note"].any() else None
            findings = Findings(check["reason"], at(named["id"]), None, notes, tuple(groups), check["facts"])
        about = {name: check[name] for name in ("code", "name", "severity", "about", "status", "reason")}
        outcomes.append(Outcome(**about, findings=findings))
    return tuple(outcomes)
