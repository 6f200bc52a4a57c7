"""Items with the same content: equal bytes, or equal decoded pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.quality.base import Found, Group, NotApplicable, Severity
from auditor.quality.common import groups_of
from auditor.quality.subject import Subject

__all__ = ["ExactDuplicates"]


@dataclass(frozen=True)
class ExactDuplicates:
    """Over all items, examined or not: a group may hold items of several parts."""

    code: ClassVar[str] = "DQ101"
    name: ClassVar[str] = "exact_duplicates"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the same content occurs more than once"

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.modality == "probabilities":
            return NotApplicable("the items themselves are not here, only probabilities")
        rows = np.flatnonzero(subject.usable)
        if len(rows) < 2:
            return NotApplicable("fewer than two items have content")
        groups = groups_of(subject.exact)
        items = np.concatenate([g.members for g in groups]) if groups else np.empty(0, np.int64)
        distinct = len(np.unique(subject.exact[rows]))
        facts = duplicate_facts(subject, groups) | {"n_looked_at": len(rows), "n_distinct": distinct}
        if not groups:
            return Found(f"all {len(rows):,} items differ", facts=facts)
        summary = (
            f"{len(groups):,} group(s) hold {len(items):,} items; {distinct:,} of {len(rows):,} items are distinct"
        )
        return Found(summary, items, groups=groups, facts=facts)


def duplicate_facts(subject: Subject, groups: tuple[Group, ...]) -> dict[str, Any]:
    """Groups by where they lie: sizes, parts, classes; items and distinct contents by class.

    Returns
    -------
    dict
        ``n_groups, sizes{size: groups}, parts{"a" or "a + b": groups}, classes{"c" or "c + d": groups},
        by_class[{class, n_items, n_distinct}]``.
    """
    sizes: dict[str, int] = {}
    parts: dict[str, int] = {}
    classes: dict[str, int] = {}
    names = np.array(subject.class_names, dtype=object)
    for group in groups:
        for table, keys in (
            (sizes, [str(len(group.members))]),
            (parts, sorted(set(subject.part[group.members].tolist()))),
            (classes, sorted(set(names[subject.labels[group.members]].tolist()))),
        ):
            key = " + ".join(keys)
            table[key] = table.get(key, 0) + 1
    rows = np.flatnonzero(subject.usable)
    labels = subject.labels[rows]
    counted = []
    for k in np.unique(labels):
        mine = rows[labels == k]
        entry = {"class": subject.class_names[k], "n_items": len(mine)}
        counted.append(entry | {"n_distinct": len(np.unique(subject.exact[mine]))})
    return {"n_groups": len(groups), "sizes": sizes, "parts": parts, "classes": classes, "by_class": counted}
