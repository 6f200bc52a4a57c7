"""Do the columns of supplied probabilities belong to the classes they are said to belong to?

Swapped columns give confident nonsense: every item of the swapped classes looks mislabelled. They show in the
confusion counts, because another assignment of columns to classes then fits the labels far better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array, eye_array, hstack

from auditor.core.errors import ClassOrderError
from auditor.data.labels import listed

#: A refused order must fit at least this share of the items of the classes it moves.
_MIN_FIT = 0.5
#: And beat the given order by this many standard deviations of a coin-tossing predictor.
_SIGMAS = 4.0
_BLOCK_ENTRIES = 1 << 23


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
    top : int64 array (n,)
        Column of the largest probability of each item.
    """
    n, k = probabilities.shape
    step = max(1, _BLOCK_ENTRIES // k)
    tops = [np.asarray(probabilities[start : start + step]).argmax(axis=1) for start in range(0, n, step)]
    top = np.concatenate(tops)
    confusion = csr_array((np.ones(n, np.int64), (labels, top)), shape=(k, k))
    order = np.arange(k)
    # Only classes whose items mostly go to another column, and these columns, can take part in a better
    # assignment worth refusing; with thousands of classes this keeps the assignment problem small.
    wins = np.asarray(confusion.argmax(axis=1)).ravel()
    strayed = (wins != order) & (confusion.max(axis=1).toarray().ravel() > confusion.diagonal())
    moving = np.union1d(np.flatnonzero(strayed), wins[strayed])
    if len(moving):
        from scipy.sparse.csgraph import min_weight_full_bipartite_matching

        counts = confusion[moving][:, moving].astype(np.float64)
        counts.data += 1
        # A column of no class for every class, worth less than any item, because a class may fit none.
        choices = hstack([counts, eye_array(len(moving))], format="csr")
        rows, columns = min_weight_full_bipartite_matching(choices, maximize=True)
        fits = columns < len(moving)
        order[moving[columns[fits]]] = moving[rows[fits]]
        classes, free = moving[rows[~fits]], np.delete(moving, columns[fits])
        order[np.setdiff1d(free, classes)] = np.setdiff1d(classes, free)  # the others keep their own columns
    return order, top


def check_class_order(probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Refuse probabilities whose columns fit the labels far better in another order.

    Far better means: over the items of the classes that would move, the other order agrees with at least half of
    the labels and beats the given order by four standard deviations of chance. Ordinary confusion between two
    similar classes stays below that, because most items of a class still go to its own column. One item of each
    class is not counted: a column that fits it can always be found, and a class may have no other item.

    Raises
    ------
    ClassOrderError
        With both orders and both rates of agreement.
    """
    order, top = best_class_order(probabilities, labels)
    moved = order[labels] != labels
    right, fitting = top == labels, top == np.argsort(order)[labels]
    given = int(right[moved].sum())
    total, other = (len(classes) - len(np.unique(classes)) for classes in (labels[moved], labels[moved & fitting]))
    if not other or other < _MIN_FIT * total or other - given < _SIGMAS * np.sqrt(total):
        return
    n = len(labels)
    overall, better = int(right.sum()), int(fitting.sum())
    raise ClassOrderError(
        "the columns of the probabilities stand in another order than the class names.\n"
        f"  Class names given:      {listed(class_names[: len(order)], 20)}\n"
        f"  Order that fits:        {listed([class_names[k] for k in order], 20)}\n"
        f"  Highest probability equals the label in {overall / n:.1%} of {n:,} rows in the given order, and in "
        f"{better / n:.1%} in the other.",
        "Reorder the columns (or the class names) and try again. If the labels really are that wrong, "
        "pass check_order=False (in a reference: check_order=false).",
    )
