"""Values that are not there: empty cells of a table, blank texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import share_of
from auditor.quality.subject import Subject

__all__ = ["MissingValues"]


@dataclass(frozen=True)
class MissingValues:
    """Items with a missing value, those with the most first; and the share by column."""

    code: ClassVar[str] = "DQ403"
    name: ClassVar[str] = "missing_values"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "values of the item are missing"

    def run(self, subject: Subject) -> Found | NotApplicable:
        rows = subject.looked_at
        if subject.texts is not None:
            blank = np.array([not subject.texts[k].strip() for k in rows], dtype=bool)
            items = rows[blank].astype(np.int64)
            return Found(f"{share_of(len(items), len(rows))} texts are blank", items)
        if subject.frame is None:
            return NotApplicable(f"items of this kind ({subject.modality}) have no columns; see undecodable")
        absent = subject.frame.isna().to_numpy()[rows]
        per_item = absent.sum(axis=1)
        order = np.argsort(-per_item, kind="stable")
        order = order[per_item[order] > 0]
        shares = absent.mean(axis=0) if len(rows) else np.zeros(absent.shape[1])
        columns = {str(c): round(float(s), 6) for c, s in zip(subject.frame.columns, shares, strict=True) if s > 0}
        items = rows[order].astype(np.int64)
        if not len(items):
            return Found(f"no value of {len(rows):,} items is missing")
        summary = f"{share_of(len(items), len(rows))} items lack a value, in {len(columns)} column(s)"
        return Found(summary, items, per_item[order].astype(np.float64), facts={"share_missing": columns})
