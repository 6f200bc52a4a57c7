"""Classes with too few items to learn or to audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import joined
from auditor.quality.subject import Subject

__all__ = ["TinyClasses"]


@dataclass(frozen=True)
class TinyClasses:
    """Classes with fewer than `fewest` different examined items; copies and broken items do not count."""

    code: ClassVar[str] = "DQ402"
    name: ClassVar[str] = "tiny_classes"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the item's class has too few different items to learn or to audit"

    fewest: int = 10

    def run(self, subject: Subject) -> Found | NotApplicable:
        if len(subject.class_names) < 2:
            return NotApplicable("there is one class only")
        rows = subject.looked_at
        pairs = np.unique(np.column_stack([subject.labels[rows], subject.exact[rows]]), axis=0)
        different = np.bincount(pairs[:, 0], minlength=len(subject.class_names))
        tiny = np.flatnonzero(different < self.fewest)
        items = np.flatnonzero(subject.examined & np.isin(subject.labels, tiny)).astype(np.int64)
        facts = {"fewest": self.fewest, "tiny": {subject.class_names[k]: int(different[k]) for k in tiny}}
        if not len(tiny):
            return Found(f"every class has at least {different.min():,} different items", facts=facts, found=False)
        words = joined([f"{subject.class_names[k]} ({different[k]})" for k in tiny])
        summary = f"{len(tiny)} class(es) with fewer than {self.fewest} different items: {words}"
        return Found(summary, items, facts=facts, found=True)
