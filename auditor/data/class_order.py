"""Do the columns of supplied probabilities belong to the classes they are said to belong to?

Swapped columns give confident nonsense: every item of the swapped classes looks mislabelled. They show in the
confusion counts, because another assignment of columns to classes then fits the labels far better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from auditor.core.errors import ClassOrderError
from auditor.data.labels import listed

#: A refused order must fit at least this share of the items of the classes it moves.
_MIN_FIT = 0.5
#: And beat the given order by this many standard deviations of a coin-tossing predictor.
_SIGMAS = 4.0
_BLOCK = 1 << 16


def best_class_order(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The assignment of columns to classes that agrees best with the labels.

    Parameters
    ----------
    probabilities : float array (n, K)
    labels : int64 array (n,)

    Returns
    -------
    order : int64 array (K,)
        ``order[j]`` is the class that column j fits best; the identity where nothing fits better.
    confusion : int64 array (K, K)
        Rows: label; columns: argmax of the probabilities.
    """
    k = probabilities.shape[1]
    confusion = np.zeros((k, k), dtype=np.int64)
    for start in range(0, len(labels), _BLOCK):
        block = np.asarray(probabilities[start : start + _BLOCK])
        np.add.at(confusion, (labels[start : start + _BLOCK], block.argmax(axis=1)), 1)
    order = np.arange(k)
    # Only classes whose items mostly go to another column, and these columns, can take part in a better
    # assignment worth refusing; with thousands of classes this keeps the assignment problem small.
    wins = confusion.argmax(axis=1)
    strayed = (wins != order) & (confusion.max(axis=1) > confusion.diagonal())
    moving = np.union1d(np.flatnonzero(strayed), wins[strayed])
    if len(moving):
        counts = confusion[np.ix_(moving, moving)]
        rows, columns = linear_sum_assignment(counts, maximize=True)
        order[moving[columns]] = moving[rows]
    return order, confusion


def check_class_order(probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Refuse probabilities whose columns fit the labels far better in another order.

    Far better means: over the items of the classes that would move, the other order agrees with at least half of
    the labels and beats the given order by four standard deviations of chance. Ordinary confusion between two
    similar classes stays below that, because most items of a class still go to its own column.

    Raises
    ------
    ClassOrderError
        With both orders and both rates of agreement.
    """
    order, confusion = best_class_order(probabilities, labels)
    moved = np.flatnonzero(order != np.arange(len(order)))
    if not len(moved):
        return
    column_of = np.argsort(order)
    total = int(confusion[moved].sum())
    given = int(confusion[moved, moved].sum())
    other = int(confusion[moved, column_of[moved]].sum())
    if other < _MIN_FIT * total or other - given < _SIGMAS * np.sqrt(total):
        return
    n = len(labels)
    overall = int(confusion.trace())
    better = overall - given + other
    raise ClassOrderError(
        "the columns of the probabilities stand in another order than the class names.\n"
        f"  Class names given:      {listed(class_names[: len(order)], 20)}\n"
        f"  Order that fits:        {listed([class_names[k] for k in order], 20)}\n"
        f"  Highest probability equals the label in {overall / n:.1%} of {n:,} rows in the given order, and in "
        f"{better / n:.1%} in the other.",
        "Reorder the columns (or the class names) and try again. If the labels really are that wrong, "
        "pass check_order=False (in a reference: check_order=false).",
    )
