"""What reviewers said about rows of a benchmark, whatever form it came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from auditor.core.errors import DataError
from auditor.review.dawid_skene import dawid_skene

#: What a row can be: its label right, another one right, several right, none right, or not decided.
GIVEN: Final = 0
GUESSED: Final = 1
BOTH: Final = 2
NEITHER: Final = 3
AMBIGUOUS: Final = 4
#: Names of these numbers, as the published tables have them.
STATES: Final = ("non-error", "correctable", "multi-label", "neither", "non-agreement")


@dataclass(frozen=True, eq=False)
class Decision:
    """The verdicts at one threshold.

    Attributes
    ----------
    state : int8 array (m,)
        `GIVEN` .. `AMBIGUOUS` of each judged row.
    label : int64 array (m,)
        Right label where the state is `GIVEN` or `GUESSED`; -1 elsewhere.
    """

    state: np.ndarray
    label: np.ndarray


@dataclass(frozen=True, eq=False)
class AuditDraws:
    """The random part of a review: draws with replacement, each with its probability.

    Attributes
    ----------
    position : int64 array (d,)
        Of each usable draw, the position among the judged rows; -1 for items of other splits.
    weight : float64 array (d,)
        1 / probability of the item in one draw: ``mean(weight * y)`` estimates the sum of y over the frame.
    frame : bool array (n,)
        Rows the draws speak for. Other rows are known exactly or count as they are.
    """

    position: np.ndarray
    weight: np.ndarray
    frame: np.ndarray


@dataclass(frozen=True, eq=False)
class Judged:
    """Verdicts on rows.

    Attributes
    ----------
    kind : str
        ``"published"``, ``"patch"``, ``"run"`` or ``"lists"``.
    how : str
        One sentence for reports: how the labels were corrected.
    rows : int64 array (m,)
        Different rows, in the order of the source.
    guess : int64 array (m,)
        Label that was suggested to the reviewers, -1 = none or equal to the given one.
    decide : callable
        Threshold -> `Decision`.
    accepted : dict
        Row position (in `rows`) to the labels accepted where several are right.
    thresholds : tuple of int
        Thresholds that make a difference; the first is the default.
    votes : sequence of dict
        For reports: answers and their counts, by row position; may be empty.
    posterior : float64 array (m, 4) or None
        Probability of `GIVEN`, `GUESSED`, `BOTH`, `NEITHER` given the votes.
    why_no_posterior : str
        Where `posterior` is None.
    audit : AuditDraws or None
    why_no_audit : str
    notes : tuple of str
    """

    kind: str
    how: str
    rows: np.ndarray
    guess: np.ndarray
    decide: Callable[[int], Decision]
    accepted: Mapping[int, tuple[int, ...]]
    thresholds: tuple[int, ...] = (3,)
    votes: Sequence[Mapping[str, int]] = ()
    posterior: np.ndarray | None = None
    why_no_posterior: str = ""
    audit: AuditDraws | None = None
    why_no_audit: str = "the corrections come with no random audit stream"
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        rows, times = np.unique(self.rows, return_counts=True)
        if (times > 1).any():
            raise DataError(f"row {int(rows[times > 1][0])} was judged twice.", "Keep one verdict per row.")

    def counts(self, k: int) -> dict[str, Any]:
        """``checked, non_errors, errors, non_agreement, correctable, multi_label, neither``."""
        n = len(self.rows)
        by_state = np.bincount(self.decide(k).state, minlength=len(STATES)).tolist()
        right, correctable, multi_label, neither, non_agreement = by_state
        counts = {"checked": n, "non_errors": right, "errors": n - right, "non_agreement": non_agreement}
        return {**counts, "correctable": correctable, "multi_label": multi_label, "neither": neither}


def vote_posterior(items: np.ndarray, people: np.ndarray, states: np.ndarray, n_items: int) -> np.ndarray:
    """Probability of each state of each row by Dawid and Skene's model.

    Parameters
    ----------
    items, people, states : int arrays (v,)
        One entry per vote; give all votes to one person where it is not known who cast them.
    n_items : int

    Returns
    -------
    float64 array (n_items, 4)
    """
    people_count = int(people.max(initial=0)) + 1
    return dawid_skene(items, people, states, (n_items, people_count, 4)).posterior
