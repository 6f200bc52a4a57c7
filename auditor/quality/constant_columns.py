"""Columns of a table that say nothing: one value throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import joined
from auditor.quality.subject import Subject

__all__ = ["ConstantColumns"]


@dataclass(frozen=True)
class ConstantColumns:
    """Columns whose most frequent value (or absence) has at least `share` of the examined items."""

    code: ClassVar[str] = "DQ601"
    name: ClassVar[str] = "constant_columns"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "a column has one value throughout, or nearly"

    share: float = 0.999

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.frame is None:
            return NotApplicable(f"the items have no columns ({subject.modality})")
        rows = subject.looked_at
        if len(rows) < 2:
            return NotApplicable("fewer than two rows")
        found, top = {}, 0.0
        for name in subject.frame.columns:
            counts = subject.frame[name].iloc[rows].value_counts(dropna=False).to_numpy()
            top = float(counts.max() / len(rows))
            if top >= self.share:
                found[str(name)] = round(top, 6)
        facts = {"columns": found, "n_columns": subject.frame.shape[1]}
        if not found:
            return Found(f"all {subject.frame.shape[1]} columns vary", facts=facts, found=False)
        items = np.empty(0, np.int64)
        return Found(f"{len(found)} column(s) with one value: {joined(list(found))}", items, facts=facts, found=True)
