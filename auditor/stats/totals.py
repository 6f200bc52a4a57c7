"""How many labels are wrong in all, from a reviewed sample, with an interval.

The main estimator is the cross-fitted difference estimator (a prediction-powered, doubly robust total): a calibrated
model predicts every item, and the weighted errors of that prediction on the reviewed items correct its sum. It is
unbiased whatever the model is worth; a good model makes it narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaincinv

from auditor.core.errors import DataError
from auditor.stats.intervals import Interval, clopper_pearson
from auditor.stats.logistic import Platt, platt_scaling
from auditor.stats.sampling import AuditSample

#: Below this many draws the single number means next to nothing (one wrong draw of one makes it "all"): only its limits
#: are worth saying.
LEAST_FOR_A_NUMBER = 30
#: How the total is estimated and which limits it has, as stored in documents. Until 2026-11 the method read "difference
#: estimator" alone: normal limits, or exact ones from few finds.
METHOD = "difference estimator, limits of rare surprises"
#: Tail of every limit: intervals have a nominal coverage of 95 %.
_TAIL = 0.025
#: Every draw could have been a surprise with at least this chance over the number of draws, whatever the calibration
#: says. Between 0.003 and 0.1 the coverage hardly changes; at 0 it fell to 90 % where the model is too sure of itself.
_UNFORESEEN = 0.01
#: With fewer effective draws of surprises than this the limits cover more than they say.
FEW = 5


@dataclass(frozen=True)
class Total:
    """An estimated number of wrong labels.

    Attributes
    ----------
    estimate : Interval
        In items; limits in whole items, clipped to what is possible.
    method : str
    draws : int
        Reviews it rests on, repeated draws counted.
    found : int
        Different items among them with a wrong label.
    notes : tuple of str
        What a reader must know: few reviews, few surprises among them, clipped.
    """

    estimate: Interval
    method: str
    draws: int
    found: int
    notes: tuple[str, ...] = ()

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

    For each half of the draws a calibration f is fitted on the other half. The total is ``n (mean f + P - M)``, where P
    is the mean of the jumps ``w (1 - f)`` of the draws that were wrong and M that of the jumps ``w f`` of those that
    were right. Either is a sum of rare events of different weights, and gets limits of its own (`surprise_distances`);
    they are joined as limits of independent numbers (Zou and Donner 2008).

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
    n, draws, at = sample.n_items, len(sample), sample.positions
    if score.shape != (n,):
        raise DataError(f"{score.shape} scores for {n} items.")
    inside = np.ones(n, bool) if domain is None else np.asarray(domain, bool)
    half = rng.permutation(draws) % 2
    f, expected, sureness = np.empty(draws), np.empty(draws), np.zeros(2)
    for side in (0, 1):
        here, there = half == side, half != side
        model = _predictor(score[at[there]], wrong[there], sample.weights[there]) if there.any() else Platt(0.0, 0.0)
        predicted = model(score)
        f[here], expected[here] = predicted[at[here]], (predicted * inside).mean()
        sureness = np.maximum(sureness, [1 - predicted[inside].min(initial=1), predicted[inside].max(initial=0)])
    counted = inside[at]
    hits, others = wrong[counted], ~wrong[counted]
    # The jump of each draw if its label is wrong, and if it is right; what the calibration gives for either.
    upward, downward = (sample.weights * (1 - f))[counted], (sample.weights * f)[counted]
    most = sample.max_weight * sureness
    above = surprise_distances(upward, hits, f[counted], _UNFORESEEN / draws, most[0])
    below = surprise_distances(downward, others, 1 - f[counted], _UNFORESEEN / draws, most[1])
    scale = n / draws
    value = scale * (expected.sum() + upward[hits].sum() - downward[others].sum())
    low = value - scale * math.hypot(above.low, below.high)
    high = value + scale * math.hypot(above.high, below.low)
    squares, cubes = above.squares + below.squares, above.cubes + below.cubes
    few = squares**3 < FEW * cubes**2
    return _possible(Interval(float(value), low, high, 1 - 2 * _TAIL), sample, wrong & counted, inside, few)


@dataclass(frozen=True)
class SurpriseDistances:
    """How far the expected sum of rare jumps may lie below and above the sum that was drawn.

    `squares` and `cubes` are the sums over the jumps that it rests on, those that were not drawn included.
    """

    low: float
    high: float
    squares: float
    cubes: float


def surprise_distances(
    jumps: np.ndarray, drawn: np.ndarray, chance: np.ndarray, unforeseen: float, most: float, tail: float = _TAIL
) -> SurpriseDistances:
    """Limits of the expected value of a sum of rare events of different weights (a compound Poisson sum).

    The sum tells as much as ``k = m2^3 / m3^2`` events of the one weight ``m3 / m2``, m2 and m3 the sums of the squares
    and cubes of the jumps: so variance and skewness agree. The k events get Jeffreys' limits of a Poisson mean, the
    quantiles of a gamma distribution of shape ``k + 1/2``. m2 and m3 are those of the jumps drawn, or those expected of
    all draws where that m2 is larger, since few large jumps say little of how many there are. They hold one
    event more, which is there though it was not drawn: with the mean square and cube of the jumps that the other draws
    could have made, by their chance of having made them. With nothing drawn or expected and equal weights the upper
    limit is 3.67 weights; Clopper and Pearson's is 3.69.

    Parameters
    ----------
    jumps : float64 array (B,)
        What each draw adds if it is a surprise.
    drawn : bool array (B,)
        Whether it was one.
    chance : float64 array (B,)
        Of being one, as was expected without this draw.
    unforeseen : float
        Chance that is left where none was expected.
    most : float
        The largest jump any draw could have made; taken for the jump not drawn where all draws were surprises.
    tail : float
        Nominal share of misses on either side.

    Source
    ------
    Dobson, Kuulasmaa, Eberle and Scherer 1991 for limits of weighted Poisson sums from those of one count; Fay and
    Feuer 1997 for the event added to them; Brown, Cai and DasGupta 2003 for Jeffreys' limits.
    """
    powers = np.stack([jumps**2, jumps**3])
    moments, expected = powers[:, drawn].sum(axis=1), powers @ chance
    if expected[0] > moments[0]:
        moments = expected
    left = ~drawn
    if left.any():
        moments = moments + np.average(powers[:, left], axis=1, weights=chance[left] + unforeseen)
    else:
        moments = moments + np.array([most**2, most**3])
    squares, cubes = map(float, moments)
    # The jumps of a calibration that is sure and right are nothing, and so is what they leave open.
    if cubes <= 0:
        return SurpriseDistances(0.0, 0.0, 0.0, 0.0)
    weight = cubes / squares
    count = squares / weight**2
    low, high = gammaincinv(count + 0.5, [tail, 1 - tail])
    return SurpriseDistances(weight * (count - float(low)), weight * (float(high) - count), squares, cubes)


def _possible(found: Interval, sample: AuditSample, hits: np.ndarray, inside: np.ndarray, few: bool) -> Total:
    """The estimate within what the reviewed items allow, and what a reader must know of it."""
    draws, at = len(sample), sample.positions
    least = len(np.unique(at[hits]))
    most = int(inside.sum()) - len(np.unique(at[~hits & inside[at]]))
    notes = []
    if few:
        notes.append("few surprises among the reviews: the limits cover more than 95 %")
    if draws < LEAST_FOR_A_NUMBER:
        notes.append(f"fewer than {LEAST_FOR_A_NUMBER} reviews: the limits count, the number in between does not")
    if found.low < least or found.high > most:
        notes.append("limits clipped to what the reviews allow")
    # Labels are whole: rounding to the nearest number loses none that lay between the limits.
    low, high = (float(round(min(max(limit, least), most))) for limit in (found.low, found.high))
    value = min(max(found.value, low), high)
    return Total(Interval(value, low, high, found.level), METHOD, draws, least, tuple(notes))


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
