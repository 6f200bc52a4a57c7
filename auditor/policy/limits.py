"""Limits on what the data-quality checks found among the judged rows. A check that could not look passes no limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Final

import numpy as np

from auditor.policy.result import Concern, LimitResult
from auditor.policy.rows import Rows
from auditor.quality.base import Findings, Outcome

#: Concerns kept per limit.
MOST_CONCERNS: Final = 50
_WORDS: Final = {"splits": ("in", "lie in more than one split"), "labels": ("labelled", "carry different labels")}


def single_limit(name: str, outcome: Outcome, rows: Rows, judged: np.ndarray, limit: int) -> LimitResult:
    """Most items that one check may name.

    Parameters
    ----------
    name : str
        The key in the policy.
    outcome : Outcome
    rows : Rows
    judged : bool array (n,)
        An item counts where it is judged or lies in a group (of copies, say) that holds a judged row. What is found
        in the data as a whole counts whatever is judged.
    limit : int
    """
    if outcome.findings is None:
        return LimitResult.not_measured(name, limit, outcome.reason)
    count = count_judged(outcome, judged)
    among = "" if judged.all() else f"{count:,} among the judged rows; in all rows: "
    concerns = islice(_concerns(outcome.findings, outcome.about, rows, judged), MOST_CONCERNS)
    return LimitResult.at_most(name, limit, count, f"{among}{outcome.reason}; at most {limit:,} allowed", concerns)


def count_judged(outcome: Outcome, judged: np.ndarray) -> int:
    """How much the check found; see `single_limit`."""
    if outcome.findings is None or not len(outcome.findings.items):
        return int(outcome.status == "found")
    return int(_touched(outcome.findings, judged)[outcome.findings.items].sum())


def _touched(findings: Findings, judged: np.ndarray) -> np.ndarray:
    """Rows that are judged or share a group with a judged row, bool (n,)."""
    touched = judged.copy()
    for group in findings.groups:
        touched[group.members] |= judged[group.members].any()
    return touched


def _concerns(findings: Findings, about: str, rows: Rows, judged: np.ndarray) -> Iterator[Concern]:
    """The groups that hold a judged row, and then the named items that are in none. What is found in the data as a
    whole, of classes say, names no rows."""
    if not len(findings.items):
        return
    single = _touched(findings, judged)
    for group in findings.groups:
        single[group.members] = False
        if judged[group.members].any():
            yield _concern(rows, group.members, judged, f"{about}: {_listed(rows.ids[group.members])}")
    for item, note in zip(findings.items, findings.notes or repeat(""), strict=False):
        if single[item]:
            message = f"{about}: {rows.ids[item]}" + (f" ({note})" if note else "")
            yield _concern(rows, np.array([item]), judged, message)


def severity_limit(
    name: str, severities: Sequence[str], limit: int, outcomes: Sequence[Outcome], judged: np.ndarray
) -> LimitResult:
    """Most checks of some severities that may find anything among the judged rows; see `single_limit`.

    Checks that could not look at this data are named with the reason; where none could, nothing was measured.
    """
    chosen = [outcome for outcome in outcomes if outcome.severity in severities]
    looked = [outcome for outcome in chosen if outcome.findings is not None]
    if not looked:
        return LimitResult.not_measured(name, limit, f"no check of severity {' or '.join(severities)} is applicable")
    counts = {outcome.name: count_judged(outcome, judged) for outcome in looked}
    broken = [f"{check} ({count:,})" for check, count in counts.items() if count]
    named = f": {', '.join(broken)}" if broken else ""
    words = f"{len(broken)} of {len(looked)} check(s) found something{named}; at most {limit:,} allowed"
    concerns = (Concern((), None, f"{o.name}: {o.reason}") for o in looked if counts[o.name])
    if len(looked) < len(chosen):
        words += f"; {len(chosen) - len(looked)} not applicable"
    return LimitResult.at_most(name, limit, len(broken), words, concerns)


def copies_limit(
    name: str, outcomes: Mapping[str, Outcome], near: bool, differing: str, rows: Rows, judged: np.ndarray, limit: int
) -> LimitResult:
    """Most sets of copies that hold a judged row and differ in split or in label.

    Parameters
    ----------
    outcomes : mapping
        Of ``exact_duplicates`` and ``near_duplicates``, and for labels of ``conflicting_duplicates``, by name.
    near : bool
        Whether near copies count. Of those with different labels they are the ones that agree everywhere.
    differing : str
        ``"splits"`` or ``"labels"``.
    """
    exact, alike = outcomes["exact_duplicates"], outcomes["near_duplicates"] if near else None
    if exact.findings is None:
        return LimitResult.not_measured(name, limit, exact.reason)
    # A near group holds the exact copies of its members. Near copies that differ in a part may differ in label.
    source = outcomes["conflicting_duplicates"] if near and differing == "labels" else alike
    groups = [] if source is None or source.findings is None else [g.members for g in source.findings.groups]
    in_near = set(np.concatenate(groups).tolist()) if groups else set()
    groups += [g.members for g in exact.findings.groups if int(g.members[0]) not in in_near]
    values = rows.splits if differing == "splits" else rows.labels
    broken = [m for m in sorted(groups, key=lambda m: int(m[0])) if judged[m].any() and len(set(values[m])) > 1]
    what, verb = _WORDS[differing]
    words = f"{len(broken):,} set(s) of copies {verb}; at most {limit:,} allowed"
    if differing == "splits" and len(set(values)) < 2:
        words = "there is only one split, so nothing can leak"
    if alike is not None and alike.findings is None:
        words += f"; exact copies only: {alike.reason}"
    concerns = (
        _concern(rows, m, judged, f"copies {what} {_listed(values[m])}: {_listed(rows.ids[m])}") for m in broken
    )
    return LimitResult.at_most(name, limit, len(broken), words, islice(concerns, MOST_CONCERNS))


def _listed(values: np.ndarray) -> str:
    distinct = list(dict.fromkeys(map(str, values)))
    return ", ".join(distinct[:6]) + (", .." if len(distinct) > 6 else "")


def _concern(rows: Rows, members: np.ndarray, judged: np.ndarray, message: str) -> Concern:
    at = int(members[judged[members]][0]) if judged[members].any() else int(members[0])
    path = None if rows.paths is None else str(rows.paths[at])
    return Concern(tuple(map(str, rows.ids[members])), path, message)
