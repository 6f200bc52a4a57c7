"""CROWDLAB: consensus of annotators and a model, any number of labels per item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from auditor.core.errors import ProbabilityError
from auditor.review.dawid_skene import check_votes, vote_counts

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


@dataclass(frozen=True)
class Votes:
    """One entry per vote, and how they add up: `counts` float64 (n, K), `per_item` float64 (n,)."""

    items: np.ndarray
    annotators: np.ndarray
    labels: np.ndarray
    n_annotators: int
    counts: np.ndarray

    @property
    def per_item(self) -> np.ndarray:
        return self.counts.sum(axis=1)

    def by_annotator(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Weighted mean of values of votes, float64 (A,); NaN for annotators without weight."""
        total = np.bincount(self.annotators, weights, self.n_annotators)
        summed = np.bincount(self.annotators, values * weights, self.n_annotators)
        return np.divide(summed, total, out=np.full(self.n_annotators, np.nan), where=total > 0)


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
    votes = Votes(items, annotators, labels, n_annotators, vote_counts(items, labels, n, n_classes))
    if not np.isfinite(p).all() or (votes.per_item == 0).any():
        raise ProbabilityError("CROWDLAB needs finite probabilities and a vote for every item.")
    start = majority_labels(votes, p)
    posterior = _weighted(votes, p, start).posterior
    # The weights are worth more when they are measured against the better consensus; a tie keeps the majority's label
    # where it is among the tied.
    tied = posterior[np.arange(n), start] == posterior.max(axis=1)
    return _weighted(votes, p, np.where(tied, start, posterior.argmax(axis=1)))


def majority_labels(votes: Votes, p: np.ndarray) -> np.ndarray:
    """Most voted class of each item, int64 (n,); ties by the model, then by the rarer class, then by the annotators
    who agree more with the untied majority, then by class number."""
    counts, items = votes.counts, votes.items
    tied = counts == counts.max(axis=1, keepdims=True)
    untied = tied.sum(axis=1) == 1
    majority = tied.argmax(axis=1)
    if untied.all():
        return majority.astype(np.int64)
    agreement = votes.by_annotator(votes.labels == majority[items], untied[items].astype(np.float64))
    agreement = np.where(np.isnan(agreement), np.nanmean(agreement) if untied.any() else 0.0, agreement)
    quality = np.zeros(counts.shape)
    np.add.at(quality, (items, votes.labels), agreement[votes.annotators])
    quality = np.divide(quality, counts, out=np.zeros_like(quality), where=counts > 0)
    for values in (p, np.broadcast_to(-counts.sum(axis=0), counts.shape), quality):
        best = np.where(tied, values, -np.inf)
        tied &= best == best.max(axis=1, keepdims=True)
    return tied.argmax(axis=1).astype(np.int64)


def _weighted(votes: Votes, p: np.ndarray, consensus: np.ndarray) -> CrowdlabFit:
    n, n_classes = p.shape
    items, labels, n_votes = votes.items, votes.labels, votes.per_item
    likely, weights, model = 1 - 1 / n_classes, np.ones(votes.n_annotators), float(np.sqrt(n_votes.mean()))
    several = n_votes > 1
    if several.any():
        likely = float((votes.counts[np.arange(n), consensus] / n_votes)[several].mean())
        chosen = consensus[several]
        chance = max(_LEAST, float((chosen != np.bincount(chosen, minlength=n_classes).argmax()).mean()))
        # Agreement of each annotator with the others of the same items, weighted by how many others there are.
        others = n_votes[items] - 1
        same = np.divide(votes.counts[items, labels] - 1, others, out=np.zeros_like(others), where=others > 0)
        agreement = votes.by_annotator(same, others)
        agreement = np.where(np.isnan(agreement), np.nanmean(agreement), agreement)
        weights = np.maximum(_LEAST, 1 - (1 - agreement) / chance)
        model *= max(_LEAST, 1 - float((p[several].argmax(axis=1) != chosen).mean()) / chance)
    unlikely = (1 - likely) / (n_classes - 1)
    vote_weight = weights[votes.annotators]
    base = np.bincount(items, vote_weight, minlength=n)
    posterior = model * p + unlikely * base[:, None]
    np.add.at(posterior, (items, labels), vote_weight * (likely - unlikely))
    total = model + base
    return CrowdlabFit(consensus, posterior / total[:, None], model, weights, total)


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
