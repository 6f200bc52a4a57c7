"""The verdicts of a reviewed run as corrections, with its random audit stream."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.verdicts.judged import (
    AMBIGUOUS,
    BOTH,
    GIVEN,
    GUESSED,
    NEITHER,
    AuditDraws,
    Decision,
    Judged,
    vote_posterior,
)
from auditor.core.errors import DataError
from auditor.estimation.state import read_state
from auditor.patch.importing import judged_split
from auditor.patch.rules import store_of, stored_consensus
from auditor.review.consensus import ItemConsensus, k_of_n
from auditor.review.vocabulary import NEW
from auditor.review.votes import VoteTable
from auditor.runs.run import Run

if TYPE_CHECKING:
    from auditor.review.store import VerdictStore

_STATE = {"given": GIVEN, "suggested": GUESSED, "both": BOTH, "neither": NEITHER, "bad_item": NEITHER}


def labels_of_run(run: Run, split: str | None) -> tuple[GivenLabels, np.ndarray]:
    """Labels of the judged split of a run, and the ids of its items, in the order of its rows."""
    run.require_classes("a benchmark of models")
    items = run.items
    items = items[items["split"] == judged_split(items["split"].unique().tolist(), split)].sort_values("index")
    if not np.array_equal(items["index"].to_numpy(), np.arange(len(items))):
        raise DataError(f"the rows of the run {run.id!r} are not numbered from 0.", "Name the split with --split.")
    ids = tuple(map(str, items["id"]))
    paths = tuple(str(p) if isinstance(p, str) and p else i for p, i in zip(items["path"], ids, strict=True))
    given_labels = GivenLabels(items["label"].to_numpy(np.int64), f"the run {run.id!r}", run.class_names, ids, paths)
    return given_labels, items["id"].to_numpy()


def judge_run(run: Run, given_labels: GivenLabels, ids: np.ndarray, store: str | None = None) -> Judged:
    """Verdicts in the store of a run.

    Parameters
    ----------
    run : Run
    given_labels, ids :
        From `labels_of_run`.
    store : str, optional
        Where the verdicts are, if not in the run folder.

    Raises
    ------
    RunError
        If nobody has judged an item.
    """
    stored_consensus(run, "majority", store)  # for its errors
    with store_of(run, store) as opened:
        votes = opened.votes()
        row_of = pd.Series(np.arange(len(ids)), index=ids)
        at = row_of.reindex(votes.item_ids)
        judged = np.flatnonzero(at.notna().to_numpy())
        rows = at.to_numpy()[judged].astype(np.int64)
        audit, why = _audit(run, opened, row_of, rows, len(ids))
    if not len(rows):
        raise DataError(f"no judged item of the run {run.id!r} is in this split.", "Name the split with --split.")
    number = {name: k for k, name in enumerate(run.class_names)}
    per_item = np.bincount(votes.items, minlength=len(votes.item_ids))[judged]
    default = int(np.median(per_item)) // 2 + 1

    def decide(k: int) -> Decision:
        of_votes = k_of_n(votes, k, max(k, int(per_item.max())))
        consensus = [of_votes[i] for i in judged]
        state = np.array([_state(item) for item in consensus], np.int8)
        known = [item.label if s in (GIVEN, GUESSED) else None for item, s in zip(consensus, state, strict=True)]
        return Decision(state, np.array([-1 if name is None else number[name] for name in known], np.int64))

    suggested = [votes.suggested[i] for i in judged]
    guess = np.array([number.get(s, -1) if s is not None else -1 for s in suggested], np.int64)
    guess[guess == given_labels.labels[rows]] = -1
    pairs = {j: (int(given_labels.labels[rows[j]]), int(g)) for j, g in enumerate(guess) if g >= 0}
    how = (
        f"People judged items of the run {run.id!r} without seeing which label is the given one; a verdict "
        "holds where enough of them agree."
    )
    thresholds = tuple(dict.fromkeys((default, 3, 4, 5))) if default > 1 else (1,)
    answers, posterior = _answers(votes, judged), _posterior(votes)[judged]
    return Judged("run", how, rows, guess, decide, pairs, thresholds, answers, posterior, "", audit, why)


def _state(item: ItemConsensus) -> int:
    if item.verdict.startswith("other:"):
        return GUESSED
    # No class of the data applies where a new one is right.
    return NEITHER if item.verdict.startswith(NEW) else _STATE.get(item.verdict, AMBIGUOUS)


def _answers(votes: VoteTable, judged: np.ndarray) -> list[dict[str, int]]:
    counts: list[Counter[str]] = [Counter() for _ in votes.item_ids]
    for item, verdict in zip(votes.items.tolist(), votes.verdicts.tolist(), strict=True):
        counts[item][verdict] += 1
    return [dict(counts[i]) for i in judged]


def _posterior(votes: VoteTable) -> np.ndarray:
    """Dawid-Skene over the four states; what an adjudicator said is certain."""
    kinds = ["suggested" if v.startswith("other:") else v for v in votes.verdicts.tolist()]
    states = np.array([_STATE.get(kind, NEITHER) for kind in kinds], np.int64)
    posterior = vote_posterior(votes.items, votes.reviewers, states, len(votes.item_ids))
    for row in np.flatnonzero(votes.streams == "adjudication"):
        posterior[votes.items[row]] = np.eye(4)[states[row]]
    return posterior


def _audit(run: Run, store: VerdictStore, row_of: pd.Series, rows: np.ndarray, n: int) -> tuple[AuditDraws | None, str]:
    """The usable draws, as far as they hit this split; draws elsewhere keep their part of the sample size."""
    state = read_state(run, store)
    if not len(state.draws):
        return None, "no verdict of the run belongs to a random audit stream (auditor sample)"
    at = row_of.reindex(state.ids[state.draws])
    inside = at.notna().to_numpy()
    position = np.full(len(state.draws), -1, np.int64)
    judged = pd.Series(np.arange(len(rows)), index=rows)
    position[inside] = judged.reindex(at[inside].astype(np.int64)).fillna(-1).to_numpy(np.int64)
    frame = np.zeros(n, bool)
    frame[row_of.reindex(state.ids[state.in_frame]).dropna().to_numpy(np.int64)] = True
    return AuditDraws(position, 1 / state.probability, frame), ""
