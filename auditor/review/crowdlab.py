"""CROWDLAB: consensus of annotators and a model, any number of labels per item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from auditor.core.errors import ProbabilityError
from auditor.review.dawid_skene import check_votes, vote_counts

__all__ = ["CrowdlabFit", "ask_next", "crowdlab", "majority_labels"]

_LEAST: Final = 1e-6


@dataclass(frozen=True)
class CrowdlabFit:
    """What annotators and model together say.

    Attributes
    ----------
    labels : int64 array (n,)
        Consensus: the class of the highest posterior when the weights are measured against the majority. Measuring
        them against this consensus gives `posterior`, whose highest class can differ on items near a tie.
    posterior : float64 array (n, K)
    model_weight : float
    annotator_weights : float64 array (A,)
    item_weights : float64 array (n,)
        Summed weights of the model and the item's annotators.
    """

    labels: np.ndarray
    posterior: np.ndarray
    model_weight: float
    annotator_weights: np.ndarray
    item_weights: np.ndarray


def crowdlab(
    items: np.ndarray, annotators: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, n_annotators: int
) -> CrowdlabFit:
    """Weighted mean of the model's probabilities and the annotators' votes.

    Parameters
    ----------
    items, annotators, labels : int arrays (v,)
        One entry per vote; an annotator labels an item at most once. Every item has at least one vote.
    probabilities : float array (n, K)
        Out-of-sample probabilities of the model.
    n_annotators : int

    Raises
    ------
    LabelError
        If the votes do not fit each other or the sizes.
    ProbabilityError
        If an item has no vote, or the probabilities are not finite.

    Source
    ------
    Goh, Tkachenko, Mueller 2022, "CROWDLAB"; detection-and-statistics, section 12. Where no item has two votes,
    nothing can be said about the annotators: one shared weight of 1 and agreement of 1 - 1/K are taken then.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    n, n_classes = p.shape
    check_votes(items, annotators, labels, (n, n_annotators, n_classes))
    counts = vote_counts(items, labels, n, n_classes)
    n_votes = counts.sum(axis=1)
    if not np.isfinite(p).all() or (n_votes == 0).any():
        raise ProbabilityError("CROWDLAB needs finite probabilities and a vote for every item.")
    start = majority_labels(items, annotators, labels, counts, p, n_annotators)
    first = _weighted(items, annotators, labels, counts, p, start, n_annotators)
    # The weights are worth more when they are measured against the better consensus.
    best = first.posterior.argmax(axis=1)
    ties = first.posterior == first.posterior.max(axis=1, keepdims=True)
    # A tie keeps the majority's label where it is among the tied.
    best = np.where(ties[np.arange(n), start], start, best)
    fit = _weighted(items, annotators, labels, counts, p, best, n_annotators)
    return CrowdlabFit(best, fit.posterior, fit.model_weight, fit.annotator_weights, fit.item_weights)


def majority_labels(
    items: np.ndarray,
    annotators: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
    probabilities: np.ndarray,
    n_annotators: int,
) -> np.ndarray:
    """Most voted class of each item, int64 (n,); ties by the model, then by the rarer class, then by the annotators
    who agree more with the untied majority, then by class number."""
    tied = counts == counts.max(axis=1, keepdims=True)
    untied = tied.sum(axis=1) == 1
    majority = tied.argmax(axis=1)
    if untied.all():
        return majority.astype(np.int64)
    agreement = _mean_by(annotators, labels == majority[items], untied[items], n_annotators)
    agreement = np.where(np.isnan(agreement), np.nanmean(agreement) if untied.any() else 0.0, agreement)
    quality = np.zeros(counts.shape)
    np.add.at(quality, (items, labels), agreement[annotators])
    quality = np.divide(quality, counts, out=np.zeros_like(quality), where=counts > 0)
    for values in (probabilities, np.broadcast_to(-counts.sum(axis=0), counts.shape), quality):
        best = np.where(tied, values, -np.inf)
        tied &= best == best.max(axis=1, keepdims=True)
    return tied.argmax(axis=1).astype(np.int64)


def _weighted(
    items: np.ndarray,
    annotators: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
    p: np.ndarray,
    consensus: np.ndarray,
    n_annotators: int,
) -> CrowdlabFit:
    n, n_classes = p.shape
    n_votes = counts.sum(axis=1)
    several = n_votes > 1
    agree = counts[np.arange(n), consensus] / n_votes
    if several.any():
        likely = float(agree[several].mean())
        chosen = consensus[several]
        chance = max(_LEAST, float((chosen != np.bincount(chosen, minlength=n_classes).argmax()).mean()))
        weights = np.maximum(_LEAST, 1 - (1 - _agreement(items, annotators, labels, counts, n_annotators)) / chance)
        model_error = float((p[several].argmax(axis=1) != chosen).mean())
        model = max(_LEAST, 1 - model_error / chance) * float(np.sqrt(n_votes.mean()))
    else:
        likely, weights, model = 1 - 1 / n_classes, np.ones(n_annotators), float(np.sqrt(n_votes.mean()))
    unlikely = (1 - likely) / (n_classes - 1)
    posterior = model * p
    vote_weight = weights[annotators]
    base = np.bincount(items, vote_weight, minlength=n)
    posterior += unlikely * base[:, None]
    np.add.at(posterior, (items, labels), vote_weight * (likely - unlikely))
    total = model + base
    return CrowdlabFit(consensus, posterior / total[:, None], model, weights, total)


def _agreement(
    items: np.ndarray, annotators: np.ndarray, labels: np.ndarray, counts: np.ndarray, n_annotators: int
) -> np.ndarray:
    """Agreement of each annotator with the others of the same items, weighted by how many others there are."""
    others = counts.sum(axis=1)[items] - 1
    same = counts[items, labels] - 1
    agreeing = np.bincount(annotators, same, minlength=n_annotators)
    pairs = np.bincount(annotators, others, minlength=n_annotators)
    share = np.divide(agreeing, pairs, out=np.full(n_annotators, np.nan), where=pairs > 0)
    return np.where(np.isnan(share), np.nanmean(share), share)


def _mean_by(groups: np.ndarray, values: np.ndarray, mask: np.ndarray, n_groups: int) -> np.ndarray:
    size = np.bincount(groups[mask], minlength=n_groups)
    total = np.bincount(groups[mask], values[mask].astype(np.float64), minlength=n_groups)
    return np.divide(total, size, out=np.full(n_groups, np.nan), where=size > 0)


def ask_next(fit: CrowdlabFit) -> np.ndarray:
    """How certain each item's consensus would stay if one more label came, float64 (n,): ask again where it is lowest.

    Source
    ------
    Goh and Mueller 2023, "ActiveLab"; detection-and-statistics, section 12.
    """
    n, n_classes = fit.posterior.shape
    quality = fit.posterior[np.arange(n), fit.labels]
    mean = float(fit.annotator_weights.mean())
    return (quality * fit.item_weights + mean / n_classes) / (fit.item_weights + mean)
