"""Checks of the classes: far fewer items than the others, too few items altogether."""

from __future__ import annotations

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, joined
from auditor.quality.subject import Subject

NO_CLASSES = "the labels are no classes"


@check("DQ401", "warning", "the item's class has far fewer items than an equal share")
def class_imbalance(subject: Subject, share: float = 0.1) -> Findings | NotApplicable:
    """Classes below `share` of an equal share of the examined items."""
    names = subject.class_names
    counts = np.bincount(subject.labels[subject.examined], minlength=len(names))
    if not subject.classes:
        return NotApplicable(NO_CLASSES)
    if len(counts) < 2:
        return NotApplicable("there is one class only")
    rare = np.flatnonzero(counts < share * (counts.sum() / len(counts)))
    ratio = None if counts.min() == 0 else round(float(counts.max() / counts.min()), 2)
    by_class = dict(zip(names, counts.tolist(), strict=True))
    facts = {"counts": by_class, "largest_to_smallest": ratio, "rare": [names[k] for k in rare]}
    balance = "a class has no items" if ratio is None else f"the largest class has {ratio} times the smallest"
    if not len(rare):
        return Findings(f"no class is rare; {balance}", facts=facts, found=False)
    words = joined([f"{names[k]} ({counts[k]:,})" for k in rare])
    summary = f"{len(rare)} rare class(es): {words}; {balance}"
    return Findings(summary, _examined_of(subject, rare), facts=facts, found=True)


@check("DQ402", "warning", "the item's class has too few different items to learn or to audit")
def tiny_classes(subject: Subject, fewest: int = 10) -> Findings | NotApplicable:
    """Classes with fewer than `fewest` different examined items; copies and broken items do not count."""
    names, rows = subject.class_names, subject.looked_at
    if not subject.classes:
        return NotApplicable(NO_CLASSES)
    if len(names) < 2:
        return NotApplicable("there is one class only")
    pairs = np.unique(np.column_stack([subject.labels[rows], subject.exact[rows]]), axis=0)
    different = np.bincount(pairs[:, 0], minlength=len(names))
    tiny = np.flatnonzero(different < fewest)
    facts = {"fewest": fewest, "tiny": {names[k]: int(different[k]) for k in tiny}}
    if not len(tiny):
        return Findings(f"every class has at least {different.min():,} different items", facts=facts, found=False)
    words = joined([f"{names[k]} ({different[k]})" for k in tiny])
    summary = f"{len(tiny)} class(es) with fewer than {fewest} different items: {words}"
    return Findings(summary, _examined_of(subject, tiny), facts=facts, found=True)


def _examined_of(subject: Subject, classes: np.ndarray) -> np.ndarray:
    return np.flatnonzero(subject.examined & np.isin(subject.labels, classes)).astype(np.int64)
