"""Run and verdicts as arrays: what every number starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from auditor.core.errors import DataError
from auditor.core.seeds import generator
from auditor.detect.margins import log_odds_margin
from auditor.estimation.expectation import candidate_share
from auditor.review.consensus import majority
from auditor.review.vocabulary import Treatment, outcome
from auditor.review.votes import VoteTable
from auditor.runs.run import Run
from auditor.stats.sampling import CANDIDATE_DOUBT, AuditSample, audit_probabilities

if TYPE_CHECKING:
    from auditor.review.audit_stream import AuditStream
    from auditor.review.readout import ReviewCounts
    from auditor.review.store import VerdictStore

UNREVIEWED: Final = -1
RIGHT: Final = 0
WRONG: Final = 1
AMBIGUOUS: Final = 2
BAD: Final = 3
_CODES: Final = {"right": RIGHT, "wrong": WRONG, "ambiguous": AMBIGUOUS, "bad_item": BAD, "incomplete": UNREVIEWED}
#: Items of "the next 100".
NEXT: Final = 100
#: Rows of probabilities read at once.
_BLOCK: Final = 200_000


@dataclass(frozen=True, eq=False)
class ReviewState:
    """The audited items of a run, most suspicious first, with what reviewers said.

    Attributes
    ----------
    run, design : str
        Id of the run; ``"importance"`` or ``"strata"``, how the audit stream was drawn.
    class_names : tuple of str
        Classes that get numbers of their own; none where labels are no classes.
    ids, given, suggested : object arrays of str (n,)
    score : float64 array (n,)
        The run's ranking, on any scale.
    margin : float64 array (n,)
        Log-odds margin of the probabilities: above 0 where the model prefers another class.
    flagged : bool array (n,)
    outcome : int8 array (n,)
        What the majority of the reviewers says of the given label: `UNREVIEWED, RIGHT, WRONG, AMBIGUOUS, BAD`.
    first : int8 array (n,)
        The same of the first verdict alone.
    in_frame : bool array (n,)
        Items the audit draws speak for: all but those known exactly.
    known : bool array (n,)
        Outside the frame and reviewed: judged before the draw, or at the top of the ranked list without a gap.
    draws : int64 array (B,)
        Items of the usable draws, in order: all before the first drawn item without a verdict, inside the frame.
    probability : float64 array (B,)
        Of each in one draw from the frame.
    least : float
        Smallest such probability of any item of the frame.
    coins : float64 array (B,)
        One uniform random number per draw, fixed with the draw: decides what belongs to the uniform part.
    frame_probability : float64 array (n,) or None
        Of every item in one draw, 0 outside the frame; None for ``"strata"``.
    following : int64 array
        Items the ranked stream serves next, at most `NEXT`.
    candidate_share : float
        Share of the draws spread evenly over the candidates of a list.
    candidate_doubt : float
        Least doubt about a candidate that decided the probabilities (`stats.sampling`).
    planned, judged : int
        Draws of the stream; those with a verdict, usable or not.
    """

    run: str
    design: Literal["importance", "strata"]
    class_names: tuple[str, ...]
    ids: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    score: np.ndarray
    margin: np.ndarray
    flagged: np.ndarray
    outcome: np.ndarray
    first: np.ndarray
    in_frame: np.ndarray
    known: np.ndarray
    draws: np.ndarray
    probability: np.ndarray
    least: float
    coins: np.ndarray
    frame_probability: np.ndarray | None
    planned: int
    judged: int
    votes: VoteTable
    controls: dict[str, str]
    progress: ReviewCounts
    following: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    candidate_share: float = 0.0
    candidate_doubt: float = CANDIDATE_DOUBT

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"ReviewState of {self.run}: {len(self):,} items, {self.judged:,} of {self.planned:,} draws judged"

    def wrong(self, treatment: Treatment, codes: np.ndarray | None = None) -> np.ndarray:
        """Whether each label was found wrong, bool (n,); unreviewed and bad items are not."""
        codes = self.outcome if codes is None else codes
        return (codes == WRONG) | ((codes == AMBIGUOUS) & (treatment == "strict"))

    @property
    def reviewed(self) -> np.ndarray:
        """Whether each item has a verdict, bool (n,)."""
        return self.outcome != UNREVIEWED

    @property
    def bad_items(self) -> int:
        """Items found broken, which are no wrong labels."""
        return int((self.outcome == BAD).sum())

    @cached_property
    def frame(self) -> np.ndarray:
        """Items of the frame, int64."""
        return np.flatnonzero(self.in_frame)

    @cached_property
    def sample(self) -> AuditSample:
        """The usable draws, positions counted in `frame`."""
        place = np.cumsum(self.in_frame) - 1
        n = len(self.frame)
        largest = 1 / (n * self.least) if n else 1.0
        return AuditSample(place[self.draws], 1 / (n * self.probability), n, largest, self.design == "importance")


def margins(run: Run) -> np.ndarray:
    """Log-odds margin of every audited item, float64, in the order of ``run.scores``; of labels that are no classes the
    log-odds that they are wrong."""
    if run.form is not None:
        return run.scores["margin"].to_numpy(np.float64)
    labels = np.asarray(run.labels)
    blocks = [
        log_odds_margin(np.asarray(run.pred_probs[i : i + _BLOCK], np.float64), labels[i : i + _BLOCK])
        for i in range(0, len(labels), _BLOCK)
    ]
    at = pd.Series(np.concatenate(blocks), index=run.ids)
    return at.loc[run.scores["id"].to_numpy()].to_numpy()


def draw_stream(
    run: Run,
    store: VerdictStore,
    budget: int,
    seed: int,
    anew: bool,
    target_precision: float | None = None,
    confidence: float = 0.95,
) -> None:
    """Put `budget` importance draws over the items of the run into the audit stream of the store.

    With a target precision a part of them is spread evenly over the items the model would call wrong, so that a list
    of that precision is within reach (`auditor.estimation.expectation.candidate_share`).
    """
    margin = margins(run)
    share = 0.0 if target_precision is None else candidate_share(margin, budget, target_precision, confidence)
    ids = run.scores["id"].tolist()
    store.draw_audit(ids, margin, budget, seed, anew=anew, candidate_share=share)


def read_state(run: Run, store: VerdictStore) -> ReviewState:
    """Bring run and verdicts together.

    Raises
    ------
    RunError
        If the verdicts in the store were given on other data.
    DataError
        If the run has changed since the audit stream was drawn.
    """
    store.load_run(run)
    scores, stream, votes = run.scores, store.audit_stream(), store.votes()
    ids = scores["id"].to_numpy()
    place = pd.Series(np.arange(len(ids)), index=ids)
    codes, first = _outcomes(votes, place, len(ids))
    margin = margins(run)
    outside, ranked = place.index.isin(stream.outside), place.index.isin(stream.ranked_done)
    drawn = place.reindex(stream.item_ids).to_numpy(np.int64)
    judged = codes[drawn] != UNREVIEWED
    usable = len(drawn) if judged.all() else int(np.argmin(judged))
    in_frame = ~outside & ~ranked
    probability, everywhere, share, least = stream.probability, None, 1.0, 0.0
    if stream.design == "importance":
        everywhere = _recomputed(margin, ~outside, drawn, stream)
        share = float(everywhere[in_frame].sum())
        least = float(everywhere[in_frame].min(initial=np.inf)) / share if share > 0 else 0.0
        everywhere = np.where(in_frame, everywhere, 0.0) / max(share, 1e-300)
    else:
        share = max(1 - float(stream.ranked_probability.sum()), 1e-300)
        # The uniform part of the draw is a floor for every item (`review.sampling.UNIFORM`).
        least = min([0.3 / stream.frame_items, *probability.tolist()]) / share
    coins = generator(stream.seed, "numbers", "uniform part").random(len(drawn))
    kept = np.flatnonzero(in_frame[drawn[:usable]])
    return ReviewState(
        run.id,
        stream.design,
        run.class_names if run.form is None else (),
        ids,
        scores["given"].to_numpy(),
        scores["suggested"].to_numpy(),
        scores["score"].to_numpy(np.float64),
        margin,
        scores["flagged"].to_numpy(bool),
        codes,
        first,
        in_frame,
        ~in_frame & (codes != UNREVIEWED),
        drawn[kept],
        probability[kept] / share,
        least,
        coins[kept],
        everywhere,
        len(drawn),
        int(judged.sum()),
        votes,
        store.controls(),
        store.progress(),
        place.reindex(store.next_ranked(NEXT)).dropna().to_numpy(np.int64),
        stream.candidate_share,
        stream.candidate_doubt,
    )


def majority_codes(votes: VoteTable) -> np.ndarray:
    """What the majority says of each judged item, int8 (m,) in the order of ``votes.item_ids``; see `ReviewState`."""
    return np.array([_CODES[outcome(item.verdict)] for item in majority(votes)], np.int8)


def _outcomes(votes: VoteTable, place: pd.Series, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes per item by the majority, and by the verdict that came first."""
    codes, first = np.full(n, UNREVIEWED, np.int8), np.full(n, UNREVIEWED, np.int8)
    positions = place.reindex(votes.item_ids).fillna(-1).to_numpy(np.int64)
    inside = positions >= 0
    codes[positions[inside]] = majority_codes(votes)[inside]
    # From the latest to the earliest, so that the first verdict is what remains.
    for row in np.argsort(-votes.server_time, kind="stable"):
        if (at := positions[votes.items[row]]) >= 0:
            first[at] = _CODES[outcome(str(votes.verdicts[row]))]
    return codes, first


def _recomputed(margin: np.ndarray, frame: np.ndarray, drawn: np.ndarray, stream: AuditStream) -> np.ndarray:
    """Probability of each item in one draw from the frame of the draw, 0 outside it; checked against the log."""
    everywhere = np.zeros(len(margin))
    if frame.any():
        design = {"candidate_share": stream.candidate_share, "candidate_doubt": stream.candidate_doubt}
        everywhere[frame] = audit_probabilities(margin[frame], **design)
    if not np.allclose(everywhere[drawn], stream.probability, rtol=1e-6, atol=0):
        raise DataError(
            "the probabilities of the run have changed since its audit stream was drawn.",
            "Repeat the run in a folder of its own, or draw again with: auditor sample RUN --new",
        )
    return everywhere
