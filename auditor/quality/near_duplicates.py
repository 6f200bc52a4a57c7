"""Items that are nearly the same: saved anew, recoloured, shifted, mirrored, cropped; texts with a word changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import groups_of
from auditor.quality.exact_duplicates import duplicate_facts
from auditor.quality.image_measures import SMALLEST_SIDE
from auditor.quality.subject import Subject

__all__ = ["NearDuplicates", "why_not"]


@dataclass(frozen=True)
class NearDuplicates:
    """Groups hold at least two contents; exact copies of a member belong to its group."""

    code: ClassVar[str] = "DQ102"
    name: ClassVar[str] = "near_duplicates"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "nearly the same content occurs more than once"

    def run(self, subject: Subject) -> Found | NotApplicable:
        if (reason := why_not(subject)) is not None:
            return NotApplicable(reason)
        groups = groups_of(subject.near, "near", subject.exact)
        items = np.concatenate([g.members for g in groups]) if groups else np.empty(0, np.int64)
        pairs, sources = subject.near_pairs
        facts = duplicate_facts(subject, groups) | {"n_pairs": len(pairs), "pairs_by_search": sources}
        if not groups:
            return Found("no two items are nearly the same", facts=facts)
        return Found(
            f"{len(groups):,} group(s) hold {len(items):,} items of nearly the same content",
            items,
            groups=groups,
            facts=facts,
        )


def why_not(subject: Subject) -> str | None:
    """Why near copies cannot be sought in this data; None where they can."""
    if subject.modality in ("table", "probabilities"):
        return f"nearly equal has no meaning for items of this kind ({subject.modality}); see exact_duplicates"
    if subject.images is not None and subject.images.comparable[subject.usable].sum() < 2:
        return f"fewer than two pictures are {SMALLEST_SIDE} pixels high and wide; smaller ones hold too little"
    if subject.usable.sum() < 2:
        return "fewer than two items have content"
    return None
