"""CSV, TSV, JSON Lines and parquet: an id and a label, or an id and one column per class; one model or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import (
    Claim,
    Prediction,
    place_rows,
    plain_name,
    top_of_probabilities,
    whole_classes,
)
from auditor.core.errors import DataError
from auditor.data.intake import ROW_NAME_KEYS
from auditor.data.tables import read_table

__all__ = ["Tables"]

_SUFFIXES: Final = (".csv", ".tsv", ".parquet", ".jsonl")
_PREDICTED: Final = (
    "prediction",
    "pred",
    "predicted",
    "predicted_label",
    "pred_label",
    "y_pred",
    "predicted_class",
    "label",
    "class",
    "top1",
)
_MODEL: Final = ("model", "model_name", "network")


class Tables:
    """One table for each model, or one with a column ``model``."""

    summary = "NAME.csv, .tsv, .jsonl or .parquet: columns id and label (class number or name), or id and one per class"

    def claim(self, files: Sequence[Path]) -> list[Claim]:
        return [Claim(plain_name(path.stem), (path,)) for path in files if path.suffix.lower() in _SUFFIXES]

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        (path,) = claim.files
        table, where = read_table(path, strings=ROW_NAME_KEYS), repr(str(path))
        lowered = {name.lower(): name for name in table.column_names}
        model = next((lowered[c] for c in _MODEL if c in lowered), None)
        if model is None:
            return [self._one(claim.name, table, lowered, given_labels, where, path)]
        names = [str(one) for one in table.column(model).to_pylist()]
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            rows.setdefault(name, []).append(row)
        lowered = {low: name for low, name in lowered.items() if name != model}
        return [
            self._one(name, table.take(places), lowered, given_labels, f"{where}, model {name!r}", path)
            for name, places in rows.items()
        ]

    def _one(
        self, name: str, table: Any, columns: dict[str, str], given_labels: GivenLabels, where: str, path: Path
    ) -> Prediction:
        key = next((columns[c] for c in ROW_NAME_KEYS if c in columns), None)
        label = next((columns[c] for c in _PREDICTED if c in columns and columns[c] != key), None)
        ids = None if key is None else table.column(key).to_pylist()
        if ids is not None and any(one is None for one in ids):
            raise DataError(f"{where}: the id of row {ids.index(None)} is missing.")
        if label is not None:
            values = np.empty(table.num_rows, dtype=object)
            values[:] = table.column(label).to_pylist()
            found = whole_classes(values, given_labels, where)
        else:
            found = self._from_columns(table, [c for c in columns.values() if c != key], given_labels, where)
        return Prediction(name, place_rows(ids, found, given_labels, where), str(path))

    @staticmethod
    def _from_columns(table: Any, columns: list[str], given_labels: GivenLabels, where: str) -> np.ndarray:
        """One number column per class: by class name where all names are there, else in the order of the file."""
        if given_labels.class_names is not None and set(given_labels.class_names) <= set(columns):
            columns = list(given_labels.class_names)
        else:
            columns = [c for c in columns if np.issubdtype(table.column(c).to_pandas().dtype, np.number)]
        if len(columns) < 2:
            raise DataError(
                f"{where} has no column of predicted labels; columns: {', '.join(table.column_names)}.",
                "Name it 'label' or 'prediction', or give one column per class.",
            )
        values = np.column_stack([table.column(c).to_numpy(zero_copy_only=False) for c in columns]).astype(np.float64)
        return top_of_probabilities(values, given_labels, where)
