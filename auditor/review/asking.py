"""Which item to ask about next, and whom: what one more label of an annotator is expected to be worth."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import entr

from auditor.review.annotator_model import AnnotatorFit

#: Of the questions of a round an annotator gets at most so many times an equal share. Without a model, the best
#: annotators of a fit to few votes are those who agree with themselves: asked alone, they teach it to believe them.
SHARE = 2.0
#: Items that questions are chosen from, by the best annotator of each: so many times the questions.
CANDIDATES = 4


def whom_to_ask(
    fit: AnnotatorFit,
    asked: np.ndarray | None = None,
    count: int = 100,
    by: Literal["accuracy", "information"] = "accuracy",
    most_each: int | None = None,
) -> np.ndarray:
    """Which items to show to whom next: the best annotator for each item, the most telling vote first.

    By accuracy, a vote counts as much as it is expected to raise the probability that the consensus is right. By
    information, as much as it is expected to lessen the uncertainty about the class: the mutual information of the two.
    Both are large where the consensus is unsure **and** the annotator knows these classes; a vote of somebody who
    guesses tells nothing, however unsure the item. Ties of one, such as votes that cannot turn the consensus by
    themselves, are broken by the other.

    Parameters
    ----------
    fit : AnnotatorFit
    asked : bool array (n, A), optional
        Where an annotator is not to be asked; default: where one has voted.
    count : int
        At most so many items.
    by : "accuracy" or "information"
    most_each : int, optional
        Questions to one annotator, while others are left; default: `SHARE` times as many as all would have equally.

    Returns
    -------
    structured array (m,) with the fields ``item`` and ``annotator`` (int64), ``gain`` and ``nats`` (float64)
        Each item at most once; items that nobody is left to judge are left out. ``gain`` is the expected gain in
        accuracy, as a share of an item.

    Source
    ------
    Accuracy: Roy and McCallum 2001. Information: Lindley 1956; in the form of Houlsby et al. 2011 (BALD).
    """
    votes = fit.votes
    most = np.full((2, votes.n), -np.inf)
    for annotator in range(votes.n_annotators):
        values = _told(fit, annotator, asked, by)
        better = (values[0] > most[0]) | ((values[0] == most[0]) & (values[1] > most[1]))
        most[:, better] = values[:, better]
    items = np.lexsort((-most[1], -most[0]))[: CANDIDATES * count]
    items = items[np.isfinite(most[0, items])]
    told = np.stack([_told(fit, annotator, asked, by, items) for annotator in range(votes.n_annotators)], axis=2)
    cap = most_each or max(1, int(np.ceil(SHARE * count / votes.n_annotators)))
    at, whom = _spread(told, count, cap)
    first, second = (told[k, at, whom] for k in (0, 1))
    order = np.lexsort((items[at], -second, -first))
    fields = [("item", np.int64), ("annotator", np.int64), ("gain", np.float64), ("nats", np.float64)]
    rows = np.empty(len(order), dtype=fields)
    rows["item"], rows["annotator"] = items[at][order], whom[order]
    names = ("gain", "nats") if by == "accuracy" else ("nats", "gain")
    for name, values in zip(names, (first, second), strict=True):
        rows[name] = values[order]
    return rows


def _told(
    fit: AnnotatorFit, annotator: int, asked: np.ndarray | None, by: str, items: np.ndarray | None = None
) -> np.ndarray:
    """What a vote of the annotator tells of each item, and what breaks ties, float64 (2, n); -inf where they voted."""
    votes, confusion = fit.votes, fit.annotators.confusion(annotator)
    judged = np.zeros(votes.n, bool)
    judged[votes.items[votes.annotators == annotator]] = True
    judged = judged if asked is None else asked[:, annotator]
    posterior = fit.posterior if items is None else fit.posterior[items]
    nats = _entropy(posterior @ confusion) - posterior @ _entropy(confusion)
    both = (_gain(posterior, confusion), nats)
    return np.where(judged if items is None else judged[items], -np.inf, both if by == "accuracy" else both[::-1])


def _spread(told: np.ndarray, count: int, cap: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in `told` (2, m, A) and annotators, best first: nobody more than `cap` times while others are left."""
    load, open_ = np.zeros(told.shape[2], np.int64), np.ones(told.shape[1], bool)
    places, chosen = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    left = min(count, told.shape[1])
    while left and open_.any():
        at = np.flatnonzero(open_)
        first, second = (np.where(load < cap, values[at], -np.inf) for values in told)
        second = np.where(first == first.max(axis=1, keepdims=True), second, -np.inf)
        whom = second.argmax(axis=1)
        value, tie = first[np.arange(len(at)), whom], second[np.arange(len(at)), whom]
        order = np.lexsort((at, -tie, -value))[:left]
        order = order[np.isfinite(value[order])]
        if not len(order):
            if cap > count:
                break
            cap = count + 1  # only those are left who have had their share
            continue
        # The first so many of each annotator; items that come later look for somebody else.
        by_annotator = order[np.argsort(whom[order], kind="stable")]
        starts = np.searchsorted(whom[by_annotator], np.arange(len(load)))
        rank = np.arange(len(by_annotator)) - starts[whom[by_annotator]]
        taken = by_annotator[rank < (cap - load)[whom[by_annotator]]]
        load += np.bincount(whom[taken], minlength=len(load))
        open_[at[taken]] = False
        left -= len(taken)
        places.append(at[taken])
        chosen.append(whom[taken])
    return np.concatenate(places), np.concatenate(chosen)


def _gain(posterior: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """By how much a vote is expected to raise the largest probability of each row, float64 (n,)."""
    expected = np.zeros(len(posterior))
    for said in confusion.T:
        expected += (posterior * said).max(axis=1)
    gained: np.ndarray = np.maximum(expected - posterior.max(axis=1), 0.0)
    gained[gained < 1e-12] = 0.0  # what rounding leaves of a vote that turns nothing
    return gained


def _entropy(p: np.ndarray) -> np.ndarray:
    """Of each row, in nats."""
    return np.asarray(entr(p).sum(axis=1))
