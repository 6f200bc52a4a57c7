"""Pictures much wider or taller than the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import image_column
from auditor.quality.odd_size import odd_ratio
from auditor.quality.subject import Subject

__all__ = ["OddAspect"]


@dataclass(frozen=True)
class OddAspect:
    """Width over height is `times` larger or smaller than the median, and far from the others."""

    code: ClassVar[str] = "DQ202"
    name: ClassVar[str] = "odd_aspect"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the picture is much wider or taller than the others"

    times: float = 2.5

    def run(self, subject: Subject) -> Found | NotApplicable:
        given = image_column(subject, "brightness")
        if isinstance(given, NotApplicable) or subject.images is None:
            return given if isinstance(given, NotApplicable) else NotApplicable("the items are no pictures")
        size = subject.images.size[given[0]].astype(np.float64)
        return odd_ratio(subject, given[0], size[:, 1] / size[:, 0], self.times, "have an odd shape")
