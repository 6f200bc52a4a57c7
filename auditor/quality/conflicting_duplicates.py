"""Copies with different labels: at least one of them is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import groups_of
from auditor.quality.near_duplicates import why_not
from auditor.quality.subject import Subject

__all__ = ["ConflictingDuplicates"]


@dataclass(frozen=True)
class ConflictingDuplicates:
    """Exact and near copies; the kind of a group says which."""

    code: ClassVar[str] = "DQ103"
    name: ClassVar[str] = "conflicting_duplicates"
    severity: ClassVar[Severity] = "error"
    about: ClassVar[str] = "copies carry different labels; at least one is wrong"

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.modality == "probabilities":
            return NotApplicable("the items themselves are not here, only probabilities")
        if len(subject.class_names) < 2:
            return NotApplicable("there is one class only")
        exact = [g for g in groups_of(subject.exact) if _contradicts(subject, g.members)]
        seen = {int(k) for g in exact for k in g.members}
        near = []
        if why_not(subject) is None:
            near = [
                g
                for g in groups_of(subject.near, "near", subject.exact)
                if _contradicts(subject, g.members) and not set(g.members.tolist()) <= seen
            ]
        groups = tuple(sorted([*exact, *near], key=lambda g: int(g.members[0])))
        items = np.unique(np.concatenate([g.members for g in groups])) if groups else np.empty(0, np.int64)
        facts = {"n_exact_groups": len(exact), "n_near_groups": len(near)}
        if not groups:
            return Found("no copies carry different labels", facts=facts)
        summary = f"{len(exact):,} group(s) of exact and {len(near):,} of near copies carry different labels"
        return Found(summary, items, groups=groups, facts=facts)


def _contradicts(subject: Subject, members: np.ndarray) -> bool:
    return len(np.unique(subject.labels[members])) > 1
