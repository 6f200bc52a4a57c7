"""Pictures much larger or smaller than the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import image_column, robust_fence, share_of
from auditor.quality.subject import Subject

__all__ = ["OddSize", "odd_ratio"]


@dataclass(frozen=True)
class OddSize:
    """The root of the area is `times` larger or smaller than the median, and far from the others."""

    code: ClassVar[str] = "DQ201"
    name: ClassVar[str] = "odd_size"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the picture is much larger or smaller than the others"

    times: float = 3.0

    def run(self, subject: Subject) -> Found | NotApplicable:
        given = image_column(subject, "brightness")
        if isinstance(given, NotApplicable) or subject.images is None:
            return given if isinstance(given, NotApplicable) else NotApplicable("the items are no pictures")
        size = subject.images.size[given[0]].astype(np.float64)
        return odd_ratio(subject, given[0], np.sqrt(size.prod(axis=1)), self.times, "have an odd size")


def odd_ratio(subject: Subject, rows: np.ndarray, values: np.ndarray, times: float, what: str) -> Found:
    """Items whose positive value is `times` the median or more away from it, and far from the others."""
    if subject.images is None:
        raise TypeError("the subject holds no images")
    logs = np.log(values)
    middle = float(np.median(logs))
    low, high = robust_fence(logs, float(np.log(times)))
    hit = (logs < low) | (logs > high)
    order = np.argsort(-np.abs(logs[hit] - middle), kind="stable")
    items = rows[hit][order].astype(np.int64)
    notes = tuple(f"{h} x {w} (height x width)" for h, w in subject.images.size[items].tolist())
    sizes = subject.images.size[rows]
    facts = {
        "median": round(float(np.exp(middle)), 3),
        "n_sizes": len(np.unique(sizes, axis=0)),
        "smallest": sizes.min(axis=0).tolist(),
        "largest": sizes.max(axis=0).tolist(),
    }
    return Found(f"{share_of(len(items), len(rows))} {what}", items, values[hit][order], notes, facts=facts)
