"""The class-pair side of confident learning: calibration, prune counts, noise matrices, issue counts.

Matrices are sparse: of the K x K pairs of classes no more than there are items, and K, hold anything. Every step
follows the order of operations of cleanlab 2.9 on the full matrix, because a last bit decides a rounding.
"""

from __future__ import annotations

from typing import Any, Literal

import numba
import numpy as np
from scipy.sparse import csr_array, diags_array

from auditor.core.errors import LabelError, UsageError
from auditor.engine.semantics import EPSILON, MATRIX_CLASSES, NOISE_RATE_CEILING, PRIOR_FLOOR, TINY

PriorMethod = Literal["cnt", "eqn", "marginal", "marginal_ps"]

#: Rounds of `latent` with converge, and the floor of its priors (cleanlab: converge_estimates, estimate_latent).
_OUTER_ROUNDS, _INNER_ROUNDS = 3, 5
_CONVERGED_PRIOR_FLOOR = 1e-5

#: Values that NumPy's pairwise sum adds in eight running sums before it halves.
_SUM_BLOCK = 128


@numba.njit(nogil=True, cache=True)
def _sum_block(at, values, first, last, start, size):  # type: ignore[no-untyped-def]
    lanes = np.zeros(8)
    in_lanes = size - size % 8 if size >= 8 else 0
    e = first
    while e < last and at[e] - start < in_lanes:
        lanes[(at[e] - start) % 8] += values[e]
        e += 1
    total = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
    for rest in range(e, last):
        total += values[rest]
    return total


@numba.njit(nogil=True, cache=True)
def _sum_sparse(at, values, first, last, size):  # type: ignore[no-untyped-def]
    """Sum of the entries first..last, which lie at `at` among `size` values, as NumPy adds all of these."""
    # Parts that wait (first and last entry, start, size; size 0: the two last sums are added), and finished sums.
    parts = np.empty((128, 4), np.int64)
    sums = np.empty(128)
    parts[0] = first, last, 0, size
    n_parts, n_sums = 1, 0
    while n_parts > 0:
        n_parts -= 1
        begin, end, start, length = parts[n_parts]
        if length == 0:
            n_sums -= 1
            sums[n_sums - 1] += sums[n_sums]
        elif begin == end:
            sums[n_sums] = 0.0
            n_sums += 1
        elif length <= _SUM_BLOCK:
            sums[n_sums] = _sum_block(at, values, begin, end, start, length)
            n_sums += 1
        else:
            half = length // 2
            half -= half % 8
            middle = begin + np.searchsorted(at[begin:end], start + half)
            parts[n_parts] = 0, 0, 0, 0
            parts[n_parts + 1] = middle, end, start + half, length - half
            parts[n_parts + 2] = begin, middle, start, half
            n_parts += 3
    return sums[0]


@numba.njit(nogil=True, cache=True)
def _sum_rows(offsets, columns, values, n_columns, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = _sum_sparse(columns, values, np.int64(offsets[k]), np.int64(offsets[k + 1]), n_columns)


def row_sums(matrix: csr_array) -> np.ndarray:
    """``matrix.toarray().sum(axis=1)`` of float64 values, to the last bit, without the array."""
    sums = np.empty(matrix.shape[0])
    _sum_rows(matrix.indptr, matrix.indices, matrix.data, matrix.shape[1], sums)
    return sums


def rows_of(matrix: csr_array) -> np.ndarray:
    """Row of every stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _with_values(matrix: csr_array, values: np.ndarray) -> csr_array:
    changed = csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape, copy=True)
    changed.eliminate_zeros()
    return changed


def round_rows(matrix: csr_array) -> csr_array:
    """Round each row to integers that add up to the rounded row total.

    Rounds half to even, then moves the entries with the largest (or smallest) remainders by one until the row
    adds up; tied remainders fall as ``numpy.argsort`` leaves them in the full row. Zeros stay zero: there are always
    enough entries whose remainder has the sign of what is missing.

    Parameters
    ----------
    matrix : float64 csr_array (m, k)

    Returns
    -------
    int64 csr_array (m, k)
    """
    rounded = np.rint(matrix.data)
    missing = np.rint(row_sums(matrix)) - np.bincount(rows_of(matrix), rounded, matrix.shape[0])
    for k in np.flatnonzero(np.abs(missing) > EPSILON):
        stored = slice(*matrix.indptr[k : k + 2])
        row = np.zeros(matrix.shape[1])
        row[matrix.indices[stored]] = matrix.data[stored]
        rounded[stored] = _round_row(row)[matrix.indices[stored]]
    return _with_values(matrix, rounded.astype(np.int64))


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


def cells_of(joint: csr_array) -> np.ndarray:
    """What occurs in a confident joint, int64 (cells, 3): given label, guessed label, count; by the labels."""
    return np.stack([rows_of(joint), joint.indices, joint.data], axis=1)


def joint_document(joint: csr_array) -> dict[str, Any]:
    """A confident joint as JSON values: the matrix, or above `MATRIX_CLASSES` classes its `cells_of`."""
    large = joint.shape[0] > MATRIX_CLASSES
    return {
        "confident_joint": None if large else joint.toarray().tolist(),
        "confident_pairs": cells_of(joint).tolist() if large else None,
    }


def raise_diagonal(joint: csr_array) -> csr_array:
    """Copy with every diagonal entry at least 1, as the returned confident joint has it."""
    return with_diagonal(joint, joint.diagonal().clip(min=1))


def with_diagonal(matrix: csr_array, diagonal: np.ndarray) -> csr_array:
    """Copy with another diagonal."""
    others = np.where(rows_of(matrix) == matrix.indices, 0, matrix.data)
    return csr_array(_with_values(matrix, others) + diags_array(diagonal, dtype=diagonal.dtype))


def calibrate(confident_joint: csr_array, class_counts: np.ndarray) -> csr_array:
    """Scale the rows of a confident joint to the class counts and round.

    Parameters
    ----------
    confident_joint : int csr_array (K, K)
        Rows are given labels, columns guessed labels.
    class_counts : int64 array (K,)

    Returns
    -------
    int64 csr_array (K, K)
        Row k adds up to ``class_counts[k]``; a class without rows gives a zero row.
    """
    given = rows_of(confident_joint)
    rows = np.clip(confident_joint.sum(axis=1), a_min=TINY, a_max=None)
    scaled = _with_values(confident_joint, confident_joint.data / rows[given] * class_counts[given])
    # The reference sums a transposed matrix, column by column, and the last bit of that decides roundings (7 of 400
    # random joints were off by one otherwise).
    columns = scaled.T.tocsr()
    flat = rows_of(columns) * len(class_counts) + columns.indices
    total = _sum_sparse(flat, columns.data, 0, len(flat), len(class_counts) ** 2)
    scaled.data = scaled.data / max(total, TINY) * int(class_counts.sum())
    return round_rows(scaled)


def estimate_joint(calibrated_joint: csr_array, class_counts: np.ndarray) -> csr_array:
    """Joint distribution of given and true labels, float64 csr_array (K, K), adding up to 1.

    The joint is calibrated once more first, as cleanlab's ``estimate_joint`` does with a given joint.
    """
    again = calibrate(calibrated_joint, class_counts)
    return _with_values(again, again.data / max(float(again.sum()), TINY))


def issue_count(joint: csr_array, class_counts: np.ndarray) -> int:
    """Number of issues a confident joint implies: cleanlab's ``num_label_issues`` with ``off_diagonal_custom``.

    With the calibrated joint it is ``off_diagonal_calibrated``. The ``off_diagonal`` variant is the size of the
    confident_learning mask.
    """
    share = 1.0 - estimate_joint(joint, class_counts).diagonal().sum()
    return int(np.rint(share * int(class_counts.sum())))


def paper_count(joint: csr_array, n_items: int) -> int:
    """The paper's own count: ``int((1 - trace / sum) * n)`` on the uncalibrated joint (cleanlab 1.0).

    `joint` has no raised diagonal. A joint without any confident row gives 0.
    """
    total = joint.sum()
    if total == 0:
        return 0
    return int((1.0 - joint.diagonal().sum() / total) * n_items)


def prune_counts(calibrated_joint: csr_array, min_examples_per_class: int = 1, frac_noise: float = 1.0) -> csr_array:
    """How many rows to prune from given class k toward class j.

    Parameters
    ----------
    calibrated_joint : int csr_array (K, K)
    min_examples_per_class : int
        No class is pruned below this size.
    frac_noise : float
        Share of the estimated noise to prune.

    Returns
    -------
    int64 csr_array (K, K)
        Entry ``[k, j]`` (cleanlab's matrix is its transpose); the diagonal holds what is kept.
    """
    given = rows_of(calibrated_joint)
    before = calibrated_joint.diagonal()
    diagonal = np.maximum(before, min_examples_per_class)
    # The 1 is taken off even where the diagonal is zero: that is what the reference does.
    shares = (diagonal - before) / np.maximum(np.diff(calibrated_joint.indptr) - 1, 1)
    work = np.maximum(calibrated_joint.data - shares[given], 0)
    work[given == calibrated_joint.indices] = 0
    reduced = work * frac_noise
    kept = diagonal + row_sums(_with_values(calibrated_joint, work - reduced))
    return with_diagonal(_with_values(calibrated_joint, reduced.astype(np.int64)), kept.astype(np.int64))


def prune_counts_for(counts: csr_array, class_counts: np.ndarray, remove_per_class: np.ndarray) -> csr_array:
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
    toward = counts.T.tocsr()  # [j, k], as in the reference
    row, totals = rows_of(toward), toward.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Row sums that divide the columns: the reference divides by the sums of the rows of R, broadcast.
        share = _with_values(toward, toward.data / totals[toward.indices])
        off = row_sums(share) - share.diagonal()
        scaled = share.data * wanted[row] / off[row]
    # In the reference a zero total makes a column of 0 / 0, and with it every sum, undefined; here that is 0.
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0) * bool(totals.all())
    return round_rows(with_diagonal(_with_values(share, scaled), class_counts - wanted)).T.tocsr()


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
