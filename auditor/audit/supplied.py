"""Probabilities the caller brings: as files, as arrays, or for a data set that is opened by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auditor.core.errors import ProbabilityError, UsageError
from auditor.core.hashing import hash_array
from auditor.data.base import Dataset, ItemTable
from auditor.data.class_order import check_class_order
from auditor.data.kinds import ProbabilityDataset
from auditor.data.labels import encode_labels
from auditor.data.probabilities import check_probabilities, load_labels, load_probabilities, open_probabilities

__all__ = ["open_supplied", "supplied_for"]

ArrayOrPath = str | Path | np.ndarray


def open_supplied(
    pred_probs: ArrayOrPath, labels: ArrayOrPath | None, class_names: Sequence[str] | None
) -> ProbabilityDataset:
    """A data set of supplied probabilities and labels; see `auditor.data.probabilities.open_probabilities`."""
    if not isinstance(pred_probs, np.ndarray) and not isinstance(labels, np.ndarray):
        return open_probabilities(pred_probs, labels, class_names)
    values = _values(pred_probs)
    if labels is None:
        raise UsageError("probabilities were given without labels.", "Give them as labels=...")
    given = labels if isinstance(labels, np.ndarray) else load_labels(Path(labels))
    names = tuple(class_names) if class_names is not None else tuple(str(k) for k in range(values.shape[1]))
    ids = np.arange(len(values)).astype(str)
    return _from_arrays(values, given, names, ids, f"array-{hash_array(np.asarray(values))[7:15]}")


def supplied_for(
    dataset: Dataset, pred_probs: ArrayOrPath, labels: ArrayOrPath | None, class_names: Sequence[str] | None
) -> ProbabilityDataset:
    """Supplied probabilities for the items of `dataset`, row by row in its order.

    Raises
    ------
    ProbabilityError
        If the rows or columns do not fit the data set.
    UsageError
        If other labels or class names are given than the data set has.
    """
    if labels is not None:
        raise UsageError("--labels goes with --pred-probs alone.", "A named data set brings its own labels.")
    if class_names is not None and tuple(class_names) != dataset.class_names:
        raise UsageError(
            f"--class-names {','.join(class_names)!r} are not the classes of {dataset.name!r}.",
            f"Its classes, in order: {', '.join(dataset.class_names)}.",
        )
    values = _values(pred_probs)
    return _from_arrays(values, dataset.labels, dataset.class_names, dataset.ids, dataset.name)


def _values(pred_probs: ArrayOrPath) -> np.ndarray:
    values = pred_probs if isinstance(pred_probs, np.ndarray) else load_probabilities(Path(pred_probs)).values
    if values.ndim != 2:
        raise ProbabilityError(f"probabilities have shape {values.shape}; it must be (items, classes).")
    return values


def _from_arrays(
    values: np.ndarray, labels: np.ndarray, names: tuple[str, ...], ids: np.ndarray, name: str
) -> ProbabilityDataset:
    if values.shape != (len(labels), len(names)):
        raise ProbabilityError(
            f"probabilities of shape {values.shape} for {len(labels)} items and {len(names)} classes.",
            "Row i must be item i, column k class k.",
        )
    encoded = encode_labels(labels, names, "labels")
    checked, notes = check_probabilities(values, where="the array")
    keep = encoded.present
    items = ItemTable(ids, encoded.codes, np.full(len(ids), "all"), np.arange(len(ids), dtype=np.int64))
    if len(keep) < len(ids):
        items, checked = items.take(keep), checked[keep]
    check_class_order(checked, items.labels, names)
    return ProbabilityDataset(
        name=name,
        reference="",
        class_names=names,
        items=items,
        notes=[*notes, *encoded.notes],
        probabilities=checked,
    )
