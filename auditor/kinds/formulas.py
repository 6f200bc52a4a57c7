"""cleanlab's plain formulas for sets of tags, numbers and masks, under their names: to compare with.

`flag` does not rank by them. As there, quality is **low where a label is suspicious**. A class of a set of tags is a
problem of two classes, with the
probabilities ``1 - p`` and ``p``. Tokens are single labels one after another: `auditor.engine.api` on flat arrays has
their filter and their scores, `auditor.kinds.tokens.sentence_quality` those of sentences.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from auditor.core.errors import UnknownNameError, UsageError
from auditor.engine import api
from auditor.engine.rules import RULES, SCORES
from auditor.engine.scores import entropy_score, margin_score

Aggregate = Literal["exponential_moving_average", "softmin"]
AGGREGATES: Final[tuple[Aggregate, ...]] = ("exponential_moving_average", "softmin")
#: Of items, not of cells: as many of the lowest as `confident_learning` flags.
_OF_ITEMS: Final = ("low_self_confidence", "low_normalized_margin")
#: Names that `flag_tags` takes.
FILTERS: Final = tuple(rule for rule in RULES if rule not in (*_OF_ITEMS, "paper"))


def tag_quality(pred_probs: np.ndarray, labels: np.ndarray, score: str = "self_confidence") -> np.ndarray:
    """Quality of every cell.

    Parameters
    ----------
    pred_probs : float array (n, K)
        P(the item has the tag), in [0, 1].
    labels : bool or 0/1 array (n, K)
    score : str
        One of `auditor.engine.rules.SCORES`.

    Returns
    -------
    float64 array (n, K), low = suspicious

    Raises
    ------
    UsageError
        Shapes that differ, values outside [0, 1], labels that are not 0 or 1.
    UnknownNameError
        No such score.

    Source
    ------
    `cleanlab.internal.multilabel_scorer.MultilabelScorer.get_class_label_quality_scores`.
    """
    p, tags = _checked(pred_probs, labels)
    if score not in SCORES:
        raise UnknownNameError("score", score, SCORES)
    other = 1 - p
    given = np.where(tags, p, other)
    if score == "self_confidence":
        return given.astype(np.float64)
    if score == "normalized_margin":
        return margin_score(given, np.where(tags, other, p)).astype(np.float64)
    columns = [entropy_score(np.stack([other[:, k], p[:, k]], axis=1), given[:, k]) for k in range(p.shape[1])]
    return np.stack(columns, axis=1)


def item_quality(
    quality: np.ndarray,
    aggregate: Aggregate = "exponential_moving_average",
    *,
    alpha: float = 0.8,
    temperature: float = 0.1,
) -> np.ndarray:
    """Quality of every item from that of its cells.

    Parameters
    ----------
    quality : float array (n, K)
        As `tag_quality` gives it; at least one class.
    aggregate : str
        ``"exponential_moving_average"`` of the cells from the best to the worst, or ``"softmin"``: their mean, weighted
        by ``softmax((1 - quality) / temperature)``.
    alpha : float
        Weight of the worse cell in each step of the average, in [0, 1].
    temperature : float
        Above 0.

    Returns
    -------
    float array (n,), low = suspicious

    Raises
    ------
    UnknownNameError, UsageError
        No such aggregate; alpha or temperature out of range.

    Source
    ------
    `cleanlab.multilabel_classification.rank.get_label_quality_scores`; Thyagarajan et al. 2022.
    """
    if aggregate not in AGGREGATES:
        raise UnknownNameError("aggregate", aggregate, AGGREGATES)
    if not 0 <= alpha <= 1 or not temperature > 0:
        raise UsageError(f"alpha is {alpha}, temperature {temperature}.", "Give alpha in [0, 1] and a temperature > 0.")
    if aggregate == "softmin":
        weights = 1 - quality  # worked on in place: a row may be a picture's pixels
        weights -= weights.max(axis=1, keepdims=True)
        weights /= temperature
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("ij,ij->i", quality, weights))
    falling = np.ascontiguousarray(np.sort(quality, axis=1)[:, ::-1].T)
    average = falling[0]
    for worse in falling[1:]:
        average = alpha * worse + (1 - alpha) * average
    return np.asarray(average)


def flag_tags(pred_probs: np.ndarray, labels: np.ndarray, rule: str = "prune_by_noise_rate") -> np.ndarray:
    """Cells that one of cleanlab's filters flags, class by class.

    Parameters
    ----------
    pred_probs, labels
        As of `tag_quality`.
    rule : str
        One of `FILTERS`.

    Returns
    -------
    bool array (n, K)
        Items with a flagged cell are those that the peer's ``find_label_issues`` flags.

    Raises
    ------
    UsageError
        As of `tag_quality`.
    UnknownNameError
        No such filter, or one that flags items and not cells (`flag_tagged_items`).

    Source
    ------
    `cleanlab.multilabel_classification.filter.find_multilabel_issues_per_class`.
    """
    p, tags = _checked(pred_probs, labels)
    if rule not in FILTERS:
        raise UnknownNameError("filter", rule, FILTERS)
    flagged = np.empty(p.shape, bool)
    given = tags.astype(np.int64)
    for k in range(p.shape[1]):
        pair = np.stack([1 - p[:, k], p[:, k]], axis=1)
        flagged[:, k] = api.flag(api.analyze(pair, given[:, k], row_sum_tolerance=None), rule)
    return flagged


def flag_tagged_items(pred_probs: np.ndarray, labels: np.ndarray, rule: str = "prune_by_noise_rate") -> np.ndarray:
    """Items that one of cleanlab's filters flags: those with a flagged cell, or the lowest by a score.

    Parameters
    ----------
    pred_probs, labels
        As of `tag_quality`.
    rule : str
        One of `FILTERS`, ``"low_self_confidence"`` or ``"low_normalized_margin"``: of these, as many as
        `confident_learning` flags are the lowest by `item_quality`.

    Returns
    -------
    bool array (n,)

    Raises
    ------
    UsageError, UnknownNameError
        As of `flag_tags`.

    Source
    ------
    `cleanlab.multilabel_classification.filter.find_label_issues`.
    """
    if rule not in _OF_ITEMS:
        return np.asarray(flag_tags(pred_probs, labels, rule).any(axis=1))
    count = int(flag_tags(pred_probs, labels, "confident_learning").any(axis=1).sum())
    flagged = np.zeros(len(labels), bool)
    # Of two classes the margin orders as the self-confidence does, and the peer takes that one for both names.
    quality = item_quality(tag_quality(pred_probs, labels))
    flagged[np.argsort(quality)[:count]] = True
    return flagged


def number_quality(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``exp(-|prediction - number|)``, float (n,); low = suspicious.

    Source
    ------
    `cleanlab.regression.rank.get_label_quality_scores` with ``method="residual"``.
    """
    return np.asarray(np.exp(-abs(predictions - labels)))


def mask_quality(pred_probs: np.ndarray, labels: np.ndarray, *, temperature: float = 0.1) -> np.ndarray:
    """Quality of every mask: `softmin` of P(given class) over its pixels.

    Parameters
    ----------
    pred_probs : float array (n, K, H, W)
    labels : int array (n, H, W)
        Class numbers, 0 .. K - 1.
    temperature : float
        Above 0.

    Returns
    -------
    float64 array (n,), low = suspicious

    Raises
    ------
    UsageError
        Shapes that do not go together, numbers that are no class, a temperature that is not above 0.

    Source
    ------
    `cleanlab.segmentation.rank.get_label_quality_scores` with ``method="softmin"``; Lad and Mueller 2023.
    """
    p, given = np.asarray(pred_probs), np.asarray(labels)
    if p.ndim != 4 or given.shape != (len(p), *p.shape[2:]) or not p.size:
        raise UsageError(f"pred_probs have shape {p.shape}, labels {given.shape}.", "Give (n, K, H, W) and (n, H, W).")
    if given.dtype.kind not in "iub" or given.min() < 0 or given.max() >= p.shape[1]:
        raise UsageError(f"labels hold other values than classes 0 to {p.shape[1] - 1}.", "Number classes as the maps.")
    return np.array([softmin(given_class(p[k], given[k]), temperature) for k in range(len(p))])


def given_class(probabilities: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """P(class of the mask) of every pixel, float (H, W), of probabilities (K, H, W) and class numbers (H, W)."""
    pixels = mask.size
    places = mask.reshape(-1) * np.int64(pixels)
    places += np.arange(pixels)
    return np.asarray(np.take(probabilities.reshape(-1), places).reshape(mask.shape))


def softmin(quality: np.ndarray, temperature: float = 0.1) -> float:
    """Mean of the values, weighted by ``softmax((1 - quality) / temperature)``: the lowest ones count, softly.

    Parameters
    ----------
    quality : float array, not empty
    temperature : float
        Above 0.

    Raises
    ------
    UsageError
        A temperature that is not above 0.
    """
    row = np.asarray(quality, np.float64).reshape(1, -1)
    return float(item_quality(row, "softmin", temperature=temperature)[0])


def _checked(pred_probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, given = np.asarray(pred_probs), np.asarray(labels)
    if p.ndim != 2 or p.shape != given.shape or not p.size:
        raise UsageError(f"pred_probs have shape {p.shape}, labels {given.shape}.", "Give both as (items, classes).")
    if p.dtype.kind != "f" or not ((p >= 0) & (p <= 1)).all():
        raise UsageError("pred_probs hold values outside [0, 1], or no probabilities.", "Give P(item has the tag).")
    tags = given != 0
    if not (tags == given).all():
        raise UsageError("labels hold other values than 0 and 1.", "1 where the item has the tag, else 0.")
    return p, tags
