"""Texts with next to nothing in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import decided_by_nature, share_of
from auditor.quality.subject import Subject

__all__ = ["NearEmptyText"]


@dataclass(frozen=True)
class NearEmptyText:
    """Texts of fewer than `fewest` letters and digits; blank ones are missing values.

    Where more than a tenth of the texts are that short, it is how the data looks (names, codes), and only those
    without any letter or digit count.
    """

    code: ClassVar[str] = "DQ502"
    name: ClassVar[str] = "near_empty_text"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the text holds next to nothing"

    fewest: int = 5

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.texts is None:
            return NotApplicable(f"the items are no texts ({subject.modality})")
        rows = subject.looked_at
        filled = np.array([bool(subject.texts[k].strip()) for k in rows], dtype=bool)
        size = np.array([sum(c.isalnum() for c in subject.texts[k]) for k in rows], dtype=np.int64)
        hit = filled & (size < self.fewest)
        if decided_by_nature(hit, filled):
            hit = filled & (size == 0)
        order = np.argsort(size[hit], kind="stable")
        items = rows[hit][order].astype(np.int64)
        return Found(
            f"{share_of(len(items), len(rows))} texts hold next to nothing", items, size[hit][order].astype(np.float64)
        )
