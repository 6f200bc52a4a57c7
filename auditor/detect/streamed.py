"""The default findings over blocks of rows, for large data: what `default_findings` gives above its size limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from auditor.detect.base import Detection, normalised
from auditor.detect.class_adjusted import levels_from_given
from auditor.detect.findings import STREAMED_FLAG_RULE, STREAMED_RANKING
from auditor.detect.margins import best_other, given_probability, log_odds_margin

__all__ = ["Blocks", "default_findings_streamed"]

#: Gives the rows anew at each call, as pairs of (first row, probabilities (rows, K)), in order and without gaps.
Blocks = Callable[[], Iterator[tuple[int, np.ndarray]]]


def default_findings_streamed(blocks: Blocks, labels: np.ndarray, ids: np.ndarray, n_classes: int) -> Detection:
    """Ranked by `log_odds_margin`, flagged by `class_adjusted`: one probability array, read twice, block by block.

    Memory is two numbers a row, whatever K. The result is equal to the in-memory one for any block size: all that
    crosses rows is the sum of each class's probabilities, which is formed from the whole column at once.

    Parameters
    ----------
    blocks : callable
        Checked probabilities; rows are renormalised in float64.
    labels : int64 array (n,)
    ids : array (n,)
        Unique; fixes the order of the sums, so that permuted rows give permuted results.
    n_classes : int
    """
    given = np.empty(len(labels))
    for start, block in blocks():
        at = slice(start, start + len(block))
        given[at] = given_probability(normalised(block), labels[at])
    order = np.argsort(ids, kind="stable")
    levels = levels_from_given(given[order], labels[order], n_classes)
    score, flagged = np.empty(len(labels)), np.empty(len(labels), bool)
    suggested = np.empty(len(labels), np.int64)
    for start, block in blocks():
        at = slice(start, start + len(block))
        rows, mine = normalised(block), labels[at]
        score[at] = log_odds_margin(rows, mine)
        adjusted = rows / levels
        adjusted /= adjusted.sum(axis=1, keepdims=True)
        other, value = best_other(adjusted, mine)
        flagged[at] = value > given_probability(adjusted, mine)
        suggested[at] = np.where(flagged[at], other, mine)
    meta = {"ranking": STREAMED_RANKING, "flag_rule": STREAMED_FLAG_RULE, "class_levels": [float(t) for t in levels]}
    return Detection(score, flagged, suggested, meta)
