"""Items that cannot be read: corrupt, truncated, empty, too large, absent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import share_of
from auditor.quality.subject import Subject

__all__ = ["Undecodable"]


@dataclass(frozen=True)
class Undecodable:
    """Reported with the decoder's reason; nothing else is said about such an item."""

    code: ClassVar[str] = "DQ001"
    name: ClassVar[str] = "undecodable"
    severity: ClassVar[Severity] = "error"
    about: ClassVar[str] = "the item cannot be decoded: corrupt, truncated, empty or too large"

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.images is None:
            return NotApplicable(f"items of this kind ({subject.modality}) are not decoded")
        rows = np.array([k for k in sorted(subject.bad) if subject.examined[k]], dtype=np.int64)
        reasons = tuple(subject.bad[int(k)] for k in rows)
        n = int(subject.examined.sum())
        if not len(rows):
            return Found(f"all {n:,} items could be decoded")
        kinds = Counter(reason.split(":")[0] for reason in reasons).most_common(10)
        return Found(f"{share_of(len(rows), n)} cannot be decoded", rows, notes=reasons, facts={"reasons": dict(kinds)})
