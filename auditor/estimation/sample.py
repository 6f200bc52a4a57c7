"""From a run and its verdict store to what a sample will tell, and to the number of wrong labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from auditor.core.config import Settings, load_settings
from auditor.core.errors import UsageError
from auditor.estimation.estimate import ErrorEstimate, estimate
from auditor.estimation.expectation import Expected, expect
from auditor.estimation.sentences import expectation_lines
from auditor.estimation.state import ReviewState, draw_stream, read_state
from auditor.patch.rules import open_store, store_of
from auditor.runs.run import Run, open_run


@dataclass(frozen=True, eq=False)
class Sample:
    """Items drawn for review with known probabilities, so that the verdicts tell how many labels are wrong.

    Attributes
    ----------
    state : ReviewState
        Run and verdicts; ``planned`` and ``judged`` count the draws.
    asked : int
        Draws that were asked for; a stream that had more keeps them.
    expected : Expected or None
        What the verdicts will tell; None where everything is known already.
    notes : tuple of str
    table : DataFrame
        The drawn items without a verdict, in the order of their draws: ``id, split, index, given, suggested`` and an
        empty column ``label``. Filled in, it is a table of verdicts (`auditor.patch.verdict_table`).
    """

    state: ReviewState
    asked: int
    expected: Expected | None
    notes: tuple[str, ...] = ()
    table: pd.DataFrame = field(default_factory=pd.DataFrame)

    def lines(self) -> list[str]:
        """For a terminal."""
        state = self.state
        lines = [
            f"audit stream of {state.run}: {state.planned:,} draws, {state.judged:,} of them judged; "
            f"{int(state.known.sum()):,} of {len(state):,} items are known exactly and not in its frame"
        ]
        return [*lines, *self.notes, *(expectation_lines(self.expected) if self.expected else ())]

    def document(self) -> dict[str, Any]:
        """``auditor.sample/1``."""
        state = self.state
        return {
            "schema": "auditor.sample/1",
            "run": state.run,
            "draws": state.planned,
            "judged": state.judged,
            "candidate_share": state.candidate_share,
            "frame": len(state.frame),
            "known": int(state.known.sum()),
            "expected": asdict(self.expected) if self.expected else None,
        }

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def draw_sample(
    run: Run,
    budget: int,
    *,
    target_precision: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    new: bool = False,
    store: str | None = None,
) -> Sample:
    """Put `budget` draws into the audit stream of a run's review.

    Parameters
    ----------
    run : Run
    budget : int
        Draws of the stream in all; one that was drawn before goes on.
    target_precision : float, optional
        Between 0 and 1: some draws are spread over likely errors, for ``auditor flag --precision``.
    confidence : float
        Of that promise.
    seed : int
        Of a new draw; a continued one keeps its own.
    new : bool
        Draw a new stream of what has no verdict.
    store : str, optional
        Verdict store, if not that of the run folder, where one is made.

    Raises
    ------
    UsageError
        For numbers out of range.
    RunError
        If the verdicts in the store were given on other data.
    DataError
        If nothing is left to draw from, or the run has changed since the stream was drawn.
    """
    if budget < 1:
        raise UsageError(f"a sample has at least one draw, not {budget}.")
    if not all(0 < value < 1 for value in (0.5 if target_precision is None else target_precision, confidence)):
        raise UsageError("--target-precision and --confidence must lie between 0 and 1.")
    with open_store(store or run.path) as verdicts:
        verdicts.load_run(run)
        draw_stream(run, verdicts, budget, seed, new, target_precision, confidence)
        state = read_state(run, verdicts)
        drawn = list(dict.fromkeys(verdicts.audit_stream().item_ids))
    notes, expected = [], None
    if state.planned > budget:
        notes.append(f"it already had {state.planned:,} draws; ask for more with --budget, or for a new one with --new")
    if len(state.frame):
        if target_precision is not None and not state.candidate_share:
            notes.append("it goes on as it began, without draws set apart for a list; --new draws one with them")
        margin = state.margin[state.frame]
        design = state.candidate_share, state.candidate_doubt
        expected = expect(margin, state.planned, target_precision, confidence, *design)
    return Sample(state, budget, expected, tuple(notes), _to_judge(run, state, drawn))


def _to_judge(run: Run, state: ReviewState, drawn: Sequence[str]) -> pd.DataFrame:
    """See `Sample.table`."""
    judged = set(state.ids[state.reviewed])
    items = run.scores.set_index("id").loc[[item for item in drawn if item not in judged]]
    return items.reset_index()[["id", "split", "index", "given", "suggested"]].assign(label="")


def read_review(run: Run, store: str | None = None) -> ReviewState:
    """The run with what its reviewers said. Errors as `auditor.patch.rules.store_of`."""
    with store_of(run, store) as verdicts:
        return read_state(run, verdicts)


def estimate_errors(
    run: Run | str | Path, *, store: str | None = None, seed: int = 0, settings: Settings | None = None
) -> ErrorEstimate:
    """How many labels are wrong, with a 95 % interval, from what people said of a random sample of a run.

    Parameters
    ----------
    run : Run, str or Path
    store : str, optional
        Where the verdicts are, if not in the run folder.
    seed : int
        Of the split into halves for the cross-fit.
    settings : Settings, optional
        Where runs are looked for.

    Returns
    -------
    ErrorEstimate
        ``strict.total.estimate`` is the number with its limits ``value, low, high`` (ambiguous verdicts count as wrong;
        ``lenient``: as right), in labels among the audited items. Both are None, and ``notes`` say why, before an item
        of the sample (`auditor sample`) has a verdict. Sources: docs/numbers.md.

    Raises
    ------
    RunError
        If there is no such run, or the verdicts were given on other data.
    DataError
        If the run has changed since the sample was drawn.

    Examples
    --------
    >>> import auditor
    >>> run = auditor.find_errors(pred_probs=[[0.9, 0.1], [0.2, 0.8]], labels=["cat", "dog"], progress=False)
    >>> auditor.estimate_errors(run).notes
    ('no estimate yet: the audit stream has no verdicts it can use (auditor sample, then review)',)
    """
    run = run if isinstance(run, Run) else open_run(run, (settings or load_settings()).runs_dir)
    return estimate(read_review(run, store), seed)
