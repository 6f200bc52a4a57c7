"""Tables: scikit-learn's histogram gradient boosting, with columns that cannot help left out and named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pandas.api import types

from auditor.core.errors import DataError
from auditor.core.progress import Progress
from auditor.data.labels import listed
from auditor.train.base import FitTask, TrainingData
from auditor.train.estimator import EstimatorTrainer

#: Most categories a column may have; scikit-learn bins into at most 255.
MAX_CATEGORIES = 255
#: Below so many rows a column of distinct values is too likely to be a measurement.
MIN_ROWS_FOR_ID = 20
RARE = "(rare)"


@dataclass(frozen=True)
class TableTrainer(EstimatorTrainer):
    """Histogram gradient boosting; missing values and categories are handled by the trees.

    Attributes
    ----------
    rounds : int
        Boosting rounds. Few and regularised: a model that fits every label repeats the wrong ones.
    learning_rate : float
    max_leaf_nodes, min_samples_leaf : int
    l2 : float
    """

    kind: ClassVar[str] = "table"
    name: str = "boosting"
    rounds: int = 100
    learning_rate: float = 0.08
    max_leaf_nodes: int = 15
    min_samples_leaf: int = 10
    l2: float = 1.0

    @classmethod
    def from_budget(cls, budget: str) -> TableTrainer:
        """The trainer of a budget; only ``smoke`` is shortened, the full one takes seconds."""
        return cls(rounds=15) if budget == "smoke" else cls()

    def settings(self, n: int, seed: int) -> dict[str, Any]:
        """Arguments of scikit-learn's histogram gradient boosting, for a training part of `n` items."""
        return {
            "max_iter": self.rounds,
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.max_leaf_nodes,
            # On small sets 10 items a leaf would forbid nearly every split.
            "min_samples_leaf": int(np.clip(n // 20, 1, self.min_samples_leaf)),
            "l2_regularization": self.l2,
            "categorical_features": "from_dtype",
            "early_stopping": False,
            "random_state": seed % 2**32,
        }

    def classify(
        self, data: TrainingData, task: FitTask, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Probabilities of the boosted trees."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        progress.start(task.name, 1, "fit")
        table, notes = prepare_columns(data.features)
        train, predict = cap_categories(table.iloc[task.train], table.iloc[task.predict], notes)
        labels = np.asarray(data.labels)[task.train]
        model = HistGradientBoostingClassifier(**self.settings(len(labels), task.seed))
        model.fit(train, labels, sample_weight=task.weights)
        raw = model.predict_proba(predict) if len(predict) else np.empty((0, len(model.classes_)))
        return model.classes_, raw, {"columns": list(train.columns), "notes": notes}


def prepare_columns(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Numbers and categories only, without columns that cannot help.

    Left out: constant columns, row numbers (integers that count up without gaps) and columns of text in which
    nearly every value is different. A row number must go even if it predicts well: in a sorted file it gives
    away the label. Looks at the columns alone, never at labels.

    Returns
    -------
    table : DataFrame
        float64 and ``category`` columns with string names.
    notes : list of str
        One sentence per column that was left out.

    Raises
    ------
    DataError
        If no column is left.
    """
    features: dict[str, pd.Series] = {}
    notes: list[str] = []
    for position, column in enumerate(map(str, table.columns)):
        values = table.iloc[:, position]
        if values.nunique(dropna=False) <= 1:
            notes.append(f"column {column!r} left out: it has one value only")
        elif _is_row_number(values):
            notes.append(f"column {column!r} left out: it numbers the rows")
        elif _is_identifier(values):
            notes.append(f"column {column!r} left out: nearly every value is different, it names the rows")
        else:
            features[column] = _as_feature(values)
    if not features:
        raise DataError(
            f"the table has no column a model could learn from ({'; '.join(notes) or 'it is empty'}).",
            "Give at least one numeric or categorical column besides the label.",
        )
    return pd.DataFrame(features).reset_index(drop=True), notes


def unreadable_columns(table: pd.DataFrame) -> list[str]:
    """What of a table a model of plain numbers cannot read, as ``"categories in 'kind'"``."""
    columns = [(repr(str(name)), table.iloc[:, k]) for k, name in enumerate(table.columns)]
    categories = [name for name, values in columns if not types.is_numeric_dtype(values.dtype)]
    missing = [name for name, values in columns if values.hasnans]
    infinite = [name for name, values in columns if values.dtype.kind == "f" and np.isinf(values).any()]
    kinds = {"categories": categories, "missing values": missing, "infinite values": infinite}
    return [f"{kind} in {listed(names, 5)}" for kind, names in kinds.items() if names]


def _is_row_number(values: pd.Series) -> bool:
    if not types.is_integer_dtype(values.dtype) or len(values) < MIN_ROWS_FOR_ID or values.hasnans:
        return False
    # A tenth of gaps is allowed: files lose rows on their way here.
    span = int(values.max()) - int(values.min()) + 1
    return bool(values.is_unique and span <= 1.1 * len(values))


def _is_identifier(values: pd.Series) -> bool:
    kind = values.dtype
    text = isinstance(kind, pd.CategoricalDtype) or types.is_object_dtype(kind) or types.is_string_dtype(kind)
    return text and len(values) >= MIN_ROWS_FOR_ID and values.nunique() > 0.9 * len(values)


def _as_feature(values: pd.Series) -> pd.Series:
    """One column as float64 or ``category``; infinities and unparsed dates become missing."""
    if types.is_bool_dtype(values.dtype) or types.is_numeric_dtype(values.dtype):
        floats = pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan))
        return floats.where(np.isfinite(floats))
    if types.is_datetime64_any_dtype(values.dtype) or types.is_timedelta64_dtype(values.dtype):
        return pd.Series(values.astype("int64").to_numpy(np.float64)).where(values.notna().to_numpy())
    texts = pd.Series(values.astype(object).to_numpy())
    # Sorted text categories: the codes, and with them the splits, must not depend on the order of the rows.
    return texts.where(texts.isna(), texts.astype(str)).astype("category")


def cap_categories(
    train: pd.DataFrame, predict: pd.DataFrame, notes: list[str], most: int = MAX_CATEGORIES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Map categories that are rare in the training part to one, so that a column has at most `most`; ones it never saw
    become missing. Says so in `notes`."""
    train, predict = train.copy(), predict.copy()
    for column in train.columns:
        if not isinstance(train[column].dtype, pd.CategoricalDtype):
            continue
        counts = train[column].value_counts()
        seen = sorted(counts.index[counts > 0])
        if len(seen) > most:
            # By count, then by name: value_counts orders ties by first appearance.
            ranked = sorted(seen, key=lambda name, c=counts: (-c[name], name))  # type: ignore[misc]
            keep = set(ranked[: most - 1])
            notes.append(f"column {column!r}: {len(seen)} categories, the rarest {len(seen) - len(keep)} joined")
            rename = {name: name if name in keep else RARE for name in seen}
            train[column], predict[column] = train[column].map(rename), predict[column].map(rename)
            seen = sorted({*keep, RARE})
        for table in (train, predict):
            texts = table[column].astype(object)
            table[column] = pd.Categorical(texts.where(texts.isin(seen)), categories=seen)
    return train, predict
