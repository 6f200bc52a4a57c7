"""Pictures that are nearly black."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.limits import against_limit
from auditor.quality.subject import Subject

__all__ = ["Dark"]


@dataclass(frozen=True)
class Dark:
    """99 % of the pixels are darker than `limit` (0 black, 1 white)."""

    code: ClassVar[str] = "DQ204"
    name: ClassVar[str] = "dark"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "hardly any pixel is lighter than dark grey"

    limit: float = 0.3

    def run(self, subject: Subject) -> Found | NotApplicable:
        return against_limit(subject, "p99", self.limit, below=True, what="are dark")
