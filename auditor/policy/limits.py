"""Limits on what the data-quality checks found among the judged rows. A check that could not look passes no limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from auditor.policy.result import Concern, LimitResult, Status
from auditor.policy.rows import Rows
from auditor.quality.base import Outcome

__all__ = ["MOST_CONCERNS", "copies_limit", "count_judged", "severity_limit", "single_limit"]

#: Concerns kept per limit.
MOST_CONCERNS: Final = 50


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
        return LimitResult(name, "not measured", limit, None, f"not measured: {outcome.reason}")
    count, allowed = count_judged(outcome, judged), f"at most {limit:,} allowed"
    among = "" if judged.all() else f"{count:,} among the judged rows; in all rows: "
    words = f"{among}{outcome.reason}; {allowed}"
    return LimitResult(name, _status(count, limit), limit, count, words, _concerns(outcome, rows, judged))


def count_judged(outcome: Outcome, judged: np.ndarray) -> int:
    """How much the check found; see `single_limit`."""
    if outcome.findings is None or not len(outcome.findings.items):
        return int(outcome.status == "found")
    return int(_touched(outcome, judged)[outcome.findings.items].sum())


def _touched(outcome: Outcome, judged: np.ndarray) -> np.ndarray:
    """Rows that are judged or share a group of the outcome with a judged row, bool (n,)."""
    touched = judged.copy()
    for group in outcome.findings.groups if outcome.findings is not None else ():
        touched[group.members] |= judged[group.members].any()
    return touched


def _concerns(outcome: Outcome, rows: Rows, judged: np.ndarray) -> tuple[Concern, ...]:
    """The groups that hold a judged row, and then the named items that are in none."""
    if outcome.findings is None:
        return ()
    concerns, single = [], _touched(outcome, judged)
    for group in outcome.findings.groups:
        single[group.members] = False
        if judged[group.members].any():
            concerns.append(
                _concern(rows, group.members, judged, f"{outcome.about}: {_listed(rows.ids[group.members])}")
            )
    notes = outcome.findings.notes or [""] * len(outcome.findings.items)
    for item, note in zip(outcome.findings.items, notes, strict=True):
        if single[item]:
            message = f"{outcome.about}: {rows.ids[item]}" + (f" ({note})" if note else "")
            concerns.append(_concern(rows, np.array([item]), judged, message))
    return tuple(concerns[:MOST_CONCERNS])


def severity_limit(
    name: str, severities: Sequence[str], limit: int, outcomes: Sequence[Outcome], judged: np.ndarray
) -> LimitResult:
    """Most checks of some severities that may find anything among the judged rows; see `single_limit`.

    Checks that could not look at this data are named with the reason; where none could, nothing was measured.
    """
    chosen = [outcome for outcome in outcomes if outcome.severity in severities]
    looked = [outcome for outcome in chosen if outcome.findings is not None]
    if not looked:
        words = f"not measured: no check of severity {' or '.join(severities)} could look"
        return LimitResult(name, "not measured", limit, None, words)
    counts = {outcome.name: count_judged(outcome, judged) for outcome in looked}
    broken = [f"{check} ({count:,})" for check, count in counts.items() if count]
    told = f": {', '.join(broken)}" if broken else ""
    words = f"{len(broken)} of {len(looked)} check(s) found something{told}; at most {limit:,} allowed"
    concerns = tuple(Concern((), None, f"{o.name}: {o.reason}") for o in looked if counts[o.name])
    if len(looked) < len(chosen):
        words += f"; {len(chosen) - len(looked)} could not look"
    return LimitResult(name, _status(len(broken), limit), limit, len(broken), words, concerns)


def copies_limit(
    name: str, outcomes: Mapping[str, Outcome], near: bool, differing: str, rows: Rows, judged: np.ndarray, limit: int
) -> LimitResult:
    """Most sets of copies that hold a judged row and differ in split or in label.

    Parameters
    ----------
    outcomes : mapping
        Of ``exact_duplicates`` and ``near_duplicates``, by name.
    near : bool
        Whether near copies count.
    differing : str
        ``"splits"`` or ``"labels"``.
    """
    exact, alike = outcomes["exact_duplicates"], outcomes["near_duplicates"] if near else None
    if exact.findings is None:
        return LimitResult(name, "not measured", limit, None, f"not measured: {exact.reason}")
    # A near group holds the exact copies of its members.
    groups = [] if alike is None or alike.findings is None else [g.members for g in alike.findings.groups]
    in_near = set(np.concatenate(groups).tolist()) if groups else set()
    groups += [g.members for g in exact.findings.groups if int(g.members[0]) not in in_near]
    values = rows.splits if differing == "splits" else rows.labels
    broken = [m for m in sorted(groups, key=lambda m: int(m[0])) if judged[m].any() and len(set(values[m])) > 1]
    what = "copies in" if differing == "splits" else "copies labelled"
    concerns = (
        _concern(rows, m, judged, f"{what} {_listed(values[m])}: {_listed(rows.ids[m])}")
        for m in broken[:MOST_CONCERNS]
    )
    if differing == "splits" and len(set(values)) < 2:
        words = "there is one split only: nothing can leak"
    else:
        verb = "lie in more than one split" if differing == "splits" else "carry different labels"
        words = f"{len(broken):,} set(s) of copies {verb}; at most {limit:,} allowed"
    if alike is not None and alike.findings is None:
        words += f"; exact copies only: {alike.reason}"
    return LimitResult(name, _status(len(broken), limit), limit, len(broken), words, tuple(concerns))


def _status(found: int, limit: int) -> Status:
    return "passed" if found <= limit else "failed"


def _listed(values: np.ndarray) -> str:
    distinct = list(dict.fromkeys(map(str, values)))
    return ", ".join(distinct[:6]) + (", .." if len(distinct) > 6 else "")


def _concern(rows: Rows, members: np.ndarray, judged: np.ndarray, message: str) -> Concern:
    at = int(members[judged[members]][0]) if judged[members].any() else int(members[0])
    path = None if rows.paths is None else str(rows.paths[at])
    return Concern(tuple(map(str, rows.ids[members])), path, message)
