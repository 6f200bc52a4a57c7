"""The one file that imports cleanlab: its filter rules and its scores, as they are."""

from __future__ import annotations

import numpy as np

#: Every ``filter_by`` of cleanlab 2.9, its default first.
FILTERS = (
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_normalized_margin",
    "low_self_confidence",
)
#: (method, adjust_pred_probs). cleanlab refuses to adjust the third.
SCORES = (
    ("self_confidence", False),
    ("normalized_margin", False),
    ("confidence_weighted_entropy", False),
    ("self_confidence", True),
    ("normalized_margin", True),
)


def filter_mask(labels: np.ndarray, probabilities: np.ndarray, rule: str) -> np.ndarray:
    """bool (n,): what ``find_label_issues(filter_by=rule)`` flags, in one process."""
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(labels, probabilities, filter_by=rule, n_jobs=1), dtype=bool)


def quality(labels: np.ndarray, probabilities: np.ndarray, method: str, adjusted: bool) -> np.ndarray:
    """float64 (n,): ``get_label_quality_scores``; **low** is suspicious."""
    from cleanlab.rank import get_label_quality_scores

    scores = get_label_quality_scores(labels, probabilities, method=method, adjust_pred_probs=adjusted)
    return np.asarray(scores, dtype=np.float64)
