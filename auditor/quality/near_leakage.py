"""Examined items with a near copy in the training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.leakage import leaked, no_reference
from auditor.quality.near_duplicates import why_not
from auditor.quality.subject import Subject

__all__ = ["NearLeakage"]


@dataclass(frozen=True)
class NearLeakage:
    """Beyond those that leak exactly, which `leakage` counts."""

    code: ClassVar[str] = "DQ105"
    name: ClassVar[str] = "near_leakage"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "a near copy of the item lies in the part it is compared with"

    def run(self, subject: Subject) -> Found | NotApplicable:
        if (reason := no_reference(subject) or why_not(subject)) is not None:
            return NotApplicable(reason)
        exact = leaked(subject, subject.exact, "exact", None).items
        return leaked(subject, subject.near, "near", exact)
