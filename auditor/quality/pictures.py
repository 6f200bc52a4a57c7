"""Checks of pictures: whether they can be read, their size, shape and format, and what can be seen on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, made_for_others, share_of
from auditor.quality.nature import beyond, decided_by_nature, robust_fence
from auditor.quality.subject import Subject

#: Fewest pictures among which one can be stored in an odd way.
FEWEST = 10


@check("DQ001", "error", "the item cannot be decoded: corrupt, truncated, empty or too large")
def undecodable(subject: Subject) -> Findings | NotApplicable:
    """Reported with the decoder's reason; nothing else is said about such an item."""
    if subject.images is None:
        return made_for_others(subject.modality)
    rows = np.array([k for k in sorted(subject.bad) if subject.examined[k]], dtype=np.int64)
    reasons = tuple(subject.bad[int(k)] for k in rows)
    n = int(subject.examined.sum())
    if not len(rows):
        return Findings(f"all {n:,} items could be decoded")
    kinds = Counter(reason.split(":")[0] for reason in reasons).most_common(10)
    return Findings(f"{share_of(len(rows), n)} cannot be decoded", rows, notes=reasons, facts={"reasons": dict(kinds)})


@check("DQ201", "warning", "the picture is much larger or smaller than the others")
def odd_size(subject: Subject, times: float = 3.0) -> Findings | NotApplicable:
    """The root of the area is `times` larger or smaller than the median, and far from the others."""
    return _odd_ratio(subject, lambda size: np.sqrt(size.prod(axis=1)), times, "have an odd size")


@check("DQ202", "warning", "the picture is much wider or taller than the others")
def odd_aspect(subject: Subject, times: float = 2.5) -> Findings | NotApplicable:
    """Width over height is `times` larger or smaller than the median, and far from the others."""
    return _odd_ratio(subject, lambda size: size[:, 1] / size[:, 0], times, "have an odd shape")


@check("DQ203", "info", "the picture is stored in a pixel format that few have (grey, transparent, CMYK, 16 bits)")
def odd_mode(subject: Subject, share: float = 0.05) -> Findings | NotApplicable:
    """Kinds that at most `share` of the pictures have. Grey pictures stored in colour are a kind of their own."""
    if subject.images is None or not len(subject.looked_at):
        return _why_not(subject)
    rows = subject.looked_at
    if len(rows) < FEWEST:
        return NotApplicable(f"{len(rows)} pictures are too few for one to be odd (at least {FEWEST})")
    mode = subject.images.mode[rows].astype("U24")
    mode[(subject.images.columns["colour"][rows] == 0) & (mode == "RGB")] = "RGB without colour"
    kinds, counts = np.unique(mode, return_counts=True)
    hit = np.isin(mode, kinds[counts <= share * len(rows)])
    items = rows[hit].astype(np.int64)
    summary = f"{share_of(len(items), len(rows))} have a rare pixel format"
    facts = {"modes": dict(zip(kinds.tolist(), counts.tolist(), strict=True))}
    return Findings(summary, items, notes=tuple(mode[hit].tolist()), facts=facts)


@check("DQ204", "info", "hardly any pixel is lighter than dark grey")
def dark(subject: Subject, limit: float = 0.3) -> Findings | NotApplicable:
    """99 % of the pixels are darker than `limit` (0 black, 1 white)."""
    return _beyond_limit(subject, "p99", limit, below=True, what="are dark")


@check("DQ205", "info", "nearly all pixels are white")
def bright(subject: Subject, limit: float = 0.95) -> Findings | NotApplicable:
    """95 % of the pixels are lighter than `limit` (0 black, 1 white)."""
    return _beyond_limit(subject, "p05", limit, below=False, what="are bright")


@check("DQ206", "info", "no edge is steep: the picture is blurred")
def blurry(subject: Subject, limit: float = 0.2) -> Findings | NotApplicable:
    """The steepest edges climb less than `limit` of the contrast from one pixel to the next.

    A Gaussian blur of 2 pixels leaves 0.2.
    """
    return _beyond_limit(subject, "sharpness", limit, below=True, what="are blurred")


@check("DQ207", "info", "the picture is almost uniform")
def low_information(subject: Subject, limit: float = 0.35) -> Findings | NotApplicable:
    """The brightness histogram holds less than `limit` of the bits it could."""
    return _beyond_limit(subject, "entropy", limit, below=True, what="are almost uniform")


def _why_not(subject: Subject) -> NotApplicable:
    if subject.images is None:
        return made_for_others(subject.modality)
    return NotApplicable("no picture could be decoded")


def _odd_ratio(
    subject: Subject, measure: Callable[[np.ndarray], np.ndarray], times: float, what: str
) -> Findings | NotApplicable:
    """Items whose measure (of height and width) is `times` the median or more away from it, and far from the others."""
    if subject.images is None or not len(subject.looked_at):
        return _why_not(subject)
    rows, sizes = subject.looked_at, subject.images.size[subject.looked_at]
    values = measure(sizes.astype(np.float64))
    logs = np.log(values)
    middle = float(np.median(logs))
    low, high = robust_fence(logs, float(np.log(times)))
    hit = (logs < low) | (logs > high)
    order = np.argsort(-np.abs(logs[hit] - middle), kind="stable")
    items = rows[hit][order].astype(np.int64)
    notes = tuple(f"{h} x {w} (height x width)" for h, w in subject.images.size[items].tolist())
    facts = {
        "median": round(float(np.exp(middle)), 3),
        "n_sizes": len(np.unique(sizes, axis=0)),
        "smallest": sizes.min(axis=0).tolist(),
        "largest": sizes.max(axis=0).tolist(),
    }
    return Findings(f"{share_of(len(items), len(rows))} {what}", items, values[hit][order], notes, facts=facts)


def _beyond_limit(subject: Subject, column: str, limit: float, below: bool, what: str) -> Findings | NotApplicable:
    """Items whose `column` lies beyond `limit`, the farthest first; see `auditor.quality.nature.beyond`."""
    if subject.images is None or not len(subject.looked_at):
        return _why_not(subject)
    rows = subject.looked_at
    values = subject.images.columns[column][rows].astype(np.float64)
    known = np.isfinite(values)
    if not known.any():
        return NotApplicable(f"{column} cannot be measured on pictures without contrast")
    hit = beyond(values, limit, below)
    plain = known & ((values < limit) if below else (values > limit))
    order = np.argsort(values[hit] if below else -values[hit], kind="stable")
    items, measured = rows[hit][order].astype(np.int64), values[hit][order]
    facts = {
        "measure": column,
        "limit": limit,
        "median": round(float(np.median(values[known])), 4),
        "beyond_limit": int(plain.sum()),
        "by_nature": decided_by_nature(plain, known),
    }
    nature = (
        f"; {plain.sum():,} are beyond the limit: the data as a whole look so, and only those far from the others count"
    )
    summary = f"{share_of(len(items), len(rows))} {what}" + (nature if facts["by_nature"] else "")
    return Findings(summary, items, measured, facts=facts)
