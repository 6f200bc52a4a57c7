"""What several checks share: groups of copies, limits that respect the nature of the data, counts by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.quality.base import Group, NotApplicable
from auditor.quality.subject import Subject

__all__ = ["beyond", "by_class", "decided_by_nature", "groups_of", "image_column", "joined", "robust_fence", "share_of"]

#: Where more of the items than this lie beyond an absolute limit, it is how this data looks (X-rays are dark,
#: sketches are white), and only items that are far from the others count.
NATURE_SHARE = 0.1
#: Robust standard deviations (1.4826 times the median deviation) that are far.
FAR = 5.0


def groups_of(first: np.ndarray, kind: str = "exact", distinct: np.ndarray | None = None) -> tuple[Group, ...]:
    """Groups of two or more, by smallest member.

    Parameters
    ----------
    first : int64 array (n,)
        Smallest position of each item's group.
    kind : str
    distinct : int64 array (n,), optional
        Keep groups that hold several of these values only (near copies of different content).
    """
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(first[order]) > 0]) if len(order) else np.empty(0, np.int64)
    sizes = np.diff(np.r_[starts, len(order)])
    found = []
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        members = order[start : start + size].astype(np.int64)
        if distinct is None or len(np.unique(distinct[members])) > 1:
            found.append(Group(kind, members))
    return tuple(found)


def robust_fence(values: np.ndarray, least: float) -> tuple[float, float]:
    """(low, high): median plus and minus `FAR` robust deviations, and at least `least`."""
    middle = float(np.median(values))
    width = max(FAR * 1.4826 * float(np.median(np.abs(values - middle))), least)
    return middle - width, middle + width


def beyond(values: np.ndarray, limit: float, below: bool) -> np.ndarray:
    """Which values lie beyond an absolute limit, bool (m,); NaN does not.

    Where more than `NATURE_SHARE` of them do, they must lie outside `robust_fence` as well.
    """
    known = np.isfinite(values)
    hit = known & ((values < limit) if below else (values > limit))
    if decided_by_nature(hit, known):
        low, high = robust_fence(values[known], 1e-6)
        hit &= (values < low) if below else (values > high)
    return hit


def decided_by_nature(hit: np.ndarray, known: np.ndarray) -> bool:
    """Whether so many lie beyond a limit that this is how the data looks."""
    return bool(hit.sum() > max(NATURE_SHARE * known.sum(), 1))


def image_column(subject: Subject, name: str) -> tuple[np.ndarray, np.ndarray] | NotApplicable:
    """Positions looked at and their measure, float64; or why there is none."""
    if subject.images is None:
        return NotApplicable(f"the items are no pictures ({subject.modality})")
    rows = subject.looked_at
    if not len(rows):
        return NotApplicable("not one picture could be decoded")
    return rows, subject.images.columns[name][rows].astype(np.float64)


def by_class(subject: Subject, positions: np.ndarray) -> dict[str, int]:
    """Items of each class that has any."""
    counts = np.bincount(subject.labels[positions], minlength=len(subject.class_names))
    return {subject.class_names[k]: int(counts[k]) for k in np.flatnonzero(counts)}


def share_of(part: int, whole: int) -> str:
    """``"378 of 20,000 (1.89 %)"``."""
    return f"{part:,} of {whole:,} ({100 * part / max(1, whole):.2f} %)"


def joined(names: Sequence[str], most: int = 5) -> str:
    """The first few names in words."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
