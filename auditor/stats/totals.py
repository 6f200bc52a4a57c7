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
#: How the total is estimated and which limits it has, as stored in documents. "difference estimator" alone were normal
#: limits, or exact ones from few finds; without "of distinct items" an item drawn twice counted twice.
METHOD = "difference estimator of distinct items, limits of rare surprises"
#: Tail of every limit: intervals have a nominal coverage of 95 %.
_TAIL = 0.025
#: Every draw could have been a surprise with at least this chance over the number of draws, whatever the calibration
#: says. Between 0.003 and 0.1 the coverage hardly changes; at 0 it fell to 90 % where the model is too sure of itself.
_UNFORESEEN = 0.01
#: With fewer effective draws of surprises than this the limits cover more than they say.
FEW = 5
#: With fewer than this the limits are rounded outwards: a calibration by one or two finds is too sure of itself, which
#: shows where the limits are a label or two apart (with 0 here, 500 items with one wrong label are covered at 81 %).
_OUTWARD = 2


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
    """Cross-fitted difference estimator of the number of wrong labels among all items, nominal 95 %.

    For each half of the different items that were drawn a calibration f is fitted on the other half. The total is the
    wrong labels that were seen, and for the unseen items the mean of both calibrations, corrected by what the seen ones
    stand for: ``sum_unseen f + sum_seen (f + (y - f) / pi)``, pi the chance that the item was drawn at all (Horvitz and
    Thompson 1952). The jumps ``(1 - f) / pi`` of the items that were wrong and those ``f / pi`` of the items that were
    right are two sums of rare events of different weights; either gets limits of its own (`surprise_distances`), and
    they are joined as limits of independent numbers (Zou and Donner 2008).

    Parameters
    ----------
    score : float64 array (n,)
        Higher = more suspicious; log-odds work best.
    sample : AuditSample
        Over the same n items.
    wrong : bool array (B,)
        Outcome of each draw; the same wherever an item was drawn again.
    rng : numpy Generator
        Splits the items drawn into halves.
    domain : bool array (n,), optional
        Count only these items, e.g. those of a class.

    Returns
    -------
    Total

    Raises
    ------
    DataError
        No draws, shapes that do not fit, or an item with two outcomes.
    """
    wrong = _checked(sample, wrong)
    score = np.asarray(score, np.float64)
    n, draws = sample.n_items, len(sample)
    if score.shape != (n,):
        raise DataError(f"{score.shape} scores for {n} items.")
    inside = np.ones(n, bool) if domain is None else np.asarray(domain, bool)
    items, first, again = np.unique(sample.positions, return_index=True, return_inverse=True)
    outcome = wrong[first]
    if (outcome[again] != wrong).any():
        raise DataError("an item that was drawn twice has two outcomes.")
    inclusion = sample.inclusion(sample.weights[first])
    half = rng.permutation(len(items)) % 2
    predicted = np.empty((2, n))
    for side in (0, 1):
        there = half != side
        weights = draws / (n * inclusion[there])
        model = _predictor(score[items[there]], outcome[there], weights) if there.any() else Platt(0.0, 0.0)
        predicted[side] = model(score)
    unseen, counted = inside.copy(), inside[items]
    unseen[items] = False
    items, outcome, inclusion, f = (v[counted] for v in (items, outcome, inclusion, predicted[half, items]))
    value = float(predicted[:, unseen].sum() / 2 + (f + (outcome - f) / inclusion).sum())
    # The largest jump that an item could have made, upwards and downwards.
    least = float(sample.inclusion(sample.max_weight))
    sureness = 1 - predicted[:, inside].min(initial=1), predicted[:, inside].max(initial=0)
    most = [jump_powers(np.array([sure / least]), np.array([least]))[:, 0] for sure in sureness]
    upward, downward = (jump_powers(residual / inclusion, inclusion) for residual in (1 - f, f))
    missed = 1 - inclusion
    above = surprise_distances(upward, outcome, f, missed, _UNFORESEEN / draws, most[0])
    below = surprise_distances(downward, ~outcome, 1 - f, missed, _UNFORESEEN / draws, most[1])
    low, high = value - math.hypot(above.low, below.high), value + math.hypot(above.high, below.low)
    interval = Interval(value, low, high, 1 - 2 * _TAIL)
    effective = _effective(above.squares + below.squares, above.cubes + below.cubes)
    found = int(outcome.sum())
    return _possible(interval, draws, found, int(inside.sum()) - len(items) + found, effective)


def jump_powers(jumps: np.ndarray, inclusion: np.ndarray) -> np.ndarray:
    """What items that were drawn say of the variance and of the skewness of the number they stand for, (2, m).

    An item seen with chance pi stands for a negative binomial number of unseen ones, of variance
    ``(1 - pi) jump^2`` and third central moment ``(1 - pi) (2 - pi) jump^3``; the latter is halved, as a gamma
    distribution has it. A small pi leaves ``jump^2`` and ``jump^3``; where every item was drawn nothing is open.

    Parameters
    ----------
    jumps : float64 array (m,)
        What each adds to the total.
    inclusion : float64 array (m,)
        Chance of having been drawn at all.
    """
    return np.stack([(1 - inclusion) * jumps**2, (1 - inclusion) * (1 - inclusion / 2) * jumps**3])


@dataclass(frozen=True)
class SurpriseDistances:
    """How far the expected sum of rare jumps may lie below and above the sum that was drawn.

    `squares` and `cubes` are the sums over the jumps that it rests on, those that were not drawn included.
    """

    low: float
    high: float
    squares: float
    cubes: float


def _effective(squares: float, cubes: float) -> float:
    """Events of one weight that tell as much as jumps with these sums of squares and cubes."""
    return squares**3 / cubes**2 if cubes > 0 else 0.0


def _distances(moments: np.ndarray, tail: float) -> SurpriseDistances:
    """Limits from the sums of squares and cubes, (2,), by those of a Poisson count."""
    squares, cubes = map(float, moments)
    # The jumps of a calibration that is sure and right are nothing, and so is what they leave open.
    if cubes <= 0:
        return SurpriseDistances(0.0, 0.0, 0.0, 0.0)
    weight, count = cubes / squares, _effective(squares, cubes)
    low, high = gammaincinv(count + 0.5, [tail, 1 - tail])
    return SurpriseDistances(weight * (count - float(low)), weight * (float(high) - count), squares, cubes)


def surprise_distances(
    powers: np.ndarray,
    drawn: np.ndarray,
    chance: np.ndarray,
    missed: np.ndarray,
    unforeseen: float,
    most: np.ndarray,
    tail: float = _TAIL,
) -> SurpriseDistances:
    """Limits of the expected value of a sum of rare events of different weights (a compound Poisson sum).

    The sum tells as much as ``k = m2^3 / m3^2`` events of the one weight ``m3 / m2``, m2 and m3 the sums of the squares
    and cubes of the jumps: so variance and skewness agree. The k events get Jeffreys' limits of a Poisson mean, the
    quantiles of a gamma distribution of shape ``k + 1/2``. m2 and m3 are those of the jumps drawn; where more is
    expected of all items drawn, the mean of both, since few large jumps say little of how many there are. They hold one
    event more, which is there though it was not drawn: with the mean square and cube of the jumps that the other items
    could have made, by their chance of having made them and of having been missed. With nothing drawn or expected and
    equal weights the upper limit is 3.67 weights; Clopper and Pearson's is 3.69.

    Parameters
    ----------
    powers : float64 array (2, m)
        `jump_powers` of what each item adds if it is a surprise.
    drawn : bool array (m,)
        Whether it was one.
    chance : float64 array (m,)
        Of being one, as was expected without this item.
    missed : float64 array (m,)
        Chance of not having been drawn.
    unforeseen : float
        Chance of a surprise that is left where none was expected.
    most : float64 array (2,)
        Powers of the largest jump any item could have made; taken for the jump not drawn where all were surprises.
    tail : float
        Nominal share of misses on either side.

    Source
    ------
    Dobson, Kuulasmaa, Eberle and Scherer 1991 for limits of weighted Poisson sums from those of one count; Fay and
    Feuer 1997 for the event added to them; Brown, Cai and DasGupta 2003 for Jeffreys' limits.
    """
    moments, expected = powers[:, drawn].sum(axis=1), powers @ chance
    if expected[0] > moments[0]:
        moments = (moments + expected) / 2
    left = ~drawn
    odds = missed[left] * (chance[left] + unforeseen)
    if odds.sum() > 0:
        moments = moments + np.average(powers[:, left], axis=1, weights=odds)
    elif not left.any():
        moments = moments + most
    return _distances(moments, tail)


def expected_half_width(chance: np.ndarray, inclusion: np.ndarray) -> float:
    """Half the width that the interval of `estimate_total` may be expected to have, in items.

    Parameters
    ----------
    chance : float64 array (n,)
        That the label is wrong, taken for right; strictly between 0 and 1.
    inclusion : float64 array (n,)
        Chance that the item is drawn at all.
    """
    sides = []
    for residual, surprise in ((1 - chance, chance), (chance, 1 - chance)):
        powers = jump_powers(residual / inclusion, inclusion)
        # As `surprise_distances` of the items drawn, each counted by its chance of having been drawn.
        odds = inclusion * (1 - surprise) * (1 - inclusion) * surprise
        another = np.average(powers, axis=1, weights=odds) if odds.sum() > 0 else np.zeros(2)
        sides.append(_distances(powers @ (inclusion * surprise) + another, _TAIL))
    above, below = sides
    total = float(chance.sum())
    low = max(0.0, total - math.hypot(above.low, below.high))
    high = min(float(len(chance)), total + math.hypot(above.high, below.low))
    return (high - low) / 2


def _possible(found: Interval, draws: int, least: int, most: int, effective: float) -> Total:
    """The estimate within what the reviewed items allow, in whole labels, and what a reader must know of it."""
    notes = []
    if effective < FEW:
        notes.append("few surprises among the reviews: the limits cover more than 95 %")
    if draws < LEAST_FOR_A_NUMBER:
        notes.append(f"fewer than {LEAST_FOR_A_NUMBER} reviews: the limits count, the number in between does not")
    if found.low < least or found.high > most:
        notes.append("limits clipped to what the reviews allow")
    low, high = (min(max(limit, least), most) for limit in (found.low, found.high))
    # Labels are whole: the whole numbers between the limits are all that lies between them. Limits that are less than a
    # label apart may hold none; the nearest is taken.
    whole = math.ceil(low), math.floor(high)
    if effective < _OUTWARD:
        whole = math.floor(low), math.ceil(high)
    elif whole[0] > whole[1]:
        whole = (round((low + high) / 2),) * 2
    value = min(max(found.value, whole[0]), whole[1])
    return Total(Interval(value, float(whole[0]), float(whole[1]), found.level), METHOD, draws, least, tuple(notes))


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
