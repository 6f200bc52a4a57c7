"""Which tags of an item are wrong: a model of sets of tags, and of how they go wrong. Functions of arrays.

**Sets of tags.** log P(T | x) = sum_k T_k (a_k z_k + b_k) + sum_{j<k} W_jk T_j T_k up to a constant: z_k the log-odds
that a model predicted for tag k, a_k and b_k their calibration, W which tags go together (an Ising model, Besag 1974,
J. R. Stat. Soc. B 36). It is fitted to the given tags by the likelihood of each tag given the others, as tags of
which some were lost and some added (else the errors would pass for doubt), with priors that keep rare tags near all
others; and every item is judged by a fit that did not see it.

**How they go wrong.** Of the tags an item has, each gets lost with some rate, and each that it lacks is added with
another; or a tag is swapped for another one. A swap keeps the number of tags: where that is always one, say, a loss or
an addition alone would not be believed, a swap is. The rates are fitted by EM over what could be true: the given set,
and every set that is one loss, one addition or one swap away. Rates of a tag with few items are pooled towards those of
all tags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array

from auditor.detect.margins import LOG_FLOOR

#: Beyond so many tags pairs of them are not looked at: W has as many entries as pairs.
MOST_PAIRED = 600
#: Standard deviations of the priors of a around 1, of b around 0, and of a tag's own a (times the spread of z) and of
#: an entry of W around 0.
SLOPE, OFFSET, OWN_SLOPE, PAIR = 0.5, 1.0, 0.4, 0.58
#: Least common slope. Below, the labels contradict the probabilities, which are then taken at their word.
LEAST_SLOPE = 0.05
#: Steps of the fit, and of one that starts from a fit of nearly the same items.
ITERATIONS, MORE_ITERATIONS = 100, 30
EM_STEPS = 30
#: What else may be wrong with an item speaks against each thing that may be, as if one alone were wrong: a model that
#: is mistaken about an item is mistaken about several of its tags. But at most so much, relative to the given tags:
#: two errors that are sure do not hide one another.
ALONE = 3.0
#: Loss and addition while the potentials are fitted: one rate each for all tags, at most this. The prior of its
#: log-odds has this mean and standard deviation.
LARGEST_COMMON, COMMON_MEAN, COMMON_DEVIATION = 0.4, -3.0, 1.5
#: Tags that weigh as much as the rate of all tags in that of one.
POOLED = 20.0
#: Rates stay between these.
LEAST_RATE, LARGEST_RATE = 1e-5, 0.9
#: Share of what the noise explains, in log-likelihood, that swaps must explain beyond loss and addition. Where tags
#: were swapped it was .4 and more (scene, yeast; linear models and boosting), elsewhere .23 at most: confusions of the
#: model between two tags look like swaps.
SWAPS_EXPLAIN = 1 / 3
#: Exponents of P(T | x) whose log-odds are averaged, for the same reasons as in `auditor.detect.combined`: a model of
#: labels that are partly wrong is too unsure, and 1 counts too few. The last one counts how many are flagged.
BETAS = (1.0, 1.5)
#: Fields are kept within these before they are exponentiated.
_LARGEST_FIELD = 60.0


@dataclass(frozen=True, eq=False)
class Potentials:
    """Calibration of each tag, and which tags go together.

    Attributes
    ----------
    slope, offset : float64 arrays (K,)
    pairs : float64 array (K, K)
        Symmetric, zeros on the diagonal; (0, 0) where pairs are not looked at.
    """

    slope: np.ndarray
    offset: np.ndarray
    pairs: np.ndarray


@dataclass(frozen=True, eq=False)
class NoiseRates:
    """How often tags go wrong.

    Attributes
    ----------
    lost, added : float64 arrays (K,)
        P(a tag that the item has is not given), P(one that it lacks is).
    swapped : float
        P(a tag that the item has is given as another one); 0 where swaps are not looked at.
    """

    lost: np.ndarray
    added: np.ndarray
    swapped: float


@dataclass(frozen=True, eq=False)
class TagModel:
    """What is known of sets of tags and of their noise.

    Attributes
    ----------
    folds : tuple of Potentials
        Fold f was fitted without the items of fold f.
    rates : tuple of NoiseRates
        One for each of `BETAS`.
    """

    folds: tuple[Potentials, ...]
    rates: tuple[NoiseRates, ...]

    def judge(
        self, p: np.ndarray, tags: np.ndarray, fold: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Judge items.

        Parameters
        ----------
        p : float array (n, K)
            P(the item has the tag).
        tags : bool array (n, K)
        fold : int array (n,)

        Returns
        -------
        score : float64 array (n, K)
            Log-odds that the cell is wrong, the mean over `BETAS`.
        wrong : float32 array (n, K)
            P(the cell is wrong), of the last of `BETAS`.
        items : float64 array (n,)
            Log-odds that anything of the item is wrong, the mean over `BETAS`.
        any_wrong : float64 array (n,)
            P(anything of the item is wrong), of the last of `BETAS`.
        """
        slope, offset, pairs = (
            np.stack([getattr(f, name) for f in self.folds]) for name in ("slope", "offset", "pairs")
        )
        lost, added = (np.stack([getattr(r, name) for r in self.rates]) for name in ("lost", "added"))
        swap = np.array([r.swapped for r in self.rates])
        score, wrong = np.empty(p.shape), np.empty(p.shape, np.float32)
        items, any_wrong = np.empty(len(p)), np.empty(len(p))
        _judge(
            np.ascontiguousarray(p),
            tags,
            fold,
            slope,
            offset,
            pairs,
            np.exp(-pairs),
            np.array(BETAS),
            lost / (1 - added),
            added / (1 - lost),
            swap,
            score,
            wrong,
            items,
            any_wrong,
        )
        return score, wrong, items, any_wrong


def fit_tag_model(p: np.ndarray, tags: np.ndarray, fold: np.ndarray, n_folds: int) -> TagModel:
    """Fit the potentials of each fold to the other items, and the noise rates to what they say of their own.

    Parameters
    ----------
    p : float array (n, K)
        Out-of-sample P(the item has the tag).
    tags : bool array (n, K)
        The given tags.
    fold : int array (n,)
        0 .. n_folds - 1.
    n_folds : int
    """
    z = _log_odds_of(p)
    everything = fit_potentials(z, tags)
    folds = tuple(
        fit_potentials(z[fold != f], tags[fold != f], everything) if (fold == f).any() else everything
        for f in range(n_folds)
    )
    fields = np.empty(z.shape)
    for f, potentials in enumerate(folds):
        _fields(z, tags, fold == f, potentials, fields)
    rates = []
    for beta in BETAS:
        odds, factors = np.exp(beta * fields), np.exp(-beta * everything.pairs)
        alone, without = fit_rates(odds, tags, factors[:0, :0])
        swapping, with_swaps = fit_rates(odds, tags, factors)
        rates.append(swapping if with_swaps - without > SWAPS_EXPLAIN * with_swaps else alone)
    return TagModel(folds, tuple(rates))


def _log_odds_of(p: np.ndarray) -> np.ndarray:
    """log(p) - log(1 - p), each with `LOG_FLOOR`; float64."""
    p = p.astype(np.float64)
    return np.log(p + LOG_FLOOR) - np.log(1.0 - p + LOG_FLOOR)


def _fields(z: np.ndarray, tags: np.ndarray, rows: np.ndarray, potentials: Potentials, out: np.ndarray) -> None:
    """Log-odds of each tag given the other given tags, into the `rows`, bool (n,), of `out`, float64 (n, K)."""
    fields = z[rows] * potentials.slope + potentials.offset
    if len(potentials.pairs):
        fields += csr_array(tags[rows], dtype=np.float64) @ potentials.pairs
    out[rows] = np.clip(fields, -_LARGEST_FIELD, _LARGEST_FIELD)


def fit_potentials(z: np.ndarray, tags: np.ndarray, start: Potentials | None = None) -> Potentials:
    """The potentials of most posterior density, by L-BFGS.

    Parameters
    ----------
    z : float64 array (n, K)
    tags : bool array (n, K)
    start : Potentials, optional
        Of nearly the same items.
    """
    k = z.shape[1]
    paired = 1 < k <= MOST_PAIRED
    upper = np.triu_indices(k if paired else 0, 1)
    sparse = csr_array(tags, dtype=np.float64)
    transposed = csr_array(sparse.T)
    spread = max(float(z.std()), 1e-3) if z.size else 1.0
    residual = np.empty(z.shape)

    def pairs_of(packed: np.ndarray) -> np.ndarray:
        pairs = np.zeros((k, k) if paired else (0, 0))
        pairs[upper] = packed
        return pairs + pairs.T

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        common, own, offset, packed = theta[0], theta[1 : k + 1], theta[k + 1 : 2 * k + 1], theta[2 * k + 1 : -2]
        pairs = pairs_of(packed)
        together = sparse @ pairs if paired else np.zeros((1, 1))
        rates = LARGEST_COMMON / (1.0 + np.exp(-theta[-2:]))
        likelihood, by_lost, by_added = _residuals(
            z, tags, common + own, offset, together, rates[0], rates[1], residual
        )
        slopes, gradient = (residual * z).sum(axis=0), np.empty_like(theta)
        gradient[0] = -slopes.sum() + (common - 1) / SLOPE**2
        gradient[1 : k + 1] = -slopes + own * (spread / OWN_SLOPE) ** 2
        gradient[k + 1 : 2 * k + 1] = -residual.sum(axis=0) + offset / OFFSET**2
        if paired:
            both = transposed @ residual
            gradient[2 * k + 1 : -2] = -(both + both.T)[upper] + packed / PAIR**2
        share = rates / LARGEST_COMMON
        gradient[-2:] = (
            -np.array([by_lost, by_added]) * rates * (1 - share) + (theta[-2:] - COMMON_MEAN) / COMMON_DEVIATION**2
        )
        penalty = ((common - 1) / SLOPE) ** 2 + ((own * spread / OWN_SLOPE) ** 2).sum()
        penalty += (((theta[-2:] - COMMON_MEAN) / COMMON_DEVIATION) ** 2).sum()
        penalty += ((offset / OFFSET) ** 2).sum() + ((packed / PAIR) ** 2).sum()
        return -likelihood + penalty / 2, gradient

    theta = np.zeros(3 + 2 * k + len(upper[0]))
    theta[0], theta[-2:] = 1.0, COMMON_MEAN
    if start is not None:
        theta[0] = start.slope.mean()
        theta[1:-2] = np.concatenate([start.slope - theta[0], start.offset, start.pairs[upper]])
    steps = ITERATIONS if start is None else MORE_ITERATIONS
    bounds = [(LEAST_SLOPE, None)] + [(None, None)] * (len(theta) - 1)
    fit = minimize(loss, theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps})
    common, own, offset, packed = np.split(fit.x[:-2], [1, k + 1, 2 * k + 1])
    if common[0] <= LEAST_SLOPE:
        return Potentials(np.ones(k), np.zeros(k), pairs_of(0 * packed))
    return Potentials(np.maximum(common + own, 0.0), offset, pairs_of(packed))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _residuals(z, tags, slope, offset, together, lost, added, residual):  # type: ignore[no-untyped-def]
    """Log-likelihood of the tags where some were lost and added, its slope in the two rates, and in the fields into
    `residual`."""
    n, k = z.shape
    paired = together.shape[1] == k and together.shape[0] == n
    total = by_lost = by_added = 0.0
    for i in range(n):
        for j in range(k):
            field = slope[j] * z[i, j] + offset[j]
            if paired:
                field += together[i, j]
            e = np.exp(-abs(field))
            q = 1.0 / (1.0 + e) if field >= 0 else e / (1.0 + e)
            r = 1.0 - q if field < 0 else e / (1.0 + e)
            chance = (1.0 - lost) * q + added * r
            other = lost * q + (1.0 - added) * r
            if tags[i, j]:
                g = 1.0 / chance
                total += np.log(chance)
            else:
                g = -1.0 / other
                total += np.log(other)
            residual[i, j] = g * (1.0 - lost - added) * q * r
            by_lost -= g * q
            by_added += g * r
    return total, by_lost, by_added


def fit_rates(odds: np.ndarray, tags: np.ndarray, factors: np.ndarray) -> tuple[NoiseRates, float]:
    """The noise rates by EM, and what they add to the log-likelihood of the given tags over no noise.

    Parameters
    ----------
    odds : float64 array (n, K)
        exp of the log-odds of each tag given the other given tags.
    tags : bool array (n, K)
    factors : float64 array (K, K)
        exp of minus the pairs' entries; (0, 0): no swaps.
    """
    k = tags.shape[1]
    rates = NoiseRates(np.full(k, 0.05), np.full(k, 0.02), 0.03 if len(factors) else 0.0)
    wrong, swapped, items = np.empty(tags.shape), np.empty(tags.shape), np.empty(len(tags))
    n_given = tags.sum(axis=0)
    for step in range(EM_STEPS + 1):
        lost, added = rates.lost / (1 - rates.added), rates.added / (1 - rates.lost)
        _posterior(odds, tags, factors, lost, added, rates.swapped, wrong, swapped, items)
        if step == EM_STEPS:
            break
        alone = wrong - swapped
        has = np.where(tags, 1.0 - wrong, wrong).sum(axis=0)
        rates = NoiseRates(
            _pooled(np.where(tags, 0.0, alone).sum(axis=0), has),
            _pooled(np.where(tags, alone, 0.0).sum(axis=0), len(tags) - has),
            float(np.clip(np.where(tags, swapped, 0.0).sum() / (has.sum() + 10.0), LEAST_RATE, LARGEST_RATE))
            if len(factors)
            else 0.0,
        )
    right = n_given @ np.log1p(-rates.lost) + (len(tags) - n_given) @ np.log1p(-rates.added)
    right += n_given.sum() * np.log1p(-rates.swapped)
    return rates, float(np.logaddexp(0.0, items).sum() + right)


def _pooled(count: np.ndarray, exposed: np.ndarray) -> np.ndarray:
    common = (count.sum() + 0.5) / (exposed.sum() + 10.0)
    return np.clip((count + POOLED * common) / (exposed + POOLED), LEAST_RATE, LARGEST_RATE)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _judge_item(odds, tags, factors, power, lost, added, swap, wrong, swapped):  # type: ignore[no-untyped-def]
    """Weights of what else could be true, relative to the given tags: of each cell, and in all.

    `factors` are exp(-W) to be raised to `power`, 1 or 1.5; the odds already are.
    """
    k = len(odds)
    given = 0
    total = 0.0
    for j in range(k):
        swapped[j] = 0.0
        if tags[j]:
            given += 1
            wrong[j] = added[j] / odds[j]
        else:
            wrong[j] = lost[j] * odds[j]
        total += wrong[j]
    if factors.shape[0] == k and swap > 0 and 0 < given < k:
        for j in range(k):
            if tags[j]:
                share = swap / ((k - given) * odds[j])
                out = 0.0
                for m in range(k):
                    if not tags[m]:
                        factor = factors[j, m]
                        weight = share * odds[m] * (factor if power == 1.0 else factor * np.sqrt(factor))
                        swapped[m] += weight
                        out += weight
                swapped[j] = out
                total += out
    return total


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _posterior(odds, tags, factors, lost, added, swap, wrong, swapped, items):  # type: ignore[no-untyped-def]
    """P(wrong) of every cell into `wrong`, the part that swaps have in it into `swapped`, log-odds that anything is
    wrong into `items`."""
    for i in range(len(odds)):
        total = _judge_item(odds[i], tags[i], factors, 1.0, lost, added, swap, wrong[i], swapped[i])
        items[i] = np.log(total)
        for j in range(odds.shape[1]):
            weight = wrong[i, j] + swapped[i, j]
            norm = 1.0 / (1.0 + weight + min(total - weight, ALONE))
            wrong[i, j] = weight * norm
            swapped[i, j] *= norm


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _judge(p, tags, fold, slope, offset, pairs, factors, betas, lost, added, swap, score, wrong, items, any_wrong):  # type: ignore[no-untyped-def]
    """`TagModel.judge`; `factors` (folds, K, K) are exp(-W)."""
    n, k = p.shape
    paired = pairs.shape[1] == k
    odds, field, weights, swapped = np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    for i in range(n):
        f = fold[i]
        for j in range(k):
            value = min(max(np.float64(p[i, j]), 0.0), 1.0)
            z = np.log((value + 1e-4) / (1.0 - value + 1e-4))
            field[j] = slope[f, j] * z + offset[f, j]
            score[i, j] = 0.0
        if paired:
            for j in range(k):
                if tags[i, j]:
                    for m in range(k):
                        field[m] += pairs[f, j, m]
        items[i] = 0.0
        for b in range(len(betas)):
            for j in range(k):
                e = np.exp(betas[b] * min(max(field[j], -60.0), 60.0))
                odds[j] = e
            total = _judge_item(odds, tags[i], factors[f], betas[b], lost[b], added[b], swap[b], weights, swapped)
            items[i] += np.log(total) / len(betas)
            any_wrong[i] = total / (1.0 + total)
            for j in range(k):
                weight = weights[j] + swapped[j]
                rest = 1.0 + min(max(total - weight, 0.0), ALONE)
                score[i, j] += np.log(weight / rest) / len(betas)
                wrong[i, j] = weight / (weight + rest)
