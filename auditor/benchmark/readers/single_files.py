"""Predictions in one file: ``.npy``, ``.npz``, or a table of one or several models.

A file holds probabilities (or logits) of every class, or one predicted class per row, and perhaps the ids of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import Claim, Prediction, check_length, first_maximum, place_rows, plain_name
from auditor.core.errors import DataError, ProbabilityError
from auditor.core.files import load_npy, load_npz
from auditor.data.intake import CLASS_NAME_KEYS, ROW_NAME_KEYS, column_order, one_column
from auditor.data.tables import read_table
from auditor.engine.files import PROBABILITY_KEYS
from auditor.engine.semantics import ID_KEYS

_CLASSES: Final = ("predictions", "preds", "pred", "predicted", "pred_labels", "top1")
_PREDICTED: Final = (
    *("prediction", "pred", "predicted", "predicted_label", "pred_label", "y_pred", "predicted_class"),
    *("label", "class", "top1"),
)
_MODEL: Final = ("model", "model_name", "network")


class _SingleFile:
    suffixes: tuple[str, ...]

    def claim(self, files: Sequence[Path]) -> list[Claim]:
        return [Claim(plain_name(path.stem), (path,)) for path in files if path.suffix.lower() in self.suffixes]


class Arrays(_SingleFile):
    """One array for each model: (n, K) probabilities or logits, or (n,) classes."""

    summary = "NAME.npy: probabilities, rows by classes; or one predicted class per row"
    suffixes = (".npy",)

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        (path,) = claim.files
        values, where = load_npy(path, mmap=True), repr(str(path))
        if values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind in "iu":
            raise DataError(
                f"{where} has whole numbers in {values.shape}: k classes per row without their probabilities.",
                "Which column is the best is not known. Add NAME_topKprobs.npy, or store one class per row.",
            )
        single = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
        return [_prediction(claim, given_labels, where, None if single else values, classes=values if single else None)]


class Npz(_SingleFile):
    """One archive for each model, as the networks trained here are stored."""

    summary = "NAME.npz: pred_probs (rows by classes) or predictions, and ids where rows are in another order"
    suffixes = (".npz",)

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        (path,) = claim.files
        arrays, where = load_npz(path), repr(str(path))

        def first(keys: Sequence[str]) -> np.ndarray | None:
            return next((arrays[key] for key in keys if key in arrays), None)

        scores, classes = first((*PROBABILITY_KEYS, "logits")), first(_CLASSES)
        if scores is not None and classes is not None:
            if classes.ndim == 2 and classes.shape != scores.shape:
                raise DataError(f"{where}: classes {classes.shape} and their probabilities {scores.shape} differ.")
            classes = classes[np.arange(len(classes)), first_maximum(scores, where)] if classes.ndim == 2 else None
        if scores is None and classes is None:
            raise DataError(
                f"{where} has neither 'pred_probs' nor 'predictions'; it holds: {', '.join(arrays) or 'nothing'}."
            )
        ids, names = first((*ID_KEYS, "rows", "index")), first(CLASS_NAME_KEYS)
        class_names = None if names is None or names.dtype.kind not in "US" else names.tolist()
        row_names = None if ids is None else ids.tolist()
        return [_prediction(claim, given_labels, where, scores, class_names, classes, row_names)]


class Tables(_SingleFile):
    """One table for each model, or one with a column ``model``."""

    summary = "NAME.csv, .tsv, .jsonl or .parquet: columns id and label (class number or name), or id and one per class"
    suffixes = (".csv", ".tsv", ".parquet", ".jsonl")

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        (path,) = claim.files
        table, where = read_table(path, strings=ROW_NAME_KEYS), repr(str(path))
        columns = {name.lower(): name for name in table.column_names}
        model = next((columns.pop(c) for c in _MODEL if c in columns), None)
        if model is None:
            return [_of_table(claim, table, columns, given_labels, where)]
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(table.column(model).to_pylist()):
            rows.setdefault(str(name), []).append(row)
        return [
            _of_table(Claim(name, (path,)), table.take(taken), columns, given_labels, f"{where}, model {name!r}")
            for name, taken in rows.items()
        ]


def _of_table(claim: Claim, table: Any, columns: dict[str, str], given_labels: GivenLabels, where: str) -> Prediction:
    key = next((columns[c] for c in ROW_NAME_KEYS if c in columns), None)
    label = next((columns[c] for c in _PREDICTED if c in columns and columns[c] != key), None)
    ids = None if key is None else table.column(key).to_pylist()
    if ids is not None and None in ids:
        raise DataError(f"{where}: the id of row {ids.index(None)} is missing.")
    if label is not None:
        classes = np.array(table.column(label).to_pylist(), dtype=object)
        return _prediction(claim, given_labels, where, classes=classes, ids=ids)
    names = [c for c in columns.values() if c != key]
    if given_labels.class_names is not None and set(given_labels.class_names) <= set(names):
        names = list(given_labels.class_names)
    else:
        names = [c for c in names if np.issubdtype(table.column(c).to_pandas().dtype, np.number)]
    if len(names) < 2:
        raise DataError(
            f"{where} has no column of predicted labels; columns: {', '.join(table.column_names)}.",
            "Name it 'label' or 'prediction', or give one column per class.",
        )
    scores = np.column_stack([table.column(c).to_numpy(zero_copy_only=False) for c in names]).astype(np.float64)
    return _prediction(claim, given_labels, where, scores, ids=ids)


def _prediction(
    claim: Claim,
    given_labels: GivenLabels,
    where: str,
    scores: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    classes: np.ndarray | None = None,
    ids: Sequence[object] | None = None,
) -> Prediction:
    """The best class of every row, in the order of the given labels: from `classes`, else from `scores`.

    Raises
    ------
    ProbabilityError
        If there are fewer columns than classes, which top-k probabilities would have, or a value is not finite.
    DataError, LabelError
        Other classes or rows than the given labels.
    """
    rows = scores if classes is None else classes
    if ids is None and rows is not None:
        check_length(len(rows), given_labels, where)
    if classes is not None:
        top = given_labels.numbers_of(one_column(classes, where).tolist(), where)
    else:
        assert scores is not None
        if scores.ndim != 2:
            raise ProbabilityError(f"{where} has the shape {scores.shape}; rows by classes were expected.")
        if scores.shape[1] < given_labels.n_classes:
            raise ProbabilityError(
                f"{where} has {scores.shape[1]} columns, the labels have {given_labels.n_classes} classes.",
                "Top-k output needs both files: NAME_topKpreds.npy with the classes and NAME_topKprobs.npy.",
            )
        if names is not None and given_labels.class_names is not None:
            order = column_order(names, given_labels.class_names)
            if order is None:
                here = list(given_labels.class_names[:3])
                raise DataError(f"{where} has columns for {list(names[:3])}.., the labels have {here}..")
            scores = scores[:, order]
        top = first_maximum(scores, where).astype(np.int64)
    if ids is not None and len(ids) != len(top):
        raise DataError(f"{where}: {len(ids)} ids for {len(top)} predictions.")
    placed, notes = place_rows(ids, top, given_labels, where)
    return Prediction(claim.name, placed, str(claim.files[0]), notes=notes)
