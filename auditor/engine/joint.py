"""The K x K side of confident learning: calibration, prune counts, noise matrices, issue counts.

Every step follows the order of operations of cleanlab 2.9, because a last bit decides a rounding.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from auditor.core.errors import LabelError, UsageError
from auditor.engine.semantics import EPSILON, NOISE_RATE_CEILING, PRIOR_FLOOR, TINY

PriorMethod = Literal["cnt", "eqn", "marginal", "marginal_ps"]

#: Rounds of `latent` with converge, and the floor of its priors (cleanlab: converge_estimates, estimate_latent).
_OUTER_ROUNDS, _INNER_ROUNDS = 3, 5
_CONVERGED_PRIOR_FLOOR = 1e-5


def round_rows(matrix: np.ndarray) -> np.ndarray:
    """Round each row to integers that add up to the rounded row total.

    Rounds half to even, then moves the entries with the largest (or smallest) remainders by one until the row
    adds up; tied remainders fall as ``numpy.argsort`` leaves them.

    Parameters
    ----------
    matrix : float64 array (m, k)

    Returns
    -------
    int64 array (m, k)
    """
    rows = [_round_row(np.ascontiguousarray(row, dtype=np.float64)) for row in matrix]
    return np.array(rows).astype(np.int64)


def _round_row(row: np.ndarray) -> np.ndarray:
    rounded = np.rint(row)
    total = np.rint(np.sum(row))
    while True:
        off = total - np.rint(np.sum(rounded))
        if not abs(off) > EPSILON:
            return rounded
        count = min(int(abs(off)), len(row))
        order = np.argsort(row - rounded)
        if off > 0:
            rounded[order[::-1][:count]] += 1
        else:
            rounded[order[:count]] -= 1


def raise_diagonal(joint: np.ndarray) -> np.ndarray:
    """Copy with every diagonal entry at least 1, as the returned confident joint has it."""
    raised = joint.copy()
    np.fill_diagonal(raised, joint.diagonal().clip(min=1))
    return raised


def calibrate(confident_joint: np.ndarray, class_counts: np.ndarray) -> np.ndarray:
    """Scale the rows of a confident joint to the class counts and round.

    Parameters
    ----------
    confident_joint : int array (K, K)
        Rows are given labels, columns guessed labels.
    class_counts : int64 array (K,)

    Returns
    -------
    int64 array (K, K)
        Row k adds up to ``class_counts[k]``; a class without rows gives a zero row.
    """
    rows = np.clip(confident_joint.sum(axis=1), a_min=TINY, a_max=None)
    # The division happens on the transpose, so that the result is column-major: the sum below then adds in
    # memory order, and its last bit decides roundings (7 of 400 random joints were off by one otherwise).
    scaled = (np.asarray(confident_joint, order="F").T / rows * class_counts).T
    scaled = scaled / np.clip(np.sum(scaled), a_min=TINY, a_max=None) * int(class_counts.sum())
    return round_rows(scaled)


def estimate_joint(calibrated_joint: np.ndarray, class_counts: np.ndarray) -> np.ndarray:
    """Joint distribution of given and true labels, float64 (K, K), adding up to 1.

    The joint is calibrated once more first, as cleanlab's ``estimate_joint`` does with a given joint.
    """
    again = calibrate(calibrated_joint, class_counts)
    return again / np.clip(float(np.sum(again)), a_min=TINY, a_max=None)


def issue_count(joint: np.ndarray, class_counts: np.ndarray) -> int:
    """Number of issues a confident joint implies: cleanlab's ``num_label_issues`` with ``off_diagonal_custom``.

    With the calibrated joint it is ``off_diagonal_calibrated``. The ``off_diagonal`` variant is the size of the
    confident_learning mask.
    """
    share = 1.0 - estimate_joint(joint, class_counts).trace()
    return int(np.rint(share * int(class_counts.sum())))


def paper_count(joint: np.ndarray, n_items: int) -> int:
    """The paper's own count: ``int((1 - trace / sum) * n)`` on the uncalibrated joint (cleanlab 1.0).

    `joint` has no raised diagonal. A joint without any confident row gives 0.
    """
    total = joint.sum()
    if total == 0:
        return 0
    return int((1.0 - joint.trace() / total) * n_items)


def prune_counts(calibrated_joint: np.ndarray, min_examples_per_class: int = 1, frac_noise: float = 1.0) -> np.ndarray:
    """How many rows to prune from given class k toward class j.

    Parameters
    ----------
    calibrated_joint : int array (K, K)
    min_examples_per_class : int
        No class is pruned below this size.
    frac_noise : float
        Share of the estimated noise to prune.

    Returns
    -------
    int64 array (K, K)
        Entry ``[j, k]``; the diagonal holds what is kept.
    """
    by_given = calibrated_joint.T
    diagonal = np.maximum(by_given.diagonal(), min_examples_per_class)
    added = diagonal - by_given.diagonal()
    nonzero = np.count_nonzero(by_given, axis=0)
    # The 1 is taken off even where the diagonal is zero: that is what the reference does.
    work = by_given - added / np.maximum(nonzero - 1, 1)
    work[work < 0] = 0
    np.fill_diagonal(work, diagonal)
    reduced = work * frac_noise
    np.fill_diagonal(reduced, work.diagonal())
    kept = diagonal + np.sum(work - reduced, axis=0)
    np.fill_diagonal(reduced, kept)
    return reduced.astype(np.int64)


def prune_counts_for(counts: np.ndarray, class_counts: np.ndarray, remove_per_class: np.ndarray) -> np.ndarray:
    """Replace prune counts so that class k loses `remove_per_class[k]` rows (``num_to_remove_per_class``).

    Raises
    ------
    UsageError
        If `remove_per_class` has another length than the classes, or asks for more rows than there are.
    """
    wanted = np.asarray(remove_per_class)
    if wanted.shape != class_counts.shape:
        raise UsageError(f"num_to_remove_per_class has shape {wanted.shape}; {len(class_counts)} numbers are needed.")
    if ((wanted < 0) | (wanted > class_counts)).any():
        k = int(np.flatnonzero((wanted < 0) | (wanted > class_counts))[0])
        raise LabelError(
            f"num_to_remove_per_class asks to remove {wanted[k]} of the {class_counts[k]} rows of class {k}."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        # Row sums that divide the columns: the reference divides by the sums of the rows of R, broadcast.
        share = counts / counts.sum(axis=1)
        off = share.sum(axis=1) - share.diagonal()
        scaled = (share.T * wanted / off).T
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
    np.fill_diagonal(scaled, class_counts - wanted)
    return round_rows(scaled)


def latent(
    joint: np.ndarray, class_counts: np.ndarray, py_method: PriorMethod = "cnt", converge: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True class priors and noise matrices implied by a confident joint.

    Parameters
    ----------
    joint : int array (K, K)
        Rows are given labels, columns true labels.
    class_counts : int64 array (K,)
    py_method : {"cnt", "eqn", "marginal", "marginal_ps"}
        How the priors are computed; names and formulas of cleanlab's ``compute_py``.
    converge : bool
        Iterate priors and matrices until they agree better (``converge_latent_estimates``).

    Returns
    -------
    priors : float64 (K,)
        P(true = k).
    noise_matrix : float64 (K, K)
        ``[given, true]``, columns add up to 1.
    inverse_noise_matrix : float64 (K, K)
        ``[true, given]``, columns add up to 1.

    Raises
    ------
    UsageError
        Unknown `py_method`, or "eqn" with a noise matrix that cannot be inverted.
    """
    given_priors = class_counts / float(class_counts.sum())
    true_totals = joint.sum(axis=0).astype(float)
    noise = joint / _at_least_tiny(true_totals)
    inverse = joint.T / _at_least_tiny(joint.sum(axis=1).astype(float))
    priors = _priors(given_priors, noise, inverse, true_totals, py_method)
    noise, inverse = _clip_noise_rates(noise), _clip_noise_rates(inverse)
    if converge:
        for _ in range(_OUTER_ROUNDS):
            for _ in range(_INNER_ROUNDS):
                inverse = _clip_noise_rates((noise * priors).T / _at_least_tiny(given_priors))
                priors = _priors(given_priors, noise, inverse, true_totals, "cnt")
            noise = _clip_noise_rates((inverse * given_priors).T / _at_least_tiny(priors))
        priors = _normalised(np.clip(priors, _CONVERGED_PRIOR_FLOOR, 1.0))
        noise, inverse = _clip_noise_rates(noise), _clip_noise_rates(inverse)
    return priors, noise, inverse


def _at_least_tiny(values: np.ndarray) -> np.ndarray:
    return np.clip(values, a_min=TINY, a_max=None)


def _normalised(values: np.ndarray) -> np.ndarray:
    return values * 1.0 / np.clip(np.sum(values), a_min=TINY, a_max=None)


def _priors(
    given_priors: np.ndarray, noise: np.ndarray, inverse: np.ndarray, true_totals: np.ndarray, method: str
) -> np.ndarray:
    if method == "cnt":
        priors = inverse.diagonal() / _at_least_tiny(noise.diagonal()) * given_priors
    elif method == "eqn":
        try:
            priors = np.linalg.inv(noise).dot(given_priors)
        except np.linalg.LinAlgError as error:
            raise UsageError(
                f"py_method 'eqn': the noise matrix cannot be inverted ({error}).", "Use py_method 'cnt'."
            ) from error
    elif method == "marginal":
        priors = true_totals / np.clip(float(sum(true_totals)), a_min=TINY, a_max=None)
    elif method == "marginal_ps":
        priors = np.dot(inverse, given_priors)
    else:
        raise UsageError(f"unknown py_method {method!r}.", "Choose from cnt, eqn, marginal, marginal_ps.")
    return _normalised(np.clip(priors, PRIOR_FLOOR, 1.0))


def _clip_noise_rates(matrix: np.ndarray) -> np.ndarray:
    clipped = np.clip(matrix, 0, NOISE_RATE_CEILING)
    np.fill_diagonal(clipped, matrix.diagonal())
    return clipped / np.clip(clipped.sum(axis=0), a_min=TINY, a_max=None)
