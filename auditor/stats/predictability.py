"""How well one column alone predicts the label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: A column that reaches this gives the label away.
TELLING = 0.99
#: Fewest items of each class that is predicted, and most items looked at.
FEWEST, DRAWN = 10, 20_000
_SEED = 0
_LEAVES = 64


@dataclass(frozen=True, eq=False)
class Alone:
    """What one column says of the labels, out of sample.

    Attributes
    ----------
    rows : int64 array (m,)
        Ascending positions of the items that were predicted: those of classes with `FEWEST` items, at most `DRAWN`.
    predicted, labels : int64 arrays (m,)
    """

    rows: np.ndarray
    predicted: np.ndarray
    labels: np.ndarray


def predictability(values: np.ndarray, labels: np.ndarray) -> float | None:
    """Balanced accuracy of `predicted_alone`; None where it says nothing."""
    alone = predicted_alone(values, labels)
    return None if alone is None else balanced_accuracy(alone)


def balanced_accuracy(alone: Alone) -> float:
    """Mean over the classes of the share of their items that are predicted right."""
    right = np.bincount(alone.labels[alone.predicted == alone.labels], minlength=alone.labels.max() + 1)
    counts = np.bincount(alone.labels)
    return float((right[counts > 0] / counts[counts > 0]).mean())


def predicted_alone(
    values: np.ndarray, labels: np.ndarray, leaves: int = _LEAVES, least: int = 2, balanced: bool = False
) -> Alone | None:
    """Out-of-sample predictions of a small tree that sees one column, or a few.

    Parameters
    ----------
    values : float64 array (n,) or (n, c)
        NaN where missing; categories by their code.
    labels : int64 array (n,)
    leaves, least : int
        Of the tree at most, and items of a leaf at least.
    balanced : bool
        Whether rare classes weigh as much as frequent ones.

    Returns
    -------
    Alone or None
        None where fewer than two classes have `FEWEST` items.
    """
    from sklearn import config_context
    from sklearn.tree import DecisionTreeClassifier

    large = np.flatnonzero(np.bincount(labels, minlength=1) >= FEWEST)
    if len(large) < 2:
        return None
    rows = np.flatnonzero(np.isin(labels, large))
    if len(rows) > DRAWN:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, DRAWN, replace=False))
    values, labels = values[rows], labels[rows]
    # A tree sees nothing but the order of the values; ranks keep it where values are infinite or beyond float32.
    seen = np.column_stack([ranked for column in values.reshape(len(values), -1).T for ranked in _ranked(column)])
    predicted = np.empty_like(labels)
    # Tables have thousands of columns, and what cross_val_predict checks around a fit takes longer than the fit.
    with config_context(skip_parameter_validation=True):
        for train, test in _folds(labels.astype(np.int64).tobytes()):
            weight = "balanced" if balanced else None
            tree = DecisionTreeClassifier(
                max_leaf_nodes=leaves, min_samples_leaf=least, class_weight=weight, random_state=_SEED
            )
            tree.fit(seen[train], labels[train], check_input=False)
            predicted[test] = tree.predict(seen[test], check_input=False)
    return Alone(rows, predicted, labels)


def _ranked(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of the values, and which are missing, float32."""
    absent = np.isnan(column)
    ranks = np.unique(np.where(absent, 0.0, column), return_inverse=True)[1]
    return ranks.astype(np.float32), absent.astype(np.float32)


@lru_cache(maxsize=2)
def _folds(labels: bytes) -> list[tuple[np.ndarray, np.ndarray]]:
    """The folds of all columns of a table, which have the same labels."""
    from sklearn.model_selection import StratifiedKFold

    codes = np.frombuffer(labels, np.int64)
    return list(StratifiedKFold(3, shuffle=True, random_state=_SEED).split(np.zeros(len(codes)), codes))
