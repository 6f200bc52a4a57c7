"""Items far from all others."""

from __future__ import annotations

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, share_of
from auditor.quality.subject import Subject

#: Fewest items among which one can be far from the others.
FEWEST = 50


@check("DQ301", "warning", "the item is far from all others")
def outliers(subject: Subject, far: float = 3.5) -> Findings | NotApplicable:
    """Mean distance (1 - cosine) to the nearest items, against its spread over all.

    An item is an outlier where the logarithm of that distance lies `far` robust standard deviations above the
    median. Copies make a distance small, so exact copies of one item are no evidence against its being an outlier:
    neighbours of equal content are left out.
    """
    near = subject.neighbours
    if near is None:
        return NotApplicable("there are no embeddings; name them with --embeddings")
    copies = subject.exact[near.positions] == subject.exact[near.rows][:, None]
    use = (near.positions >= 0) & ~copies
    known = use.any(axis=1) & subject.usable[near.rows]
    if known.sum() < FEWEST:
        return NotApplicable(f"{known.sum()} embedded items are too few to call one far (at least {FEWEST})")
    away = np.where(use, 1.0 - near.cosines.astype(np.float64), 0.0)
    distance = away.sum(axis=1) / np.maximum(use.sum(axis=1), 1)
    logs = np.log(np.maximum(distance, 1e-6))
    middle = float(np.median(logs[known]))
    spread = 1.4826 * float(np.median(np.abs(logs[known] - middle)))
    deviation = (logs - middle) / max(spread, 1e-3)
    examined = known & subject.examined[near.rows]
    hit = examined & (deviation > far)
    order = np.argsort(-deviation[hit], kind="stable")
    items = near.rows[hit][order].astype(np.int64)
    facts = {"embedding": near.name, "exact_search": near.exact, "median_distance": round(float(np.exp(middle)), 4)}
    summary = f"{share_of(len(items), int(examined.sum()))} lie far from all others"
    return Findings(summary, items, distance[hit][order], facts=facts)
