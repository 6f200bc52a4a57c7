"""Checks for items that are there more than once: in one part, in several, and with different labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, made_for_others, share_of
from auditor.quality.groups import Group, components, groups_of
from auditor.quality.image_measures import SMALLEST_SIDE
from auditor.quality.subject import Subject

_NO_ITEMS = made_for_others("probabilities")


@check("DQ101", "warning", "the same content occurs more than once")
def exact_duplicates(subject: Subject) -> Findings | NotApplicable:
    """Equal bytes, or equal decoded pixels; over all items, examined or not: a group may reach over several parts."""
    if subject.modality == "probabilities":
        return _NO_ITEMS
    rows = np.flatnonzero(subject.usable)
    if len(rows) < 2:
        return NotApplicable("fewer than two items have content")
    groups, distinct = groups_of(subject.exact), len(np.unique(subject.exact[rows]))
    items = _members(groups)
    facts = _group_facts(subject, groups) | {"n_looked_at": len(rows), "n_distinct": distinct}
    if not groups:
        return Findings(f"all {len(rows):,} items differ", facts=facts)
    summary = f"{len(groups):,} group(s) hold {len(items):,} items; {distinct:,} of {len(rows):,} items are distinct"
    return Findings(summary, items, groups=groups, facts=facts)


@check("DQ102", "warning", "nearly the same content occurs more than once")
def near_duplicates(subject: Subject) -> Findings | NotApplicable:
    """Pictures saved anew, recoloured, turned a little, cropped, painted over in part; texts with a word changed.

    Groups hold at least two contents; exact copies of a member belong to its group. Pictures that agree in most of what
    they show and differ in a place (letters, flags, forms) are none, mirror images are a kind of their own.
    """
    if (reason := not_comparable(subject)) is not None:
        return NotApplicable(reason)
    groups = groups_of(subject.near, "near", subject.exact)
    near = subject.near_pairs
    facts = _group_facts(subject, groups) | {
        "n_pairs": len(near.pairs),
        "n_altered": int((~near.same).sum()),
        "pairs_by_search": dict(near.sources),
    }
    if not groups:
        return Findings("no two items are nearly the same", facts=facts)
    items = _members(groups)
    summary = f"{len(groups):,} group(s) hold {len(items):,} items of nearly the same content"
    return Findings(summary, items, groups=groups, facts=facts)


@check("DQ103", "error", "copies carry different labels; at least one is wrong")
def conflicting_duplicates(subject: Subject) -> Findings | NotApplicable:
    """Exact copies, and near copies that agree everywhere; the kind of a group says which."""
    if subject.modality == "probabilities":
        return _NO_ITEMS
    if len(subject.class_names) < 2:
        return NotApplicable("there is one class only")
    contradicts = lambda group: len(np.unique(subject.labels[group.members])) > 1  # noqa: E731
    exact, near = list(filter(contradicts, groups_of(subject.exact))), []
    if not_comparable(subject) is None:
        candidates = filter(contradicts, groups_of(subject.verified, "near", subject.exact))
        near = [group for group in candidates if not np.isin(group.members, _members(exact)).all()]
    groups = tuple(sorted([*exact, *near], key=lambda g: int(g.members[0])))
    facts = {"n_exact_groups": len(exact), "n_near_groups": len(near)}
    if not groups:
        return Findings("no copies carry different labels", facts=facts)
    summary = f"{len(exact):,} group(s) of exact and {len(near):,} of near copies carry different labels"
    return Findings(summary, np.unique(_members(groups)), groups=groups, facts=facts)


@check("DQ106", "info", "the picture is the mirror image of another")
def mirrored_items(subject: Subject) -> Findings | NotApplicable:
    """Flipped copies, and drawings whose meaning is the side they face: b and d, arrows to the left and right."""
    if subject.images is None:
        return made_for_others(subject.modality)
    if (reason := not_comparable(subject)) is not None:
        return NotApplicable(reason)
    groups = groups_of(subject.mirrored, "mirrored", subject.exact)
    differing = sum(len(np.unique(subject.labels[group.members])) > 1 for group in groups)
    facts = _group_facts(subject, groups) | {
        "n_pairs": len(subject.near_pairs.mirrored),
        "n_with_different_labels": differing,
    }
    if not groups:
        return Findings("no picture is the mirror image of another", facts=facts)
    items = _members(groups)
    summary = f"{len(groups):,} group(s) hold {len(items):,} mirror images; {differing:,} with different labels"
    return Findings(summary, items, groups=groups, facts=facts)


@check("DQ107", "warning", "near copies that differ in a part carry different labels; the part may be the reason")
def conflicting_alterations(subject: Subject) -> Findings | NotApplicable:
    """Beyond those that agree everywhere, which `conflicting_duplicates` counts."""
    if len(subject.class_names) < 2:
        return NotApplicable("there is one class only")
    if (reason := not_comparable(subject)) is not None:
        return NotApplicable(reason)
    near = subject.near_pairs
    pairs = near.pairs[~near.same]
    pairs = pairs[subject.labels[pairs[:, 0]] != subject.labels[pairs[:, 1]]]
    # Exact copies of one item may carry different labels, but then that is what they are reported for.
    pairs = pairs[subject.verified[pairs[:, 0]] != subject.verified[pairs[:, 1]]]
    groups = groups_of(components(len(subject), pairs), "near")
    facts = {"n_groups": len(groups), "n_pairs": len(pairs)}
    if not groups:
        return Findings("no near copies that differ in a part carry different labels", facts=facts)
    items = _members(groups)
    summary = f"{len(groups):,} group(s) of {len(items):,} near copies differ in a part and in their labels"
    return Findings(summary, items, groups=groups, facts=facts)


@check("DQ104", "error", "the item also lies in the part it is compared with (training data)")
def leakage(subject: Subject) -> Findings | NotApplicable:
    """Items outside the reference part with an exact copy in it."""
    if (reason := no_reference(subject)) is not None:
        return NotApplicable(reason)
    return _NO_ITEMS if subject.modality == "probabilities" else _leaked(subject, subject.exact, "exact", [])


@check("DQ105", "warning", "a near copy of the item lies in the part it is compared with")
def near_leakage(subject: Subject) -> Findings | NotApplicable:
    """Beyond those that leak exactly, which `leakage` counts."""
    if (reason := no_reference(subject) or not_comparable(subject)) is not None:
        return NotApplicable(reason)
    return _leaked(subject, subject.near, "near", _leaked(subject, subject.exact, "exact", []).items)


def no_reference(subject: Subject) -> str | None:
    """Why nothing can leak or drift; None where there are two parts."""
    return None if subject.reference else "there is one part only; name another split or version with --against"


def not_comparable(subject: Subject) -> str | None:
    """Why near copies cannot be sought in this data; None where they can."""
    if subject.modality in ("table", "probabilities"):
        return made_for_others(subject.modality).reason
    if subject.images is not None and subject.images.comparable[subject.usable].sum() < 2:
        return f"fewer than two pictures are {SMALLEST_SIDE} pixels high and wide; smaller ones show too little"
    return "fewer than two items have content" if subject.usable.sum() < 2 else None


def _members(groups: list[Group] | tuple[Group, ...]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *(group.members for group in groups)])


def _group_facts(subject: Subject, groups: tuple[Group, ...]) -> dict[str, Any]:
    """Groups by where they lie: sizes, parts, classes; items and distinct contents by class.

    Returns
    -------
    dict
        ``n_groups, sizes{size: groups}, parts{"a" or "a + b": groups}, classes{"c" or "c + d": groups},
        by_class[{class, n_items, n_distinct}]``.
    """
    tables: dict[str, dict[str, int]] = {"sizes": {}, "parts": {}, "classes": {}}
    names = np.array(subject.class_names, dtype=object)
    for group in groups:
        keys = {"sizes": [str(len(group.members))], "parts": sorted(set(subject.part[group.members].tolist()))}
        keys["classes"] = sorted(set(names[subject.labels[group.members]].tolist())) if subject.classes else []
        for table, parts in keys.items():
            key = " + ".join(parts)
            tables[table][key] = tables[table].get(key, 0) + 1
    by_class = []
    for k in np.unique(subject.labels[subject.usable]) if subject.classes else ():
        mine = subject.exact[subject.usable & (subject.labels == k)]
        by_class.append({"class": subject.class_names[k], "n_items": len(mine), "n_distinct": len(np.unique(mine))})
    return {"n_groups": len(groups), **tables, "by_class": by_class}


def _leaked(subject: Subject, first: np.ndarray, kind: str, counted: np.ndarray | list[int]) -> Findings:
    """Items outside the reference part whose group reaches into it.

    Parameters
    ----------
    subject : Subject
    first : int64 array (n,)
        Smallest position of each item's group.
    kind : str
        ``"exact"`` or ``"near"``.
    counted : int64 array
        Items that are not counted again.
    """
    inside = (subject.part == subject.reference) & subject.usable
    outside = (subject.part != subject.reference) & subject.usable
    hit = outside & np.isin(first, first[inside])
    hit[counted] = False
    items = np.flatnonzero(hit).astype(np.int64)
    touched = set(first[items].tolist())
    groups = tuple(g for g in groups_of(first, kind) if int(first[g.members[0]]) in touched)
    n, k = int(outside.sum()), len(subject.class_names)
    totals, hits = (np.bincount(subject.labels[at], minlength=k).tolist() for at in (outside, hit))
    by_class = [
        {"class": name, "n_items": total, "n_leaked": leaks, "share": leaks / total}
        for name, total, leaks in zip(subject.class_names, totals, hits, strict=True)
        if total and subject.classes
    ]
    facts: dict[str, Any] = {"reference": subject.reference, "n_compared": n, "by_class": by_class}
    what = "lie in" if kind == "exact" else "have a near copy in"
    if not len(items):
        return Findings(f"none of {n:,} items {what} {subject.reference!r}", facts=facts)
    worst = [f"{e['class']} {share_of(e['n_leaked'], e['n_items'])}" for e in by_class if e["n_leaked"]]
    detail = f": {'; '.join(worst)}" if len(worst) <= 3 else ""
    summary = f"{share_of(len(items), n)} items {what} {subject.reference!r}{detail}"
    return Findings(summary, items, groups=groups, facts=facts)
