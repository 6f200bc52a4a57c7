"""What every reader of stored predictions gives, and the contract readers fulfil."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.core.errors import DataError, ProbabilityError

#: Ends of file names that say what is stored, not who predicted.
_TAIL: Final = re.compile(
    r"[_\-.](?:test[_\-])?(?:pred[_\-]?probs|probabilities|probs|softmax|logits|predictions|preds|pred|top1)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Claim:
    """Files that hold the predictions of one model (or of several, for a table with a column of models).

    Attributes
    ----------
    name : str
        Model, from the file's name; ``""`` where only the folder names it.
    files : tuple of Path
    """

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one trained network predicts for every row.

    Attributes
    ----------
    name : str
        As the files call it; unique in a benchmark.
    top1 : int64 array (n,)
        Most probable class of every row, in the order of the labels.
    source : str
    top : int64 array (n, k) or None
        The k most probable classes in any order, where they are stored.
    notes : tuple of str
        How rows were found, where that is not plain.
    """

    name: str
    top1: np.ndarray
    source: str
    top: np.ndarray | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """One format. Instantiated without arguments.

    Attributes
    ----------
    summary : str
        One line for messages.
    """

    summary: str

    def claim(self, files: Sequence[Path]) -> list[Claim]:
        """Those of the files of one folder that are of this format, by their names alone."""

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        """Predictions for all rows; wrong lengths, NaN and unknown ids are refused, naming the file."""


def plain_name(stem: str) -> str:
    """Name of the model in the name of a file: without what says that these are predictions."""
    name = _TAIL.sub("", stem)
    return "" if name == stem and _TAIL.fullmatch(f"_{stem}") else name


def check_length(n: int, given_labels: GivenLabels, where: str) -> None:
    """Refuse predictions of another number of rows than there are labels."""
    if n != len(given_labels):
        raise DataError(
            f"{where} has {n:,} rows, the labels ({given_labels.source}) have {len(given_labels):,}.",
            "Predictions and labels must be of the same split, all rows in the same order, or with ids.",
        )


def first_maximum(values: np.ndarray, where: str) -> np.ndarray:
    """Column of the largest value of each row, the first on ties.

    Raises
    ------
    ProbabilityError
        If a value is not finite.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise ProbabilityError(f"{where} holds {array.dtype}, not numbers.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argmax(~np.isfinite(array).all(axis=1)))
        raise ProbabilityError(
            f"{where}: row {row} holds {array[row][~np.isfinite(array[row])][0]}; probabilities must be finite.",
            "Predict that item again; a model is not ranked on rows it failed on.",
        )
    return array.argmax(axis=1)


def place_rows(
    ids: Sequence[object] | None, values: np.ndarray, given_labels: GivenLabels, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values in the order of the labels, and notes: by id where there are ids, else as they stand.

    Raises
    ------
    DataError
        If rows are missing, unknown or repeated.
    """
    if ids is None:
        check_length(len(values), given_labels, where)
        return values, ()
    rows, note = given_labels.rows.find(list(ids), where)
    if len(rows) != len(given_labels):
        missing = np.setdiff1d(np.arange(len(given_labels)), rows)
        raise DataError(
            f"{where} predicts {len(rows):,} of {len(given_labels):,} rows; missing e.g. row {int(missing[0])}.",
            "A model is compared on all rows or not at all.",
        )
    placed = np.empty_like(values)
    placed[rows] = values
    return placed, () if note is None else (note,)
