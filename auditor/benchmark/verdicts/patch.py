"""A label patch as corrections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.verdicts.judged import AMBIGUOUS, BOTH, GUESSED, NEITHER, Decision, Judged
from auditor.core.errors import DataError, LabelError
from auditor.core.row_lookup import RowLookup
from auditor.data.base import Dataset
from auditor.patch.files import read_patch
from auditor.patch.records import Patch, PatchRecord


def judge_patch(path: Path, given_labels: GivenLabels, dataset: Dataset | None) -> Judged:
    """Corrections of a patch, put on rows by content hash, or, without the data, by their row hints.

    A row hint alone is accepted only if every record has one, the patch is of as many rows, and every given label
    fits; that is said in the notes.

    Raises
    ------
    DataError
        If a record finds no row.
    LabelError
        If a given label differs.
    """
    patch = read_patch(path)
    if patch.header.form is not None:
        raise DataError(
            f"{str(path)!r} corrects labels of the kind {patch.header.form.kind!r}: models are ranked on classes only."
        )

    number = _classes(patch, given_labels)
    if dataset is not None:
        placed, notes = _by_content(patch, dataset, given_labels, number)
    else:
        placed, notes = _by_hint(patch, given_labels, number)
    rows = np.array([row for row, _ in placed], np.int64)

    records = [record for _, record in placed]
    notes.append("a patch holds corrections only: rows that people left undecided count as right here")

    def decide(k: int) -> Decision:
        state = np.array([_state(record, k) for record in records], np.int8)
        label = np.array(
            [number[r.to[0]] if s == GUESSED else -1 for r, s in zip(records, state, strict=True)], np.int64
        )
        return Decision(state, label)

    how = f"Labels were corrected by a label patch ({path.name})."
    guess = np.array([number[r.to[0]] if r.op == "relabel" else -1 for r in records], np.int64)
    several = {j: tuple(number[n] for n in r.to) for j, r in enumerate(records) if r.op == "multi"}
    thresholds, votes = (3, 4, 5) if any(r.votes for r in records) else (3,), [dict(r.votes or {}) for r in records]
    said = (*patch.notes, *notes)
    return Judged("patch", how, rows, guess, decide, several, thresholds, votes, *_posterior(records), notes=said)


def _classes(patch: Patch, given_labels: GivenLabels) -> dict[str, int]:
    """Number of each class name of the patch, as the labels count."""
    names = patch.header.classes
    if given_labels.class_names is not None:
        if not set(names) <= set(given_labels.class_names):
            odd = sorted(set(names) - set(given_labels.class_names))[0]
            raise DataError(f"the patch speaks of the class {odd!r}, which the data does not have.")
        names = given_labels.class_names
    return {name: k for k, name in enumerate(names)}


def _by_content(
    patch: Patch, dataset: Dataset, given_labels: GivenLabels, number: Mapping[str, int]
) -> tuple[list[tuple[int, PatchRecord]], list[str]]:
    if dataset.hash_scheme != patch.header.hash_scheme:
        raise DataError(
            f"the patch names items by {patch.header.hash_scheme!r}, the data by {dataset.hash_scheme!r}.",
            "Take the data the patch was made for.",
        )
    lookup = RowLookup(len(dataset), hashes=lambda: dataset.content_hashes)
    placed: list[tuple[int, PatchRecord]] = []
    for record in patch.records:
        copies = lookup.by_hash(record.id)
        rows = [row for row in copies if given_labels.labels[row] == number[record.from_label]]
        if not rows:
            why = f"is not labelled {record.from_label!r} there" if copies else "is not in the data"
            raise LabelError(f"the item of {record.where()} {why}.", "Take the data the patch was made for.")
        placed += [(row, record) for row in rows]
    if dataset.fingerprint == patch.header.fingerprint:
        return placed, []
    return placed, ["the data differs from the data the patch was made for; its items were found all the same"]


def _by_hint(
    patch: Patch, given_labels: GivenLabels, number: Mapping[str, int]
) -> tuple[list[tuple[int, PatchRecord]], list[str]]:
    header = patch.header
    if header.n != len(given_labels):
        raise DataError(
            f"the patch is of {header.n:,} rows of {header.name!r}, {given_labels.source} has {len(given_labels):,}.",
            "Take the labels of the split the patch was made for.",
        )
    placed: list[tuple[int, PatchRecord]] = []
    for record in patch.records:
        row = record.index
        if row is None or not 0 <= row < len(given_labels):
            raise DataError(
                f"{record.where()}: without the data a record needs the row it belongs to.", "Name the data set."
            )
        label = int(given_labels.labels[row])
        if label != number[record.from_label]:
            raise LabelError(
                f"{record.where()} is from {record.from_label!r}, row {row} has the label {label}.",
                "Name the data set, so that items are found by their content.",
            )
        placed.append((row, record))
    return placed, [f"rows found by the row numbers in the patch; all {len(placed):,} given labels fit"]


def _state(record: PatchRecord, k: int) -> int:
    votes = record.votes or {}
    if record.n is not None and votes and max(votes.values()) < k and record.n >= k:
        return AMBIGUOUS
    return {"relabel": GUESSED, "multi": BOTH, "drop": NEITHER}[record.op]


def _posterior(records: list[PatchRecord]) -> tuple[np.ndarray | None, str]:
    """What is missing to 1 goes to the given label: the record says nothing else."""
    if not records or any(r.posterior is None for r in records):
        return None, "not every record of the patch says how sure it is"
    result = np.zeros((len(records), 4))
    for j, record in enumerate(records):
        sure = float(record.posterior or 0.0)
        result[j, 0], result[j, _state(record, 0)] = 1 - sure, sure
    return result, ""
