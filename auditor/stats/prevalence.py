"""Accuracy as a function of the share of corrected items: closed form, crossovers and their simulation.

Keep all correctable items (C) and remove benign ones (B) at random: with m left the prevalence is
``N = |C| / (|C| + m)`` and the expected accuracy ``A(N) = N a_C + (1 - N) a_B`` (Northcutt et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from auditor.core.errors import DataError
from auditor.stats.resampling import row_patterns

#: Draws held in memory at once.
_BLOCK = 100


@dataclass(frozen=True)
class Crossover:
    """Where two models change places.

    Attributes
    ----------
    prevalence : Fraction
        N*, above `base` and below 1.
    base : Fraction
        N0, the prevalence of the whole pruned set.
    benign_left : Fraction
        Benign items left at N*; not rounded.
    """

    prevalence: Fraction
    base: Fraction
    benign_left: Fraction

    @property
    def increase(self) -> Fraction:
        """N* - N0, as a share; times 100 in percentage points."""
        return self.prevalence - self.base


def accuracy_at(prevalence: np.ndarray, benign: np.ndarray, correctable: np.ndarray) -> np.ndarray:
    """A(N), by broadcasting.

    Parameters
    ----------
    prevalence, benign, correctable : float array-like
        N, a_B and a_C.
    """
    share = np.asarray(prevalence, np.float64)
    return share * np.asarray(correctable, np.float64) + (1 - share) * np.asarray(benign, np.float64)


def benign_left(prevalence: float, n_benign: int, n_correctable: int) -> int:
    """Benign items to keep for a prevalence, rounded: ``|C| (1 - N) / N``.

    Raises
    ------
    DataError
        If the prevalence is below that of all items (removing cannot reach it) or above 1.
    """
    base = n_correctable / (n_correctable + n_benign) if n_correctable else 1.0
    if not n_correctable or not base * (1 - 1e-12) <= prevalence <= 1:
        raise DataError(
            f"prevalence {prevalence:g} cannot be reached by removing benign items.",
            f"It must lie between {base:.6g} and 1." if n_correctable else "There are no correctable items.",
        )
    return min(n_benign, round(n_correctable * (1 - prevalence) / prevalence))


def crossover(
    benign: tuple[int | Fraction, int | Fraction],
    n_benign: int,
    correctable: tuple[int | Fraction, int | Fraction],
    n_correctable: int,
) -> Crossover | None:
    """Where the curves of two models cross, or None.

    Exact, in fractions: ``N* = dB / (dB - dC)``. There is a crossover only if the differences have opposite signs
    and N0 < N* < 1; equal accuracies on either set are none.

    Parameters
    ----------
    benign, correctable : (int, int)
        Correct answers of the two models on B and on C. (Fractions are accepted for means over seeds.)
    n_benign, n_correctable : int
    """
    if not n_benign or not n_correctable:
        return None
    on_benign = Fraction(benign[0] - benign[1]) / n_benign
    on_correctable = Fraction(correctable[0] - correctable[1]) / n_correctable
    if on_benign * on_correctable >= 0:
        return None
    base = Fraction(n_correctable, n_correctable + n_benign)
    shares = on_benign / (on_benign - on_correctable)
    if not base < shares < 1:
        return None
    return Crossover(shares, base, n_correctable * (1 - shares) / shares)


def simulate(
    right: np.ndarray,
    correctable_right: np.ndarray,
    n_correctable: int,
    kept: int,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Accuracies after keeping `kept` random benign items, without the closed form.

    Items on which all models agree alike are drawn by their number, which is the same as drawing them one by one.

    Parameters
    ----------
    right : bool array (m, |B|)
    correctable_right : float array (m,)
        Correct answers on C.
    n_correctable, kept, draws : int
    rng : numpy Generator

    Returns
    -------
    float64 array (draws, m)
    """
    patterns, code = row_patterns(np.asarray(right, bool).T)
    size = np.bincount(code, minlength=len(patterns))
    result = np.empty((draws, patterns.shape[1]))
    for start in range(0, draws, _BLOCK):
        stop = min(draws, start + _BLOCK)
        drawn = rng.multivariate_hypergeometric(size, kept, size=stop - start, method="count")
        result[start:stop] = drawn.astype(np.float32) @ patterns.astype(np.float32)
    return (result + np.asarray(correctable_right, np.float64)) / (kept + n_correctable)


def simulated_sd(benign: float, n_benign: int, n_correctable: int, kept: int) -> float:
    """Standard deviation of one simulated accuracy (hypergeometric), from the accuracy on B."""
    if n_benign < 2:
        return 0.0
    variance = kept * benign * (1 - benign) * (n_benign - kept) / (n_benign - 1)
    return float(np.sqrt(max(0.0, variance)) / (kept + n_correctable))
