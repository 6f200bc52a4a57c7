"""Two versions of a data set on one page: what happened to the items, and how the whole has moved."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from auditor.core.config import Settings, load_settings
from auditor.core.display import shown
from auditor.core.escaping import markdown_text
from auditor.core.files import refuse_existing, write_json, write_text
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.core.version import __version__
from auditor.data.base import Dataset
from auditor.data.open import open_dataset
from auditor.quality.open_subject import make_subject
from auditor.quality.registry import run_checks
from auditor.quality.versions import KINDS, Versions, compare_versions
from auditor.report.markdown import percent, table
from auditor.report.page import page_html
from auditor.runs.tables import write_table

SCHEMA: Final = "auditor.versions/1"
DOCUMENT, CHANGES, PAGE = "versions.json", "versions.parquet", "versions.html"
#: Changes of one kind that the page lists; the table has all.
LISTED: Final = 50
_WHAT: Final = {
    "added": "in the new version only",
    "removed": "in the old version only",
    "edited": "the same item with another content",
    "relabelled": "another label",
    "moved": "another split",
}


@dataclass(frozen=True)
class Comparison:
    """Two versions of a data set, compared.

    Attributes
    ----------
    document : dict
        As `versions.json` holds it.
    changes : DataFrame
        As `auditor.quality.versions.Versions.changes`.
    folder : Path or None
        Where it was written.
    """

    document: dict[str, Any]
    changes: pd.DataFrame
    folder: Path | None

    def lines(self) -> list[str]:
        """For a terminal."""
        counts, drift = self.document["counts"], self.document["drift"]
        words = ", ".join(f"{counts[kind]:,} {kind}" for kind in (*KINDS, "unchanged"))
        return [
            f"{self.document['old']['n']:,} items before, {self.document['new']['n']:,} now: {words}",
            drift["reason"],
        ]


def compare(
    old: str | Dataset,
    new: str | Dataset,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    settings: Settings | None = None,
    progress: Progress | bool | None = None,
) -> Comparison:
    """Compare two versions of a data set, item by item and in distribution.

    Parameters
    ----------
    old, new : str or Dataset
        References, or open data sets.
    out : path, optional
        Folder for ``versions.html``, ``versions.json`` and ``versions.parquet``. Nothing is written without it.
    overwrite : bool
    workers : int, optional
        Processes that decode; never changes the result.
    settings : Settings, optional
    progress : Progress or bool, optional

    Raises
    ------
    UsageError
        If they cannot be compared.
    AuditorError
        Whatever opening them raises.
    """
    clock = time.perf_counter()
    settings = settings or load_settings()
    if out is not None:
        refuse_existing(Path(out) / DOCUMENT, overwrite)
    with shown(progress) as receiver:
        receiver.stage("data", f"{old} and {new}" if isinstance(old, str) and isinstance(new, str) else "")
        before, after = (data if isinstance(data, Dataset) else open_dataset(data, settings) for data in (old, new))
        receiver.stage("items", f"{len(before) + len(after):,} contents")
        found = compare_versions(before, after)
        receiver.stage("distribution")
        (drift,) = run_checks(make_subject(after, before, receiver, workers=workers), ["drift"], receiver)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "auditor": __version__,
        **{
            side: {"name": data.name, "reference": data.reference, "n": len(data), "fingerprint": data.fingerprint}
            for side, data in (("old", before), ("new", after))
        },
        "counts": found.counts(),
        "matched_by": "content, then id" if found.by_id else "content, then place between equal neighbours",
        "classes": _classes(before, after),
        "relabelled": _pairs(found),
        "drift": {
            "status": drift.status,
            "reason": drift.reason,
            "tests": [] if drift.findings is None else drift.findings.facts.get("tests", []),
        },
        "seconds": round(time.perf_counter() - clock, 2),
        "machine": describe_machine(),
        "versions": package_versions(),
    }
    folder = None if out is None else Path(out)
    if folder is not None:
        write_table(folder / CHANGES, found.changes, SCHEMA)
        write_text(folder / PAGE, page_html(markdown(document, found.changes), folder))
        write_json(folder / DOCUMENT, document)
    return Comparison(document, found.changes, folder)


def _classes(old: Dataset, new: Dataset) -> list[dict[str, Any]]:
    names = list(dict.fromkeys([*old.class_names, *new.class_names]))
    if old.form is not None or new.form is not None:
        return []
    counts = [dict(zip(*np.unique(data.given.astype("U"), return_counts=True), strict=True)) for data in (old, new)]
    return [{"class": name, "old": int(counts[0].get(name, 0)), "new": int(counts[1].get(name, 0))} for name in names]


def _pairs(found: Versions) -> list[dict[str, Any]]:
    """How often each label became each other, the most frequent first."""
    rows = found.changes[found.changes["change"] == "relabelled"]
    sizes = Counter(zip(rows["old_label"], rows["new_label"], strict=True))
    return [{"from": a, "to": b, "items": n} for (a, b), n in sizes.most_common()]


def markdown(document: dict[str, Any], changes: pd.DataFrame) -> list[str]:
    """The page, as lines of Markdown."""
    old, new, counts = document["old"], document["new"], document["counts"]
    lines = [f"# {markdown_text(old['name'])}: two versions", ""]
    lines += [f"Before: `{old['reference']}`, {old['n']:,} items. Now: `{new['reference']}`, {new['n']:,} items.", ""]
    rows = [[kind, f"{counts[kind]:,}", _WHAT[kind]] for kind in KINDS]
    lines += table(["change", "items", ""], [*rows, ["unchanged", f"{counts['unchanged']:,}", ""]])
    lines += ["", f"Items were matched by {document['matched_by']}. An item may have changed in several ways.", ""]
    lines += ["## Distribution", "", f"{document['drift']['reason'].capitalize()}.", ""]
    if document["drift"]["tests"]:
        tests = sorted(document["drift"]["tests"], key=lambda t: -t["distance"])
        body = [
            [t["what"], f"{t['distance']:.3f}", f"{t['p']:.2g}", "differs" if t["found"] else "alike"] for t in tests
        ]
        lines += [*table(["of", "distance", "p", ""], body), ""]
    if document["classes"]:
        body = [
            [c["class"], f"{c['old']:,}", f"{c['new']:,}", percent(c["old"] / old["n"]), percent(c["new"] / new["n"])]
            for c in document["classes"][:LISTED]
        ]
        lines += ["## Classes", "", *table(["class", "before", "now", "before, %", "now, %"], body), ""]
    if document["relabelled"]:
        body = [[row["from"], row["to"], f"{row['items']:,}"] for row in document["relabelled"][:LISTED]]
        lines += ["## Labels", "", *table(["was", "is", "items"], body), ""]
    for kind in KINDS:
        listed = changes[changes["change"] == kind].head(LISTED)
        if len(listed):
            more = f", the first {LISTED} of {counts[kind]:,}" if counts[kind] > LISTED else ""
            lines += [f"## {kind.capitalize()}{more}", ""]
            lines += [*table(["item", "label", "split"], [_row(row) for row in listed.to_dict("records")]), ""]
    machine = document["machine"]
    lines += [
        f"{document['seconds']} s, {machine['cpu']}; auditor {document['auditor']}. All changes: `{CHANGES}`.",
        "",
    ]
    return lines


def _row(row: Mapping[Any, str]) -> list[str]:
    """One change, with an arrow where something became something else."""
    cells = []
    for what in ("id", "label", "split"):
        sides = dict.fromkeys(value for value in (row[f"old_{what}"], row[f"new_{what}"]) if value)
        cells.append(" → ".join(sides))
    return cells
