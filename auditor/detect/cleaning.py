"""What a model is trained on once labels are suspect: which items stay, and how much each label counts."""

from __future__ import annotations

import numpy as np

from auditor.detect.em_posterior import fit_em
from auditor.detect.margins import given_probability


def trust_in_labels(p: np.ndarray, labels: np.ndarray, beta: float = 2.0) -> np.ndarray:
    """P(the given label is right), float64 (n,) in [0, 1], by the noise that `fit_em` finds.

    Parameters
    ----------
    p : float64 array (n, K)
        Out-of-sample probabilities, rows sum to 1.
    labels : int array (n,)
        Columns of `p`.
    beta : float
        Sharpening, see `fit_em`.
    """
    return given_probability(fit_em(p, labels, beta).posterior, labels)


def without_suspects(labels: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """Items that stay when the suspects go, bool (n,). A class of which every item is suspect stays whole: a model that
    never saw it could not name it.

    Parameters
    ----------
    labels : int array (n,)
        From 0 on.
    flagged : bool array (n,)
    """
    stays = ~np.asarray(flagged, bool)
    return stays | (np.bincount(labels, stays)[labels] == 0)
