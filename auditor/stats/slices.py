"""Parts of a set in which more goes wrong than elsewhere, named so that a shuffled set names none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix

from auditor.core.errors import DataError

#: Shuffled sets held at once, in numbers.
BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class SliceTest:
    """Every slice against what its strata let expect.

    Attributes
    ----------
    sizes, wrong : int64 array (s,)
        Items, and those of them that are wrong.
    expected : float64 array (s,)
        Wrong ones if the wrong items of every stratum were spread over it by chance.
    z : float64 array (s,)
        Standardised difference under that chance; 0 where it cannot vary.
    p : float64 array (s,)
        Share of shuffled sets whose worst slice looks as bad or worse: a slice with p below alpha is named in error,
        among all slices together, with chance alpha.
    """

    sizes: np.ndarray
    wrong: np.ndarray
    expected: np.ndarray
    z: np.ndarray
    p: np.ndarray


def worse_slices(member: csr_matrix, wrong: np.ndarray, strata: np.ndarray, draws: int, seed: int) -> SliceTest:
    """Permutation test of the maximum over all slices (Westfall and Young 1993), within strata.

    Parameters
    ----------
    member : sparse matrix (s, n) of 0 and 1
        Which items each slice holds; slices may overlap.
    wrong : bool array (n,)
    strata : int64 array (n,)
        What goes wrong is shuffled within these (the classes), so that no slice is blamed for holding hard classes.
    draws : int
        Shuffled sets.
    seed : int

    Returns
    -------
    SliceTest

    Raises
    ------
    DataError
        If the shapes do not fit.
    """
    n = len(wrong)
    if member.shape[1] != n or strata.shape != (n,):
        raise DataError(f"slices of {member.shape[1]:,} items and strata of {len(strata):,} for {n:,} items.")
    order = np.argsort(strata, kind="stable")
    levels = np.unique(strata[order], return_inverse=True)[1]
    member, wrong = csr_matrix(member, dtype=np.float32)[:, order], np.asarray(wrong, bool)[order]
    counts = np.bincount(levels)
    of_stratum = csr_matrix((np.ones(n), (np.arange(n), levels)), shape=(n, len(counts)))
    within = np.asarray((member @ of_stratum).toarray())
    share = np.bincount(levels, wrong, len(counts)) / counts
    expected = within @ share
    # Hypergeometric: so many of the items of each stratum are drawn into the slice.
    spread = within * (counts - within) / np.maximum(counts - 1, 1) @ (share * (1 - share))
    scale = np.where(spread > 1e-9, np.sqrt(np.maximum(spread, 1e-9)), np.inf)
    hits = np.asarray(member @ wrong.astype(np.float32), np.float64)
    z = (hits - expected) / scale
    worst, rng = [], np.random.default_rng(seed)
    bounds = np.r_[0, np.cumsum(counts)]
    step = max(1, BLOCK // max(1, n))
    for start in range(0, draws, step):
        shuffled = np.empty((n, min(step, draws - start)), np.float32)
        for column in range(shuffled.shape[1]):
            for low, high in pairwise(bounds.tolist()):
                shuffled[low:high, column] = rng.permutation(wrong[low:high])
        worst.append(((member @ shuffled - expected[:, None]) / scale[:, None]).max(axis=0, initial=0.0))
    reached = np.sort(np.concatenate(worst)) if worst else np.empty(0)
    # Counted with a tolerance: sums of float32 may differ in the last bit.
    beyond = len(reached) - np.searchsorted(reached, z - 1e-4, side="left")
    sizes = np.asarray(member.sum(axis=1)).ravel()
    whole = [np.rint(values).astype(np.int64) for values in (sizes, hits)]
    return SliceTest(whole[0], whole[1], expected, z, (1 + beyond) / (1 + draws))
