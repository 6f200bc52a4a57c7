"""The measures behind the limits. What cannot be measured is said, and never passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from auditor.estimation.estimate import LEAST_DRAWS, estimate, frame_total
from auditor.estimation.state import ReviewState
from auditor.estimation.uniform import uniform_part
from auditor.policy.outcomes import Concern, Outcome
from auditor.policy.rows import Rows
from auditor.stats.intervals import Interval, clopper_pearson

__all__ = ["conflicts", "error_rate", "leaks", "reviewed"]

#: Concerns kept per outcome.
MOST: Final = 50


def leaks(rows: Rows, judged: np.ndarray, limit: int) -> Outcome:
    """Sets of copies that lie in more than one split and hold a judged row."""
    found = [m for m in _groups(rows) if judged[m].any() and len(set(rows.splits[m].tolist())) > 1]
    concerns = [
        _concern(rows, m, judged, f"copies in {_listed(rows.splits[m])}: {_listed(rows.ids[m])}") for m in found[:MOST]
    ]
    if len(set(rows.splits.tolist())) < 2:
        words = "there is one split only: nothing can leak"
    else:
        words = f"{len(found):,} set(s) of copies lie in more than one split; at most {limit:,} allowed"
    return _counted("max_new_duplicate_leaks", limit, len(found), words, concerns)


def conflicts(rows: Rows, judged: np.ndarray, limit: int) -> Outcome:
    """Sets of copies with different labels that hold a judged row: at least one label of each is wrong."""
    found = [m for m in _groups(rows) if judged[m].any() and len(set(rows.labels[m].tolist())) > 1]
    concerns = [
        _concern(rows, m, judged, f"copies labelled {_listed(rows.labels[m])}: {_listed(rows.ids[m])}")
        for m in found[:MOST]
    ]
    words = f"{len(found):,} set(s) of copies carry different labels; at most {limit:,} allowed"
    return _counted("max_label_conflicts", limit, len(found), words, concerns)


def _groups(rows: Rows) -> Iterator[np.ndarray]:
    """Positions of the members of each set of two or more copies, by the first one."""
    order = np.argsort(rows.group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(rows.group[order]) > 0])
    return (m for m in np.split(order, starts[1:]) if len(m) > 1)


def _listed(values: np.ndarray) -> str:
    distinct = list(dict.fromkeys(map(str, values)))
    return ", ".join(distinct[:6]) + (", .." if len(distinct) > 6 else "")


def _concern(rows: Rows, members: np.ndarray, judged: np.ndarray, message: str) -> Concern:
    at = int(members[judged[members]][0])
    path = None if rows.paths is None else str(rows.paths[at])
    return Concern(tuple(map(str, rows.ids[members])), path, message)


def _counted(name: str, limit: int, found: int, words: str, concerns: list[Concern]) -> Outcome:
    return Outcome(name, "passed" if found <= limit else "failed", limit, found, words, tuple(concerns))


def reviewed(judged: int, known: np.ndarray, state: ReviewState, limit: int) -> Outcome:
    """Judged rows with a verdict; where there are fewer rows than asked for, all of them.

    Parameters
    ----------
    judged : int
        Rows the limits speak of.
    known : bool array
        Those of them that the run audited, over the items of `state`.
    state : ReviewState
    limit : int
    """
    found, needed = int((known & state.reviewed).sum()), min(limit, judged)
    words = f"{found:,} of {judged:,} judged rows have a verdict; {needed:,} needed"
    return Outcome("min_reviewed", "passed" if found >= needed else "failed", limit, found, words)


def error_rate(judged: int, known: np.ndarray, state: ReviewState, limit: float) -> Outcome:
    """Upper limit of the share of wrong labels among the judged rows; ambiguous verdicts count as wrong.

    Parameters are those of `reviewed`. Judged rows that the run could not audit count as possibly wrong. All reviewed:
    the exact share. All rows of the run: the total of `auditor estimate`, corrected for reviewer error where that is
    possible. A part of them with at least 30 draws: the same estimate of the part. Else the exact interval of its
    uniform draws. Which one it is depends on counts of reviews only, never on what they found.
    """
    name = "max_estimated_error_rate_upper"
    if not judged:
        return Outcome(name, "passed", limit, 0.0, "no row is new or changed")
    unknown, size = judged - int(known.sum()), int(known.sum())
    total = _total(known, state)
    if total is None:
        words = (
            "not measured: the audit stream has too few verdicts on these rows (auditor sample, then auditor review)"
        )
        return Outcome(name, "not measured", limit, None, words)
    interval, how = total
    upper = (interval.high + unknown) / judged
    words = (
        f"estimated {interval.value / judged:.2%} wrong labels [{interval.low / judged:.2%}, {upper:.2%}] ({how}); "
        f"the upper limit may be at most {limit:.2%}"
    )
    if unknown:
        words += f"; {unknown:,} of {size + unknown:,} rows could not be audited and count as possibly wrong"
    return Outcome(name, "passed" if upper <= limit else "failed", limit, upper, words)


def _total(known: np.ndarray, state: ReviewState) -> tuple[Interval, str] | None:
    """Wrong labels among the known rows, and what the number rests on; None without any review that counts."""
    wrong = state.wrong("strict")
    if known.any() and state.reviewed[known].all():
        n = float((wrong & known).sum())
        return Interval(n, n, n, 0.95), "every row reviewed"
    if known.all():
        strict = estimate(state).strict
        if strict is None:
            return None
        if strict.corrected is not None:
            return strict.corrected.estimate, "corrected for reviewer error"
        return strict.total.estimate, f"{strict.total.draws:,} draws, not corrected for reviewer error"
    exact = int((wrong & known & state.known).sum())
    missing = int((known & ~state.in_frame & ~state.known).sum())
    draws = int(known[state.draws].sum())
    if draws >= LEAST_DRAWS:
        e = frame_total(state, wrong, domain=known).estimate
        return Interval(e.value + exact, e.low + exact, e.high + exact + missing, e.level), f"{draws:,} draws"
    part = uniform_part(state, known).distinct
    if not len(part):
        return None
    share = clopper_pearson(int(wrong[part].sum()), len(part)).scaled(float((known & state.in_frame).sum()))
    interval = Interval(share.value + exact, share.low + exact, share.high + exact + missing, share.level)
    return interval, f"{len(part):,} uniform draws, exact"
