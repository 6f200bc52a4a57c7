"""The training sets that are compared: given labels, and three ways to clean them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from auditor.core.errors import DataError
from auditor.detect.cleaning import without_suspects
from auditor.patch.create import corrected_labels
from auditor.patch.files import read_patch
from auditor.patch.records import Patch
from auditor.review.consensus import ItemConsensus
from auditor.runs.run import Run

GIVEN: Final = "given"
DROPPED: Final = "dropped"
CORRECTED: Final = "corrected"
WEIGHTED: Final = "weighted"
#: What each arm trains on.
WHAT: Final = {
    GIVEN: "all items with their given labels",
    DROPPED: "given labels, without the suspects",
    CORRECTED: "given labels, changed where a person corrected them",
    WEIGHTED: "given labels, each with the probability that it is right as its weight",
}


@dataclass(frozen=True, eq=False)
class Corrections:
    """Labels after a correction.

    Attributes
    ----------
    labels : int64 array (n,)
        The given one where nothing was corrected.
    stays : bool array (n,)
        False for items that are to be dropped.
    source : str
    unmatched : int
        Records that fit no item.
    """

    labels: np.ndarray
    stays: np.ndarray
    source: str
    unmatched: int = 0

    def changed(self, given: np.ndarray) -> np.ndarray:
        """Items with another label or none, bool (n,)."""
        return (self.labels != given) | ~self.stays


@dataclass(frozen=True, eq=False)
class Arm:
    """One training set over n items.

    Attributes
    ----------
    name : str
    labels : int64 array (n,)
    stays : bool array (n,)
        Items that are trained on, as far as they are not held out.
    weights : float64 array (n,) or None
    reason : str
        Why it cannot be trained; empty where it can.
    """

    name: str
    labels: np.ndarray
    stays: np.ndarray
    weights: np.ndarray | None = None
    reason: str = ""


def make_arms(
    labels: np.ndarray,
    flagged: np.ndarray,
    trust: np.ndarray | None,
    corrections: Corrections | None,
    *,
    no_corrections: str = "no label was corrected",
    no_weights: str = "",
) -> list[Arm]:
    """The given labels and the three ways to clean them.

    Parameters
    ----------
    labels : int64 array (n,)
        Given labels.
    flagged : bool array (n,)
        Suspects.
    trust : float64 array (n,) or None
        P(the given label is right).
    corrections : Corrections or None
    no_corrections, no_weights : str
        Why there are none; the latter also where the model cannot weigh items.
    """
    everything = np.ones(len(labels), bool)
    dropped = without_suspects(labels, flagged)
    arms = [Arm(GIVEN, labels, everything)]
    arms.append(Arm(DROPPED, labels, dropped, reason="" if not dropped.all() else "there are no suspects"))
    if corrections is None or not corrections.changed(labels).any():
        arms.append(Arm(CORRECTED, labels, everything, reason=no_corrections))
    else:
        arms.append(Arm(CORRECTED, corrections.labels, corrections.stays))
    arms.append(Arm(WEIGHTED, labels, everything, trust, reason=no_weights))
    return arms


def corrections_of_verdicts(run: Run, consensus: Sequence[ItemConsensus], rows: np.ndarray) -> Corrections:
    """What people said, as labels; items to which both labels apply, and undecided ones, keep the given one.

    Parameters
    ----------
    run : Run
    consensus : sequence of ItemConsensus
    rows : int64 array
        Row of each in `run.items`.
    """
    number = {name: k for k, name in enumerate(run.class_names)}
    labels, stays = run.items["label"].to_numpy(np.int64).copy(), np.ones(len(run.items), bool)
    for decided, row in zip(consensus, rows.tolist(), strict=True):
        after = corrected_labels(decided, run.class_names[labels[row]], "lenient")
        stays[row] = bool(after)
        labels[row] = number[after[0]] if after else labels[row]
    return Corrections(labels, stays, "the verdicts of the run")


def corrections_of_patch(run: Run, patch: Patch | str | Path) -> Corrections:
    """A label patch or its file, as labels; records found by the content of the items and their given label.

    Raises
    ------
    DataError
        If the patch was made for other data. Else as `read_patch`.
    """
    if isinstance(patch, Patch):
        name = patch.header.name
    else:
        patch, name = read_patch(patch), str(patch)
    scheme = run.manifest["data"]["hash_scheme"]
    if patch.header.hash_scheme != scheme:
        raise DataError(
            f"the patch {name!r} names items by {patch.header.hash_scheme!r}, the run {run.id!r} by {scheme!r}.",
            "Give the patch of this data.",
        )
    items, number = run.items, {name: k for k, name in enumerate(run.class_names)}
    labels, stays = items["label"].to_numpy(np.int64).copy(), np.ones(len(items), bool)
    record_of = {(record.id, record.from_label): record for record in patch.records}
    matched = set()
    for row, key in enumerate(zip(items["content_hash"], items["given"], strict=True)):
        record = record_of.get(key)
        if record is None:
            continue
        matched.add(key)
        if record.op == "drop":
            stays[row] = False
        elif record.op == "relabel":
            if record.to[0] not in number:
                raise DataError(f"{record.where()}: the run {run.id!r} has no class {record.to[0]!r}.")
            labels[row] = number[record.to[0]]
    if record_of and not matched:
        raise DataError(f"no record of the patch {name!r} fits an item of the run {run.id!r}.", "Is it of this data?")
    return Corrections(labels, stays, f"the label patch {name}", len(record_of) - len(matched))
