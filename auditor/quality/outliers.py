"""Items far from all others, and items far from those of the part that they are compared with."""

from __future__ import annotations

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, share_of
from auditor.quality.copies import no_reference
from auditor.quality.distances import deviations, nearest_among
from auditor.quality.subject import Neighbours, Subject

#: Fewest items among which one can be far from the others.
FEWEST = 50
#: Neighbours of an item in the reference part, and items of that part whose own distances say what is usual.
K_NEAREST, DRAWN = 10, 5000
SEED = 0
NO_EMBEDDINGS = "there are no embeddings; name them with --embeddings"


@check("DQ301", "warning", "the item is far from all others")
def outliers(subject: Subject, far: float = 3.5) -> Findings | NotApplicable:
    """Mean distance to the nearest items, against its spread over all.

    An item is an outlier where the logarithm of that distance lies `far` robust standard deviations above the
    median. Copies make a distance small, so exact copies of one item are no evidence against its being an outlier:
    neighbours of equal content are left out. The distance is 1 - cosine between embeddings, and that between
    standardised columns in a table.
    """
    near = subject.neighbours
    if near is None:
        return NotApplicable(NO_EMBEDDINGS)
    copies = subject.exact[near.positions] == subject.exact[near.rows][:, None]
    use = (near.positions >= 0) & ~copies
    known = use.any(axis=1) & subject.usable[near.rows]
    if known.sum() < FEWEST:
        return NotApplicable(f"{known.sum()} embedded items are too few to call one far (at least {FEWEST})")
    distance = np.where(use, near.away, 0.0).sum(axis=1) / np.maximum(use.sum(axis=1), 1)
    deviation = deviations(distance, distance[known])
    examined = known & subject.examined[near.rows]
    hit = examined & (deviation > far)
    order = np.argsort(-deviation[hit], kind="stable")
    items = near.rows[hit][order].astype(np.int64)
    middle = float(np.median(distance[known]))
    facts = {"embedding": near.name, "exact_search": near.exact, "median_distance": round(middle, 4)}
    summary = f"{share_of(len(items), int(examined.sum()))} lie far from all others"
    return Findings(summary, items, distance[hit][order], facts=facts)


@check("DQ302", "warning", "the item is far from everything in the reference part")
def out_of_distribution(subject: Subject, far: float = 3.5) -> Findings | NotApplicable:
    """Mean distance to the nearest items of the reference part, against what is usual within that part.

    Usual is the distance of its own items to one another, copies left out: the logarithm lies `far` robust standard
    deviations above their median. So strange items are found that resemble one another, which are no outliers among
    themselves.
    """
    if (reason := no_reference(subject)) is not None:
        return NotApplicable(reason)
    near = subject.neighbours
    if near is None:
        return NotApplicable(NO_EMBEDDINGS)
    usable = subject.usable[near.rows]
    old = np.flatnonzero(usable & (subject.part[near.rows] == subject.reference))
    new = np.flatnonzero(usable & subject.examined[near.rows] & (subject.part[near.rows] != subject.reference))
    if len(old) < FEWEST or not len(new):
        return NotApplicable(
            f"{len(old)} embedded items of {subject.reference!r} and {len(new)} others are too few (at least {FEWEST})"
        )
    usual, distance = distances_to_reference(subject, near, old, new)
    deviation = deviations(distance, usual)
    hit = deviation > far
    order = np.argsort(-deviation[hit], kind="stable")
    items = near.rows[new[hit]][order].astype(np.int64)
    beyond = float((deviations(usual, usual) > far).mean())
    facts = {
        "embedding": near.name,
        "reference": subject.reference,
        "median_distance": {"within": round(float(np.median(usual)), 4), "to": round(float(np.median(distance)), 4)},
        "share_as_far_within": round(beyond, 5),
    }
    summary = f"{share_of(len(items), len(new))} lie far from everything in {subject.reference!r}"
    return Findings(summary, items, distance[hit][order], facts=facts)


def distances_to_reference(
    subject: Subject, near: Neighbours, old: np.ndarray, new: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance to the `K_NEAREST` items of the reference part: of at most `DRAWN` of its own, and of the others.

    Parameters
    ----------
    subject : Subject
    near : Neighbours
    old, new : int64 arrays
        Rows of ``near.vectors``: of the reference part, and of those compared with it.
    """
    drawn = old
    if len(old) > DRAWN:
        drawn = np.sort(np.random.default_rng(SEED).choice(old, DRAWN, replace=False))
    rows, codes = np.concatenate([drawn, new]), subject.exact[near.rows]
    vectors = near.vectors
    _, away = nearest_among(
        vectors[rows], vectors[old], codes[rows], codes[old], min(K_NEAREST, len(old) - 1), near.distances is None
    )
    lacking = np.isnan(away).all(axis=1)
    mean = np.where(lacking, 0.0, np.nansum(away, axis=1) / np.maximum(1, np.isfinite(away).sum(axis=1)))
    return mean[: len(drawn)], mean[len(drawn) :]
