"""Items whose label people judged, or that was published as corrected: what the models are compared on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from auditor.core.errors import LabelError, UnknownNameError
from auditor.data.intake import LabelColumn, encode_supplied, one_column, read_labels
from auditor.estimation.state import ReviewState, read_state
from auditor.patch.rules import consensus_of, store_of
from auditor.review.consensus import ItemConsensus
from auditor.review.vocabulary import REVIEW_FILE
from auditor.runs.run import Run

#: Held-out items below which no comparison is made: the spread over so few says too little.
FEWEST: Final = 30


@dataclass(frozen=True, eq=False)
class Reviewed:
    """The verdicts of a run: consensus of each judged item, its row in `run.items`, and the random sample."""

    consensus: Sequence[ItemConsensus]
    rows: np.ndarray
    state: ReviewState


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Items with a known label.

    Attributes
    ----------
    rows : int64 array (m,)
        Rows of `run.items`, ascending.
    truth : int64 array (m,)
    source : str
        ``"verdicts"`` or ``"published"``.
    how : str
        One sentence for reports.
    weights : float64 array (m,) or None
        What each item stands for among all audited items, from the random sample; None where there is none, or one of
        fewer than `FEWEST` of these items.
    """

    rows: np.ndarray
    truth: np.ndarray
    source: str
    how: str
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: np.ndarray) -> HeldOut:
        """Some of the items; `places` is a mask or positions, ascending."""
        weights = None if self.weights is None else self.weights[places]
        return HeldOut(self.rows[places], self.truth[places], self.source, self.how, _enough(weights))


def _enough(weights: np.ndarray | None) -> np.ndarray | None:
    return None if weights is None or np.count_nonzero(weights) < FEWEST else weights


def read_reviewed(run: Run, rule: str, store: str | None) -> Reviewed | None:
    """What people said of the items of a run; None where nobody judged one. Errors as `stored_consensus`."""
    if store is None and not os.path.lexists(run.path / REVIEW_FILE):
        return None  # no store is needed to know that
    with store_of(run, store) as opened:
        if not opened.loaded:
            return None
        state = read_state(run, opened)
    if not len(state.votes.items):
        return None
    consensus = consensus_of(run, state.votes, rule)
    rows = pd.Index(run.items["id"]).get_indexer([decided.item_id for decided in consensus])
    return Reviewed(consensus, rows.astype(np.int64), state)


def held_out_by_verdicts(run: Run, reviewed: Reviewed | None) -> HeldOut:
    """Items of which the reviewers say that one class is right: the given one or another."""
    number = {name: k for k, name in enumerate(run.class_names)}
    nothing = np.empty(0, np.int64)
    if reviewed is None:
        return HeldOut(nothing, nothing, "verdicts", "nobody has judged an item of the run")
    decided = [
        (row, number[item.label])
        for item, row in zip(reviewed.consensus, reviewed.rows.tolist(), strict=True)
        if item.label is not None and item.verdict != "both"
    ]
    rows, truth = np.array(sorted(decided), np.int64).reshape(-1, 2).T
    flagged = np.isin(run.items["id"].to_numpy()[rows], run.findings["id"])
    how = f"{len(rows):,} items with one right class by the verdicts of people, {int(flagged.sum()):,} of them suspects"
    return HeldOut(rows, truth, "verdicts", how, _enough(_sample_weights(run, reviewed.state)[rows]))


def _sample_weights(run: Run, state: ReviewState) -> np.ndarray:
    """Of every item of the run, how many items it stands for: 1 where the part of the data it lies in was judged whole,
    the inverse of its probability to be drawn in the random sample, else 0."""
    weights = state.known.astype(np.float64)
    if len(state.draws):
        np.add.at(weights, state.draws, 1 / (len(state.draws) * state.probability))
    else:
        weights[:] = 0  # what was judged without a draw was chosen as suspicious and stands for itself alone
    by_id = pd.Series(weights, index=state.ids)
    return by_id.reindex(run.items["id"]).fillna(0.0).to_numpy()


def held_out_by_labels(run: Run, labels: Any) -> HeldOut:
    """Labels that were published as corrected: one for each item of the run, or for each audited one, in their order;
    or a table with the ids of some of them.

    Raises
    ------
    LabelError
        If the number of labels fits neither, or a label is no class of the run.
    UnknownNameError
        If an id is no item of the run.
    """
    is_file = isinstance(labels, str | Path)
    column = read_labels(Path(labels)) if is_file else LabelColumn(one_column(labels, "labels"))
    where = repr(str(labels)) if is_file else "labels"
    codes = encode_supplied(one_column(column.values, where), run.class_names, where).codes
    if column.row_names is None:
        whole = {len(run.items): np.arange(len(run.items)), len(run.audited): run.audited}
        if len(codes) not in whole:
            raise LabelError(
                f"{where} has {len(codes):,} labels; the run {run.id!r} has {len(run.items):,} items, "
                f"{len(run.audited):,} of them audited.",
                "Give one label for each, in their order, or a table with the columns id and label.",
            )
        rows = whole[len(codes)]
    else:
        names: Sequence[Any] = list(map(str, column.row_names))
        rows = pd.Index(run.items["id"]).get_indexer(names)
        if (rows < 0).any():
            raise UnknownNameError("item", names[int(rows.argmin())], [f"{len(run.items):,} items of {run.path}"], [])
    known = codes >= 0
    order = np.argsort(rows[known], kind="stable")
    rows, truth = rows[known][order].astype(np.int64), codes[known][order].astype(np.int64)
    if len(np.unique(rows)) < len(rows):
        raise LabelError(f"{where} gives one item two labels.")
    return HeldOut(
        rows,
        truth,
        "published",
        f"{len(rows):,} items with {f'the labels of {Path(labels).name}' if is_file else 'published labels'}",
    )
