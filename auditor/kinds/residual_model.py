"""Which numbers are wrong, from predictions of them. Functions of arrays.

A given number is right, and then it is the prediction, calibrated, plus an error from Student's t distribution, whose
scale depends on the item; or it is wrong, and says nothing about the item: then it is drawn from wide distributions
around all given numbers, and around the prediction. The share of wrong ones, the calibration, and the tails and scale
of the errors are fitted by EM. The log of the scale is linear in the rank of the prediction, its square, and, where
several models predict, in the rank of how far they differ (the epistemic part); or it is constant, where that says no
more.

Wrong numbers that are right in another unit form a group: each unit of `UNITS` is one more thing that may have
happened, and is believed where it explains several numbers far better than that they are wrong in any way. So is one
cluster of numbers that has nothing to do with the predictions: the values of another column.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from scipy.special import gammaln, logsumexp
from scipy.stats import rankdata
from scipy.stats import t as student

#: Name -> factor and offset: the given number is factor * right number + offset.
UNITS: dict[str, tuple[float, float]] = {
    "x10": (10.0, 0.0),
    "x100": (100.0, 0.0),
    "x1000": (1e3, 0.0),
    "x1000000": (1e6, 0.0),
    "/10": (0.1, 0.0),
    "/100": (0.01, 0.0),
    "/1000": (1e-3, 0.0),
    "/1000000": (1e-6, 0.0),
    "sign": (-1.0, 0.0),
    "pounds for kilograms": (2.20462, 0.0),
    "kilograms for pounds": (1 / 2.20462, 0.0),
    "centimetres for inches": (2.54, 0.0),
    "inches for centimetres": (1 / 2.54, 0.0),
    "feet for metres": (1 / 0.3048, 0.0),
    "metres for feet": (0.3048, 0.0),
    "kilometres for miles": (1.609344, 0.0),
    "miles for kilometres": (1 / 1.609344, 0.0),
    "Fahrenheit for Celsius": (1.8, 32.0),
    "Celsius for Fahrenheit": (1 / 1.8, -32 / 1.8),
}
OTHER_COLUMN = "another column"
#: Degrees of freedom among which the likelihood chooses; the last is nearly normal.
TAILS = (4.0, 8.0, 16.0, 40.0)
EM_STEPS = 20
#: Strength of the prior that the scale is the same everywhere, in items.
EQUAL_SCALE = 20.0
#: Strength of the prior that predictions need no other slope, in items as spread as half of them are.
EQUAL_SLOPE = 20.0
#: Prior of the share of wrong numbers: as if so many of so many were.
PRIOR_WRONG, PRIOR_ITEMS = 1.0, 30.0
#: Suspects that a unit, and another column, must explain, and nats that it must gain over "wrong in any way".
LEAST_OF_UNIT, LEAST_OF_COLUMN, LEAST_GAIN = 3, 6, 6.0
#: Nats an item that a scale which varies must gain: wrong labels alone, at one end of the predictions, gain some.
LEAST_OF_SCALE = 0.03
_LARGEST = 1e100
#: Below this probability of being wrong a number is no suspect of a group.
_SUSPECT = 0.3


@dataclass(frozen=True, eq=False)
class Group:
    """Numbers that are wrong in one way: `name` of a unit or `OTHER_COLUMN`; `items`, int64 (m,)."""

    name: str
    items: np.ndarray


@dataclass(frozen=True, eq=False)
class ResidualFit:
    """What the model says of every number.

    Attributes
    ----------
    predicted, scale : float64 arrays (n,)
        Where a right number is expected, and how far off it typically is.
    wrong : float64 array (n,)
        P(the number is wrong).
    score : float64 array (n,)
        Its log-odds.
    suggested : float64 array (n,)
        The prediction; for a number in another unit, the number in the right one.
    groups : list of Group
        Largest first.
    """

    predicted: np.ndarray
    scale: np.ndarray
    wrong: np.ndarray
    score: np.ndarray
    suggested: np.ndarray
    groups: list[Group] = field(default_factory=list)


def fit_residuals(predictions: np.ndarray, y: np.ndarray) -> ResidualFit:
    """Fit the mixture.

    Parameters
    ----------
    predictions : float64 array (n, models)
    y : float64 array (n,)
    """
    unit = float(max(np.abs(y).max(), np.abs(predictions).max()))
    if unit > _LARGEST or 0 < unit < 1 / _LARGEST:  # squares would not be finite
        fit = fit_residuals(predictions / unit, y / unit)
        return replace(fit, predicted=fit.predicted * unit, scale=fit.scale * unit, suggested=fit.suggested * unit)
    mean = predictions.mean(axis=1)
    least = 1e-9 * max(float(np.abs(y).max()), float(np.abs(mean).max()), 1e-300) + 1e-300
    constant, varying = (_fit(mean, y, design, least) for design in (np.empty((len(y), 0)), _design(predictions, mean)))
    gain = varying.log_likelihood - constant.log_likelihood
    chosen = varying if gain > LEAST_GAIN + LEAST_OF_SCALE * len(y) else constant
    predicted, scale, tails, share, anything = (
        chosen.predicted,
        chosen.scale,
        chosen.tails,
        chosen.share,
        chosen.anything,
    )
    residual = y - predicted
    as_right = _log_t(residual, scale, tails) + np.log(1 - share)
    logs = {"any": anything + np.log(share)}
    suspects = np.flatnonzero(logs["any"] - as_right > np.log(_SUSPECT / (1 - _SUSPECT)))
    for name, weight, at in _believed(y, predicted, scale, tails, suspects, as_right, logs["any"]):
        logs[name] = at + np.log(max(weight, 1e-3) / len(y))
    names, stacked = list(logs), np.stack(list(logs.values()))
    as_wrong = logsumexp(stacked, axis=0)
    score = as_wrong - as_right
    cause = stacked.argmax(axis=0)
    suggested, groups = predicted.copy(), []
    for number, name in enumerate(names[1:], 1):
        items = np.flatnonzero((cause == number) & (score > 0))
        if name in UNITS:
            factor, offset = UNITS[name]
            suggested[items] = (y[items] - offset) / factor
        if len(items):
            groups.append(Group(name, items))
    groups.sort(key=lambda group: -len(group.items))
    wrong = 1.0 / (1.0 + np.exp(-np.clip(score, -700, 700)))
    return ResidualFit(predicted, scale, wrong, score, suggested, groups)


@dataclass(frozen=True, eq=False)
class _Mixture:
    """One fit: where right numbers are expected (n,), how far off they are (n,), degrees of freedom, share of wrong
    ones, log density of a wrong one (n,), log-likelihood."""

    predicted: np.ndarray
    scale: np.ndarray
    tails: float
    share: float
    anything: np.ndarray
    log_likelihood: float


def _fit(mean: np.ndarray, y: np.ndarray, design: np.ndarray, least: float) -> _Mixture:
    """EM over the share of wrong numbers, the calibration of the predictions, and the scale and tails of the errors."""
    n, middle = len(y), float(np.median(mean))
    centred = mean - middle
    slope, offset = 1.0, float(np.median(y - mean))
    residual = y - mean - offset
    scale = np.full(n, max(float(np.median(np.abs(residual))) / 0.6745, least))
    share, tails = 0.05, TAILS[1]
    spread = max(float(np.median(np.abs(centred))) / 0.6745, least)
    marginal = _wide(y - float(np.median(y)), least)
    as_right = anything = marginal
    for _ in range(EM_STEPS):
        as_right = _log_t(residual, scale, tails)
        anything = np.logaddexp(marginal, _wide(residual, least)) - np.log(2)
        right = 1.0 / (1.0 + np.exp(np.clip(np.log(share / (1 - share)) + anything - as_right, -700, 700)))
        share = float(np.clip((PRIOR_WRONG + (1 - right).sum()) / (PRIOR_ITEMS + n), 1e-4, 0.6))
        # Of t errors those far out count less: weights of the EM for t (Lange, Little and Taylor 1989).
        weight = right * (tails + 1) / (tails + (residual / scale) ** 2) / scale**2
        weight = weight / max(weight.max(), 1e-300)
        prior = EQUAL_SLOPE * weight.mean() * spread**2
        at = float(weight @ centred) / weight.sum()
        target = y - mean
        lean = float(weight @ ((centred - at) * (target - float(weight @ target) / weight.sum())))
        slope = 1.0 + lean / (float(weight @ (centred - at) ** 2) + prior)
        slope = min(max(slope, 0.5), 2.0)
        offset = float(weight @ (y - middle - slope * centred)) / weight.sum()
        residual = y - middle - slope * centred - offset
        scale = _fit_scale(design, np.log(np.abs(residual) + least), residual, right, least)
        tails = max(TAILS, key=lambda v: float(right @ _log_t(residual, scale, v)))
    as_right = _log_t(residual, scale, tails)
    anything = np.logaddexp(marginal, _wide(residual, least)) - np.log(2)
    total = np.logaddexp(as_right + np.log(1 - share), anything + np.log(share)).sum()
    return _Mixture(y - residual, scale, tails, share, anything, float(total))


def _design(predictions: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What the log of the scale is linear in, (n, d): ranks, since wrong labels leave single predictions far off."""
    level = (rankdata(mean) - 0.5) / len(mean) - 0.5
    columns = [level, level**2]
    if predictions.shape[1] > 1:
        columns.append((rankdata(predictions.std(axis=1)) - 0.5) / len(mean) - 0.5)
    matrix = np.column_stack(columns)
    deviation = matrix.std(axis=0)
    return (matrix - matrix.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def _fit_scale(
    design: np.ndarray, log_residual: np.ndarray, residual: np.ndarray, right: np.ndarray, least: float
) -> np.ndarray:
    """The scale of each item, from the residuals of those that are right."""
    mean = float(right @ log_residual) / max(float(right.sum()), 1e-9)
    weighted = design * right[:, None]
    normal = weighted.T @ design + EQUAL_SCALE * np.eye(design.shape[1])
    # A residual of nearly nothing has a log of any size.
    target = np.maximum(log_residual - mean, -3.0)
    shape = np.exp(design @ np.linalg.solve(normal, weighted.T @ (target - float(right @ target) / right.sum())))
    ratio = np.abs(residual) / shape
    order = np.argsort(ratio)
    middle = order[np.searchsorted(np.cumsum(right[order]), right.sum() / 2, side="left").clip(0, len(order) - 1)]
    return np.maximum(shape * ratio[middle] / 0.6745, least)


def _log_t(residual: np.ndarray, scale: np.ndarray | float, tails: float) -> np.ndarray:
    """Log density of t, its middle half as wide as that of a normal of this scale."""
    width, constant = _form_of_t(tails)
    wide = scale * width
    return constant - np.log(wide) - (tails + 1) / 2 * np.log1p((residual / wide) ** 2 / tails)


@cache
def _form_of_t(tails: float) -> tuple[float, float]:
    """Width of t whose middle half is that of a standard normal, and the log of what its density begins with."""
    constant = gammaln((tails + 1) / 2) - gammaln(tails / 2) - np.log(tails * np.pi) / 2
    return float(0.6744898 / student.ppf(0.75, tails)), float(constant)


def _wide(values: np.ndarray, least: float) -> np.ndarray:
    """Log density of what is anywhere around 0, as wide as the values are."""
    width = max(float(np.median(np.abs(values))) * 1.4826, float(np.std(values)) * 1e-3, least)
    return _log_t(values, 2 * width, 1.5)


def _believed(
    y: np.ndarray,
    predicted: np.ndarray,
    scale: np.ndarray,
    tails: float,
    suspects: np.ndarray,
    as_right: np.ndarray,
    as_any: np.ndarray,
) -> list[tuple[str, float, np.ndarray]]:
    """Units, and another column, that explain several suspects: name, how many, log density of every number."""
    believed: list[tuple[str, float, np.ndarray]] = []
    if len(suspects) < LEAST_OF_UNIT:
        return believed
    base = np.logaddexp(as_right, as_any)[suspects]
    candidates = {
        name: _log_t((y - offset) / factor - predicted, scale, tails) - np.log(abs(factor))
        for name, (factor, offset) in UNITS.items()
    }
    middle = float(np.median(y[suspects]))
    width = max(float(np.median(np.abs(y[suspects] - middle))) * 1.4826, float(scale.min()))
    candidates[OTHER_COLUMN] = _log_t(y - middle, width, TAILS[0])
    while candidates:
        gains = {name: _gain(base, at[suspects], len(y)) for name, at in candidates.items()}
        name = max(gains, key=lambda key: gains[key][0])
        gain, count = gains[name]
        least = LEAST_OF_COLUMN if name == OTHER_COLUMN else LEAST_OF_UNIT
        if gain < LEAST_GAIN or count < least - 0.5:
            break
        at = candidates.pop(name)
        believed.append((name, count, at))
        base = np.logaddexp(base, at[suspects] + np.log(count / len(y)))
    return believed


def _gain(base: np.ndarray, at: np.ndarray, n: int) -> tuple[float, float]:
    """Nats that one more cause gains over the suspects, and how many it explains, by EM over its share."""
    count = max(0.1 * len(base), 1.0)
    for _ in range(EM_STEPS):
        log_share = at + np.log(count / n)
        count = max(float(np.exp(log_share - np.logaddexp(base, log_share)).sum()), 1e-3)
    return float((np.logaddexp(base, at + np.log(count / n)) - base).sum()) - count, count
