"""Pictures stored in another way than the others: grey among colour, transparency, CMYK, 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import image_column, share_of
from auditor.quality.subject import Subject

__all__ = ["OddMode"]

#: Fewest pictures among which one can be odd.
FEWEST = 10


@dataclass(frozen=True)
class OddMode:
    """Kinds that at most `share` of the pictures have. Grey pictures stored in colour are a kind of their own."""

    code: ClassVar[str] = "DQ203"
    name: ClassVar[str] = "odd_mode"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "the picture is stored in another way than the others (grey, transparent, CMYK, 16 bits)"

    share: float = 0.05

    def run(self, subject: Subject) -> Found | NotApplicable:
        given = image_column(subject, "colour")
        if isinstance(given, NotApplicable) or subject.images is None:
            return given if isinstance(given, NotApplicable) else NotApplicable("the items are no pictures")
        rows, colour = given
        if len(rows) < FEWEST:
            return NotApplicable(f"{len(rows)} pictures are too few for one to be odd (at least {FEWEST})")
        mode = subject.images.mode[rows].astype("U24")
        mode[(colour == 0) & (mode == "RGB")] = "RGB without colour"
        kinds, counts = np.unique(mode, return_counts=True)
        odd = kinds[counts <= self.share * len(rows)]
        hit = np.isin(mode, odd)
        items = rows[hit].astype(np.int64)
        facts = {"modes": dict(zip(kinds.tolist(), counts.tolist(), strict=True))}
        return Found(
            f"{share_of(len(items), len(rows))} are stored in another way than the others",
            items,
            notes=tuple(mode[hit].tolist()),
            facts=facts,
        )
