"""How many labels are wrong in all, from a reviewed sample, with an interval.

The main estimator is the cross-fitted difference estimator (a prediction-powered, doubly robust total): a calibrated
model predicts every item, and the weighted errors of that prediction on the reviewed items correct its sum. It is
unbiased whatever the model is worth; a good model makes it narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from auditor.core.errors import DataError
from auditor.stats.intervals import Interval, clopper_pearson
from auditor.stats.logistic import Platt, platt_scaling
from auditor.stats.sampling import AuditSample

#: Below this many draws the normal interval covers less than it says (measured), and is called approximate.
APPROXIMATE_BELOW = 200
#: Below this many draws the single number means next to nothing (one wrong draw of one makes it "all"): only its limits
#: are worth saying.
LEAST_FOR_A_NUMBER = 30
#: Multiple of the standard error, for a nominal 95 %. With `allow_for_overlooked` it covers what it says from 200 draws
#: on (`benchmarks/statistics_coverage.py`); 2.24, which made up for what the model overlooks, covered 97 to 99 %.
MULTIPLE = 1.96
#: With fewer reviewed items of either kind a normal interval means nothing and an exact bound takes its place.
FEW = 5
#: 1 - level of the one-sided bound on errors the model overlooks.
OVERLOOKED_LEVEL = 0.05


@dataclass(frozen=True)
class Total:
    """An estimated number of wrong labels.

    Attributes
    ----------
    estimate : Interval
        In items; clipped to what is possible.
    method : str
    draws : int
        Reviews it rests on, repeated draws counted.
    found : int
        Different items among them with a wrong label.
    notes : tuple of str
        What a reader must know: approximate, exact bound used, clipped.
    exact : bool
        Whether the limits are an exact bound on all wrong labels, seen and unseen.
    """

    estimate: Interval
    method: str
    draws: int
    found: int
    notes: tuple[str, ...] = ()
    exact: bool = False

    @property
    def says_a_number(self) -> bool:
        """Whether the value may be quoted; otherwise only the limits."""
        return not 0 < self.draws < LEAST_FOR_A_NUMBER


def interval_words(found: Interval) -> str:
    """``390 [345, 435]``."""
    return f"{found.value:,.0f} [{found.low:,.0f}, {found.high:,.0f}]"


def number_words(total: Total) -> str:
    """``390 [345, 435]``, or ``between 3 and 9,996`` where the reviews are too few for a single number."""
    e = total.estimate
    return interval_words(e) if total.says_a_number else f"between {e.low:,.0f} and {e.high:,.0f}"


def _checked(sample: AuditSample, wrong: np.ndarray) -> np.ndarray:
    wrong = np.asarray(wrong)
    if wrong.shape != (len(sample),):
        raise DataError(f"{len(sample)} draws and outcomes of shape {wrong.shape}.")
    if wrong.dtype != np.bool_ and not np.isin(wrong, (0, 1)).all():
        raise DataError("outcomes must be true (the label is wrong) or false.")
    if len(sample) == 0:
        raise DataError("there are no reviews to estimate from.")
    return wrong.astype(bool)


def _predictor(score: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> Platt:
    """Platt scaling; the weighted share where one kind of verdict is missing."""
    if wrong.all() or not wrong.any():
        share = float(np.average(wrong, weights=weights))
        return Platt(0.0, math.inf if share == 1 else -math.inf)
    return platt_scaling(score, wrong, weights)


def estimate_total(
    score: np.ndarray,
    sample: AuditSample,
    wrong: np.ndarray,
    rng: np.random.Generator,
    *,
    domain: np.ndarray | None = None,
) -> Total:
    """Cross-fitted importance-sampled difference estimator of the number of wrong labels, nominal 95 %.

    For each half of the draws a calibration f is fitted on the other half, and ``z_i = mean_j f(s_j) +
    w_i (e_i - f(s_i))``; the total is ``n mean(z)`` and its standard error ``n sd(z) / sqrt(B)``. With fewer than
    5 reviewed items of either kind the limits come from an exact binomial bound instead (every draw hits a given
    wrong label with probability at least its share under the smallest possible weight).

    Parameters
    ----------
    score : float64 array (n,)
        Higher = more suspicious; log-odds work best.
    sample : AuditSample
        Over the same n items.
    wrong : bool array (B,)
        Outcome of each draw.
    rng : numpy Generator
        Splits the draws into halves.
    domain : bool array (n,), optional
        Count only these items, e.g. those of a class.

    Returns
    -------
    Total

    Raises
    ------
    DataError
        No draws, or shapes that do not fit.
    """
    wrong = _checked(sample, wrong)
    score = np.asarray(score, np.float64)
    n, draws = sample.n_items, len(sample)
    if score.shape != (n,):
        raise DataError(f"{score.shape} scores for {n} items.")
    inside = np.ones(n, bool) if domain is None else np.asarray(domain, bool)
    at = sample.positions
    half = rng.permutation(draws) % 2
    z = np.empty(draws)
    for side in (0, 1):
        here, there = half == side, half != side
        f = _predictor(score[at[there]], wrong[there], sample.weights[there]) if there.any() else Platt(0.0, 0.0)
        predicted = f(score)
        z[here] = (predicted * inside).mean() + sample.weights[here] * inside[at[here]] * (
            wrong[here] - predicted[at[here]]
        )
    hits = wrong & inside[at]
    return _with_limits(z, sample, hits, inside)


def _with_limits(z: np.ndarray, sample: AuditSample, hits: np.ndarray, inside: np.ndarray) -> Total:
    n, draws, frame = sample.n_items, len(sample), int(inside.sum())
    value = float(n * z.mean())
    wrong_items = len(np.unique(sample.positions[hits]))
    right = len(np.unique(sample.positions[~hits & inside[sample.positions]]))
    least, most = wrong_items, frame - right
    notes = []
    few = min(int(hits.sum()), int((~hits).sum())) < FEW or draws < 2
    if few:
        low, high = _exact_limits(sample, hits, inside)
        notes.append("few reviews of one kind: limits from an exact bound, which is wide")
    else:
        error = n * float(z.std(ddof=1)) / math.sqrt(draws)
        multiple = MULTIPLE if draws >= APPROXIMATE_BELOW else _wider_multiple(z)
        low, high = value - multiple * error, value + multiple * error
        if draws < APPROXIMATE_BELOW:
            notes.append(f"fewer than {APPROXIMATE_BELOW} reviews: the interval is approximate")
    if draws < LEAST_FOR_A_NUMBER:
        notes.append(f"fewer than {LEAST_FOR_A_NUMBER} reviews: the limits count, the number in between does not")
    if low < least or high > most:
        notes.append("limits clipped to what the reviews allow")
    low, high = min(max(low, least), most), max(min(high, most), least)
    value = min(max(value, low), high)
    return Total(Interval(value, low, high, 0.95), "difference estimator", draws, wrong_items, tuple(notes), few)


def _wider_multiple(z: np.ndarray) -> float:
    """Student's quantile with the degrees of freedom that the kurtosis of few draws leaves their variance.

    ``df = 2 B / (kurtosis - 1)`` (Satterthwaite's matching: the variance of ``s^2`` is about
    ``sigma^4 (kurtosis - 1) / B``); at least 2.
    """
    spread = float(z.var())
    kurtosis = float(((z - z.mean()) ** 4).mean()) / spread**2 if spread > 0 else 3.0
    return float(student.isf(0.025, max(2.0, 2 * len(z) / max(kurtosis - 1, 1.0))))


def _exact_limits(sample: AuditSample, hits: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Bounds on the total from the number of hits alone.

    A wrong item is drawn with probability at least 1 / (n w_max), so the hits are at least as many as a binomial with
    share N / (n w_max); the same holds for the items that are right.
    """
    n, draws, frame = sample.n_items, len(sample), int(inside.sum())
    right = int((~hits & inside[sample.positions]).sum())
    scale = n * sample.max_weight
    wrong_high = scale * clopper_pearson(int(hits.sum()), draws).high
    right_high = scale * clopper_pearson(right, draws).high
    return max(0.0, frame - right_high), min(float(frame), wrong_high)


def allow_for_overlooked(total: Total, trusted: int, uniform_draws: int, most: float) -> Total:
    """Widen the upper limit where no draw says how many errors the model overlooks.

    A normal interval knows of rare surprises only when one was drawn. Where none of the draws from the items the
    model trusts was wrong, it can shrink to nothing: with a model that separates nearly all errors it covered 77 to
    85 % instead of 95 % (3,000 items, 200 to 500 draws). Then those items get an exact one-sided 95 % bound on top:
    ``trusted (1 - 0.05^(1 / uniform draws))``.

    Parameters
    ----------
    total : Total
    trusted : int
        Items the model trusts.
    uniform_draws : int
        Uniform draws among them, none of which was wrong.
    most : float
        No limit lies above this.
    """
    hidden = trusted * (1 - OVERLOOKED_LEVEL ** (1 / uniform_draws)) if uniform_draws else float(trusted)
    e = total.estimate
    if total.exact:
        return total
    high = min(e.high + hidden, most)
    if high <= e.high:
        return total
    note = (
        f"no wrong label was drawn among the {trusted:,} items the model trusts: the upper limit allows for up to "
        f"{hidden:,.0f} there"
    )
    return replace(total, estimate=replace(e, high=high), notes=(*total.notes, note))


def uniform_total(wrong: np.ndarray, n_items: int, level: float = 0.95) -> Total:
    """Plain estimate from uniformly drawn reviews: exact interval (Clopper-Pearson) times the number of items."""
    wrong = np.asarray(wrong, bool)
    if len(wrong) == 0:
        raise DataError("there are no reviews to estimate from.")
    share = clopper_pearson(int(wrong.sum()), len(wrong), level)
    return Total(share.scaled(n_items), "uniform sample, exact", len(wrong), int(wrong.sum()))


def stratified_total(stratum: np.ndarray, positions: np.ndarray, wrong: np.ndarray, level: float = 0.95) -> Total:
    """Sum over strata with an exact simultaneous interval: Clopper-Pearson per stratum at Bonferroni's level.

    Covers at least `level`, usually far more: wide, but right for any number of finds. (A Beta posterior per stratum
    would be narrower and cover as little as 73 %.)

    Parameters
    ----------
    stratum : int array (n,)
        Stratum of every item.
    positions : int array (B,)
        Items reviewed, drawn uniformly within their stratum.
    wrong : bool array (B,)
    """
    stratum, wrong = np.asarray(stratum), np.asarray(wrong, bool)
    positions = np.asarray(positions, np.int64)
    if len(wrong) == 0 or wrong.shape != positions.shape:
        raise DataError(f"{positions.shape} reviewed items and {wrong.shape} outcomes.")
    names, sizes = np.unique(stratum, return_counts=True)
    each = 1 - (1 - level) / len(names)
    value = low = high = 0.0
    unseen = 0
    for name, size in zip(names, sizes, strict=True):
        here = stratum[positions] == name
        share = clopper_pearson(int(wrong[here].sum()), int(here.sum()), each)
        if not here.any():
            unseen += 1
        value += size * (share.value if here.any() else 0.0)
        low += size * share.low
        high += size * share.high
    notes = (f"{unseen} of {len(names)} strata have no review",) if unseen else ()
    wrong_items = len(np.unique(positions[wrong]))
    return Total(Interval(value, low, high, level), "stratified, exact", len(wrong), wrong_items, notes)


def accuracy_from_pairs(differ: int, pairs: int, level: float = 0.95) -> Interval:
    """Share of single verdicts that are right, from pairs of independent verdicts on the same items.

    With the same share of mistakes e on right and on wrong labels, two verdicts differ on ``2 e (1 - e)`` of the items;
    solved for ``1 - e`` at the observed share and at its exact limits (Clopper and Pearson). It then is sensitivity and
    specificity alike, as `correct_for_reviewer` takes them. That mistakes in both directions are equally
    frequent is an assumption: agreement alone cannot tell them apart.

    Parameters
    ----------
    differ, pairs : int
        Pairs that differ, of all; at least one pair.
    level : float

    Returns
    -------
    Interval
        In [0.5, 1]; 0.5 where two verdicts agree no more than coins do.
    """
    share = clopper_pearson(differ, pairs, level)
    value, low, high = (1 - (1 - math.sqrt(max(0.0, 1 - 2 * s))) / 2 for s in (share.value, share.high, share.low))
    return Interval(value, low, high, level)


def correct_for_reviewer(
    total: Total, n_items: int, sensitivity: Interval, specificity: Interval | None = None
) -> Total:
    """Rogan and Gladen's correction (1978) for reviewers who miss errors or see some that are none.

    ``N = (N_seen + n (sp - 1)) / (se + sp - 1)``. A specificity of 0.98 alone adds about 2 % of all items to what
    reviewers see. The limits join those of the inputs, taken for independent, by the method of variance estimates
    recovery (Zou and Donner 2008): ``low = N - sqrt(sum_j (N - N_j)^2)``, N_j the correction with input j at the limit
    that lowers it; likewise above.

    Parameters
    ----------
    total : Total
        As the reviewers see it.
    n_items : int
    sensitivity : Interval
        Share of wrong labels that one verdict calls wrong.
    specificity : Interval, optional
        Share of right labels that one verdict calls right; None if it is the same unknown number as the sensitivity
        (`accuracy_from_pairs`).

    Raises
    ------
    DataError
        Sensitivity and specificity together do not beat guessing (sum at most 1), also at their lower limits.
    """
    se, sp = sensitivity, sensitivity if specificity is None else specificity
    if se.low + sp.low <= 1:
        raise DataError(
            f"the reviewers are hardly better than guessing (sensitivity from {se.low:.2f}, specificity from "
            f"{sp.low:.2f}): no correction is possible.",
            "Collect more duplicated reviews or planted controls.",
        )

    def corrected(seen: float, se: float, sp: float) -> float:
        return (seen + n_items * (sp - 1)) / (se + sp - 1)

    seen = total.estimate
    value = corrected(seen.value, se.value, sp.value)
    pairs = [[corrected(s, se.value, sp.value) for s in (seen.low, seen.high)]]
    if specificity is None:
        pairs.append([corrected(seen.value, both, both) for both in (se.low, se.high)])
    else:
        pairs.append([corrected(seen.value, s, sp.value) for s in (se.low, se.high)])
        pairs.append([corrected(seen.value, se.value, s) for s in (sp.low, sp.high)])
    below = math.sqrt(sum(max(0.0, value - min(pair)) ** 2 for pair in pairs))
    above = math.sqrt(sum(max(0.0, max(pair) - value) ** 2 for pair in pairs))
    value, low, high = (min(max(x, 0.0), float(n_items)) for x in (value, value - below, value + above))
    method = f"{total.method}, corrected for reviewers"
    return replace(total, estimate=Interval(value, low, high, seen.level), method=method)
