"""Pictures of one colour, or of next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.limits import against_limit
from auditor.quality.subject import Subject

__all__ = ["LowInformation"]


@dataclass(frozen=True)
class LowInformation:
    """The brightness histogram holds less than `limit` of the bits it could."""

    code: ClassVar[str] = "DQ207"
    name: ClassVar[str] = "low_information"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "the picture shows next to nothing"

    limit: float = 0.35

    def run(self, subject: Subject) -> Found | NotApplicable:
        return against_limit(subject, "entropy", self.limit, below=True, what="show next to nothing")
