"""Classes with far fewer items than an equal share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import joined
from auditor.quality.subject import Subject

__all__ = ["ClassImbalance", "class_counts"]


@dataclass(frozen=True)
class ClassImbalance:
    """Classes below `share` of an equal share of the examined items."""

    code: ClassVar[str] = "DQ401"
    name: ClassVar[str] = "class_imbalance"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the item's class has far fewer items than an equal share"

    share: float = 0.1

    def run(self, subject: Subject) -> Found | NotApplicable:
        counts = class_counts(subject)
        if len(counts) < 2:
            return NotApplicable("there is one class only")
        equal = counts.sum() / len(counts)
        rare = np.flatnonzero(counts < self.share * equal)
        items = np.flatnonzero(subject.examined & np.isin(subject.labels, rare)).astype(np.int64)
        names = subject.class_names
        facts = {
            "counts": {names[k]: int(c) for k, c in enumerate(counts)},
            "largest_to_smallest": None if counts.min() == 0 else round(float(counts.max() / counts.min()), 2),
            "rare": [names[k] for k in rare],
        }
        ratio = facts["largest_to_smallest"]
        balance = "a class has no items" if ratio is None else f"the largest class has {ratio} times the smallest"
        if not len(rare):
            return Found(f"no class is rare; {balance}", facts=facts, found=False)
        words = joined([f"{names[k]} ({counts[k]:,})" for k in rare])
        return Found(f"{len(rare)} rare class(es): {words}; {balance}", items, facts=facts, found=True)


def class_counts(subject: Subject) -> np.ndarray:
    """Examined items of each class, int64 (K,)."""
    return np.bincount(subject.labels[subject.examined], minlength=len(subject.class_names))
