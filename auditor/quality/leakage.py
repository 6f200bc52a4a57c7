"""Examined items that lie in the training data as well, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import by_class, groups_of, share_of
from auditor.quality.subject import Subject

__all__ = ["Leakage", "leaked", "no_reference"]


@dataclass(frozen=True)
class Leakage:
    """Items outside the reference part with a copy in it."""

    code: ClassVar[str] = "DQ104"
    name: ClassVar[str] = "leakage"
    severity: ClassVar[Severity] = "error"
    about: ClassVar[str] = "the item also lies in the part it is compared with (training data)"

    def run(self, subject: Subject) -> Found | NotApplicable:
        if (reason := no_reference(subject)) is not None:
            return NotApplicable(reason)
        if subject.modality == "probabilities":
            return NotApplicable("the items themselves are not here, only probabilities")
        return leaked(subject, subject.exact, "exact", None)


def no_reference(subject: Subject) -> str | None:
    """Why nothing can leak or drift; None where there are two parts."""
    if subject.reference is None:
        return "there is one part only; name another split or version with --against"
    return None


def leaked(subject: Subject, first: np.ndarray, kind: str, but: np.ndarray | None) -> Found:
    """Items outside the reference part whose group reaches into it.

    Parameters
    ----------
    subject : Subject
    first : int64 array (n,)
        Smallest position of each item's group.
    kind : str
        ``"exact"`` or ``"near"``.
    but : int64 array, optional
        Items that are not counted again.
    """
    inside = (subject.part == subject.reference) & subject.usable
    outside = (subject.part != subject.reference) & subject.usable
    reached = np.isin(first, first[inside])
    hit = outside & reached
    if but is not None:
        hit[but] = False
    items = np.flatnonzero(hit).astype(np.int64)
    touched = set(np.unique(first[items]).tolist())
    groups = tuple(g for g in groups_of(first, kind) if int(first[g.members[0]]) in touched)
    n = int(outside.sum())
    facts: dict[str, Any] = {"reference": subject.reference, "n_compared": n, "by_class": []}
    totals, hits = by_class(subject, np.flatnonzero(outside)), by_class(subject, items)
    for name, total in totals.items():
        leaks = hits.get(name, 0)
        facts["by_class"].append({"class": name, "n_items": total, "n_leaked": leaks, "share": leaks / total})
    what = "lie" if kind == "exact" else "have a near copy"
    if not len(items):
        return Found(f"none of {n:,} items {what} in {subject.reference!r}", facts=facts)
    worst = [f"{e['class']} {share_of(e['n_leaked'], e['n_items'])}" for e in facts["by_class"] if e["n_leaked"]]
    detail = f": {'; '.join(worst)}" if len(worst) <= 3 else ""
    return Found(
        f"{share_of(len(items), n)} items {what} in {subject.reference!r}{detail}", items, groups=groups, facts=facts
    )
