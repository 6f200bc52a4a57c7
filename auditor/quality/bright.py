"""Pictures that are nearly white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.limits import against_limit
from auditor.quality.subject import Subject

__all__ = ["Bright"]


@dataclass(frozen=True)
class Bright:
    """95 % of the pixels are lighter than `limit` (0 black, 1 white)."""

    code: ClassVar[str] = "DQ205"
    name: ClassVar[str] = "bright"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "nearly all pixels are white"

    limit: float = 0.95

    def run(self, subject: Subject) -> Found | NotApplicable:
        return against_limit(subject, "p05", self.limit, below=False, what="are bright")
