"""Which consensus of a run's verdicts becomes a patch."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auditor.core.errors import RunError, UsageError, require
from auditor.core.escaping import quoted
from auditor.review.consensus import ItemConsensus, crowdlab_consensus, dawid_skene_consensus, k_of_n, majority
from auditor.review.vocabulary import REVIEW_FILE
from auditor.review.votes import VoteTable
from auditor.runs.run import Run

if TYPE_CHECKING:
    from auditor.review.store import VerdictStore

_K_OF_N = re.compile(r"(\d{1,4})-of-(\d{1,4})")


def stored_consensus(run: Run, rule: str, store: str | None = None) -> list[ItemConsensus]:
    """The consensus of the verdicts in a run's store.

    Parameters
    ----------
    run : Run
    rule : str
        ``"3-of-5"`` (any k of any n), ``"majority"``, ``"dawid-skene"`` or ``"crowdlab"``.
    store : str, optional
        Database URL or file; by default the run's own.

    Raises
    ------
    RunError
        If there is no store, no verdict in it, or they were given on other data.
    UsageError
        For an unknown rule.
    """
    with store_of(run, store) as opened:
        if not opened.loaded:
            raise _nothing(run.path)
        opened.load_run(run)
        votes = opened.votes()
    if not len(votes.items):
        raise _nothing(run.path)
    return consensus_of(run, votes, rule)


def store_of(run: Run, store: str | None) -> VerdictStore:
    """The store that a command reads: the one named, which must be there, or the run's. Where nobody has begun to
    review the run it is an empty one in memory. Errors as `open_store`."""
    if store is None and not os.path.lexists(run.path / REVIEW_FILE):
        return open_store("sqlite://")
    return open_store(store or run.path, make=False)


def open_store(where: str | Path, *, make: bool = True, salvage: bool = False) -> VerdictStore:
    """Open a verdict store: `VerdictStore.open`, and its errors; `MissingExtraError` without the extra."""
    require("sqlalchemy", "review", "the verdict store")
    from auditor.review.store import VerdictStore

    return VerdictStore.open(where, make=make, salvage=salvage)


def consensus_of(run: Run, votes: VoteTable, rule: str) -> list[ItemConsensus]:
    """The consensus of `votes` by `rule`; errors as `stored_consensus`."""
    if match := _K_OF_N.fullmatch(rule):
        return k_of_n(votes, int(match[1]), int(match[2]))
    if rule == "majority":
        return majority(votes)
    if rule == "dawid-skene":
        return dawid_skene_consensus(votes)
    if rule == "crowdlab":
        run.require_classes("the consensus rule crowdlab")
        return crowdlab_consensus(votes, probabilities_of(run, votes), run.class_names)
    raise UsageError(
        f"unknown consensus rule {rule!r}.", "Known: k-of-n (for example 3-of-5), majority, dawid-skene, crowdlab."
    )


def probabilities_of(run: Run, votes: VoteTable) -> np.ndarray:
    """The model's probabilities of the judged items, float64 (m, K); equal shares where the model saw nothing."""
    import pandas as pd

    rows = pd.Index(run.ids).get_indexer(votes.item_ids)
    result = np.full((len(rows), len(run.class_names)), 1 / len(run.class_names))
    result[rows >= 0] = run.pred_probs[rows[rows >= 0]]
    return result


def _nothing(folder: Path) -> RunError:
    return RunError(
        f"nobody has judged an item of the run {str(folder)!r} yet.",
        f"Judge some with: auditor review {quoted(folder)}; or take in published votes: auditor import-verdicts "
        f"{quoted(folder)} FILE",
    )
