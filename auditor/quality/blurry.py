"""Pictures without a steep edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.limits import against_limit
from auditor.quality.subject import Subject

__all__ = ["Blurry"]


@dataclass(frozen=True)
class Blurry:
    """The steepest edges climb less than `limit` of the contrast from one pixel to the next.

    A Gaussian blur of 2 pixels leaves 0.2.
    """

    code: ClassVar[str] = "DQ206"
    name: ClassVar[str] = "blurry"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "no edge is steep: the picture is blurred"

    limit: float = 0.2

    def run(self, subject: Subject) -> Found | NotApplicable:
        return against_limit(subject, "sharpness", self.limit, below=True, what="are blurred")
