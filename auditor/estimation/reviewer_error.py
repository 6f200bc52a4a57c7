"""How often reviewers err: from planted controls, else from items judged twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.estimation.state import ReviewState
from auditor.review.vocabulary import Treatment, outcome
from auditor.stats.intervals import Interval, clopper_pearson
from auditor.stats.totals import accuracy_from_pairs

NOT_CORRECTED = "not corrected for reviewer error"
#: Fewer items judged twice, or answered controls of a kind, say too little.
LEAST_PAIRS = 30
LEAST_CONTROLS = 20


@dataclass(frozen=True)
class ReviewerError:
    """Share of wrong labels called wrong (sensitivity) and of right labels called right (specificity).

    `basis` says in words what they rest on. `same` where both are one unknown number.
    """

    sensitivity: Interval
    specificity: Interval
    basis: str
    same: bool = False


def reviewer_error(state: ReviewState, treatment: Treatment) -> ReviewerError | str:
    """Sensitivity and specificity of a single verdict; a sentence where there is too little to know them.

    Controls of both kinds come first. Else items judged by two or more, see `stats.totals.accuracy_from_pairs`.
    """
    return (
        _from_controls(state, treatment)
        or _from_pairs(state, treatment)
        or (
            f"{NOT_CORRECTED}: fewer than {LEAST_PAIRS} items were judged twice and there are no controls of both kinds"
        )
    )


def _is_wrong(verdict: str, treatment: Treatment) -> bool:
    answer = outcome(verdict)
    return answer == "wrong" or (answer == "ambiguous" and treatment == "strict")


def _from_controls(state: ReviewState, treatment: Treatment) -> ReviewerError | None:
    votes = state.votes
    hits, asked = {True: 0, False: 0}, {True: 0, False: 0}
    for item, verdict in zip(votes.items.tolist(), votes.verdicts, strict=True):
        expected = state.controls.get(str(votes.item_ids[item]))
        if expected is None:
            continue
        truth = _is_wrong(expected, treatment)
        asked[truth] += 1
        hits[truth] += _is_wrong(str(verdict), treatment) == truth
    if min(asked.values()) < LEAST_CONTROLS:
        return None
    basis = f"{sum(asked.values())} answers on planted controls"
    return ReviewerError(clopper_pearson(hits[True], asked[True]), clopper_pearson(hits[False], asked[False]), basis)


def _from_pairs(state: ReviewState, treatment: Treatment) -> ReviewerError | None:
    votes = state.votes
    order = np.lexsort((votes.server_time, votes.items))
    usable = order[votes.streams[order] != "adjudication"]
    said: dict[int, list[bool]] = {}
    for row in usable.tolist():
        said.setdefault(int(votes.items[row]), []).append(_is_wrong(str(votes.verdicts[row]), treatment))
    pairs = [verdicts[:2] for verdicts in said.values() if len(verdicts) > 1]
    if len(pairs) < LEAST_PAIRS:
        return None
    interval = accuracy_from_pairs(sum(a != b for a, b in pairs), len(pairs))
    basis = f"{len(pairs)} items judged twice, taking mistakes in both directions for equally frequent"
    return ReviewerError(interval, interval, basis, same=True)
