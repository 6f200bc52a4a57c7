"""Annotators of any skill and a model, weighed by one likelihood: consensus and quality.

Dawid and Skene's model in two ways changed. Each annotator's confusion matrix is drawn towards what is known of
annotators in general (their own accuracy, and the confusions of all), so that few votes suffice; and the class of an
item is foreseen by a model, whose probabilities are recalibrated against the votes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, logit, logsumexp

from auditor.core.errors import LabelError, ProbabilityError
from auditor.engine.semantics import MATRIX_CLASSES
from auditor.review.dawid_skene import check_votes, vote_counts, vote_shares

#: Votes with which what is known of all annotators counts in the accuracy of one, and in each row of its confusions.
#: Chosen on simulated annotators, as all numbers here.
ACCURACY_VOTES, CONFUSION_VOTES = 4.0, 30.0
#: The accuracy that annotators are expected to have, and the votes with which that counts.
EXPECTED_ACCURACY, EXPECTED_VOTES = 0.8, 10.0
#: Entries of all annotators' confusion matrices up to which each annotator has an own one (400 MB).
MOST_CONFUSIONS = 50_000_000
#: Added to the model's probabilities before their logarithm.
FLOOR = 1e-4
#: Exponents that recalibrate the model. Above the largest it would only confirm itself.
EXPONENTS = (0.05, 2.0)
#: Spread and bounds of what is taken from the logarithm of the model's first class. Where a model is asked about items
#: because it contradicts their labels, its first class is less often right than any exponent can say.
DISTRUST_SPREAD, DISTRUST = 1.0, (-8.0, 0.0)
#: Least and largest share of items of which the model knows nothing.
BLIND = (1e-3, 0.999)
#: EM steps at most, and the change of a probability from which on they go on. The model is recalibrated every third.
STEPS, TOLERANCE, RECALIBRATED = 60, 1e-4, 3
#: A fit that takes more than half of all votes for wrong is believed only where there is no other.
LEAST_RIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Annotators:
    """How well each annotator knows each class.

    Attributes
    ----------
    mean_accuracy : float
        Share of all votes that are right.
    accuracy : float64 array (A,)
        Of each annotator, drawn towards that of all; theirs without a vote.
    expected : float64 array (A, K)
        What the accuracies of the annotator and of the class let expect of the annotator's votes where k is true.
    elsewhere : float64 array (K, K)
        Where a wrong vote goes, by true class; the diagonal is not read, the rest of a row sums to 1.
    seen : float64 array (A, K)
        Expected number of votes of each annotator on items of each class.
    counts : float64 array (A, K, K) or None
        Those votes by what was said, ``counts[a, l, k]``; None above `MOST_CONFUSIONS`.
    """

    mean_accuracy: float
    accuracy: np.ndarray
    expected: np.ndarray
    elsewhere: np.ndarray
    seen: np.ndarray
    counts: np.ndarray | None

    def confusion(self, annotator: int) -> np.ndarray:
        """float64 (K, K): probability that the annotator says l (column) where k (row) is true."""
        expected = (1 - self.expected[annotator])[:, None] * self.elsewhere
        np.fill_diagonal(expected, self.expected[annotator])
        if self.counts is None:
            return expected
        total = self.seen[annotator] + CONFUSION_VOTES
        return (self.counts[annotator].T + CONFUSION_VOTES * expected) / total[:, None]


@dataclass(frozen=True, eq=False)
class AnnotatorFit:
    """What annotators and a model together say.

    Attributes
    ----------
    posterior : float64 array (n, K)
        Probability of each class, rows sum to 1. Items without a vote have what the model says, or the class shares.
    prior : float64 array (n, K)
        What is known without the item's votes.
    annotators : Annotators
    votes : Votes
    exponent, distrust, blind : float
        The model's recalibration: ``p ** exponent``, times ``exp(distrust)`` for its first class, and the share of
        items of which it knows nothing. 1, 0 and 0 without a model.
    log_likelihood : float
        Of the votes, in nats; comparable between fits of the same votes.
    """

    posterior: np.ndarray
    prior: np.ndarray = field(repr=False)
    annotators: Annotators = field(repr=False)
    votes: Votes = field(repr=False)
    exponent: float
    distrust: float
    blind: float
    log_likelihood: float

    @cached_property
    def labels(self) -> np.ndarray:
        """The consensus, int64 (n,): the most probable class, the first of equal ones."""
        return self.posterior.argmax(axis=1)

    @cached_property
    def quality(self) -> np.ndarray:
        """Probability that the consensus is right, float64 (n,)."""
        return self.posterior.max(axis=1)


def fit_annotators(
    items: np.ndarray,
    annotators: np.ndarray,
    labels: np.ndarray,
    shape: tuple[int, int, int],
    probabilities: np.ndarray | None = None,
) -> AnnotatorFit:
    """Fit by expectation maximisation.

    Parameters
    ----------
    items, annotators, labels : int arrays (v,)
        One entry per vote.
    shape : (n, A, K)
        Items, annotators, classes.
    probabilities : float array (n, K), optional
        Out-of-sample probabilities of a model.

    Returns
    -------
    AnnotatorFit
        With a model, the likelier of two: started with the model believed, and with the votes alone. See
        `LEAST_RIGHT`: who agrees with whom cannot tell a model that is wrong on most items from people who are.

    Raises
    ------
    LabelError
        If the votes do not fit each other or `shape`, or there is none.
    ProbabilityError
        If the probabilities are of another shape or not finite.

    Source
    ------
    Dawid and Skene 1979, with the priors described above; Passonneau and Carpenter 2014 on why priors are needed.
    """
    check_votes(items, annotators, labels, shape)
    if not len(items):
        raise LabelError("there is no vote.")
    votes = Votes(np.asarray(items), np.asarray(annotators), np.asarray(labels), shape)
    if probabilities is None:
        return _fit(votes, None, vote_shares(votes.counts))
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (shape[0], shape[2]) or not np.isfinite(p).all():
        raise ProbabilityError(f"the probabilities must be finite and of shape {(shape[0], shape[2])}.")
    odds = np.log(EXPECTED_ACCURACY * (shape[2] - 1) / (1 - EXPECTED_ACCURACY))
    trusting = _Model(p)
    start = _softmax(trusting.logs + odds * votes.counts)
    fits = [_fit(votes, trusting, start), _fit(votes, _Model(p, blind=0.5), vote_shares(votes.counts))]
    believed = [fit for fit in fits if fit.annotators.mean_accuracy >= LEAST_RIGHT] or fits
    return max(believed, key=lambda fit: fit.log_likelihood)


def _softmax(logs: np.ndarray) -> np.ndarray:
    return np.exp(logs - logsumexp(logs, axis=1, keepdims=True))


class Votes:
    """The votes, and how they add up."""

    def __init__(self, items: np.ndarray, annotators: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int]):
        self.items, self.annotators, self.labels = items, annotators, labels
        self.n, self.n_annotators, self.n_classes = shape
        self.counts = vote_counts(items, labels, self.n, self.n_classes)
        self.voted = self.counts.sum(axis=1) > 0
        self.by_item = self._adder(items, self.n)
        self.by_annotator = self._adder(annotators, self.n_annotators)
        self.by_label = self._adder(labels, self.n_classes)
        self.by_both = None
        if self.n_annotators * self.n_classes**2 <= MOST_CONFUSIONS:
            self.by_both = self._adder(annotators * self.n_classes + labels, self.n_annotators * self.n_classes)

    @staticmethod
    def _adder(rows: np.ndarray, n_rows: int) -> csr_matrix:
        """Times an array (v, ..): the sums of the votes of each row."""
        return csr_matrix((np.ones(len(rows)), (rows, np.arange(len(rows)))), (n_rows, len(rows)))

    def estimate(self, posterior: np.ndarray) -> Annotators:
        """Accuracies and confusions under these probabilities of the classes."""
        k = self.n_classes
        of_votes = posterior[self.items]
        seen = self.by_annotator @ of_votes
        agreed = of_votes[np.arange(len(self.labels)), self.labels]
        right = np.bincount(self.annotators, agreed, self.n_annotators)
        mean = float((agreed.sum() + EXPECTED_ACCURACY * EXPECTED_VOTES) / (len(agreed) + EXPECTED_VOTES))
        accuracy = (right + ACCURACY_VOTES * mean) / (seen.sum(axis=1) + ACCURACY_VOTES)
        right_of_class = np.bincount(self.labels, agreed, k)
        of_class = (right_of_class + EXPECTED_VOTES * mean) / (of_votes.sum(axis=0) + EXPECTED_VOTES)
        own, classes, everybody = (logit(np.clip(x, FLOOR, 1 - FLOOR)) for x in (accuracy, of_class, np.array(mean)))
        if k <= MATRIX_CLASSES:
            others = ((self.by_label @ of_votes).T + 1.0) * (1 - np.eye(k))
            elsewhere = others / others.sum(axis=1, keepdims=True)
        else:
            elsewhere = np.broadcast_to(1 / (k - 1), (k, k))
        counts = None
        if self.by_both is not None:
            counts = (self.by_both @ of_votes).reshape(self.n_annotators, k, k)
        return Annotators(mean, accuracy, expit(own[:, None] + classes - everybody), elsewhere, seen, counts)

    def evidence(self, who: Annotators) -> np.ndarray:
        """Log-likelihood of each item's votes under each class, float64 (n, K)."""
        expected, at = who.expected[self.annotators], np.arange(len(self.labels))
        likely = (1 - expected) * who.elsewhere[:, self.labels].T
        likely[at, self.labels] = expected[at, self.labels]
        if who.counts is not None:
            own = who.counts[self.annotators, self.labels]
            likely = (own + CONFUSION_VOTES * likely) / (who.seen[self.annotators] + CONFUSION_VOTES)
        return self.by_item @ np.log(likely)


class _Model:
    """Probabilities recalibrated against votes."""

    def __init__(self, p: np.ndarray, blind: float = 0.02) -> None:
        self.logs = np.log(np.clip(p, 0, 1) + FLOOR)
        self.first = np.zeros_like(self.logs)
        self.first[np.arange(len(p)), self.logs.argmax(axis=1)] = 1.0
        self.exponent, self.distrust, self.blind = 1.0, 0.0, blind

    def calibrated(self) -> np.ndarray:
        return _softmax(self.exponent * self.logs + self.distrust * self.first)

    def refit(self, likelihood: np.ndarray, shares: np.ndarray, exponents: bool) -> None:
        """Raise the likelihood of the votes, (m, K) up to a factor for each item; the rows of items with votes."""
        by_chance = likelihood @ shares
        for _ in range(RECALIBRATED):
            by_model = (1 - self.blind) * (self.calibrated() * likelihood).sum(axis=1)
            blind = self.blind * by_chance
            self.blind = float(np.clip((blind / (by_model + blind)).mean(), *BLIND))
        if not exponents:
            return

        def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
            self.exponent, self.distrust = map(float, values)
            prior = self.calibrated()
            joint = prior * likelihood
            by_model = joint.sum(axis=1)
            total = (1 - self.blind) * by_model + self.blind * by_chance
            # Posterior less prior, as far as the model and not chance explains the votes.
            gap = (joint / by_model[:, None] - prior) * ((1 - self.blind) * by_model / total)[:, None]
            slope = np.array([(gap * self.logs).sum(), (gap * self.first).sum() - values[1] / DISTRUST_SPREAD**2])
            return float(values[1] ** 2 / 2 / DISTRUST_SPREAD**2 - np.log(total).sum()), -slope

        bounds = [EXPONENTS, DISTRUST]
        best = minimize(loss, (self.exponent, self.distrust), jac=True, bounds=bounds, options={"maxiter": 6})
        self.exponent, self.distrust = map(float, best.x)

    def rows(self, wanted: np.ndarray) -> _Model:
        part = object.__new__(_Model)
        part.logs, part.first = self.logs[wanted], self.first[wanted]
        part.exponent, part.distrust, part.blind = self.exponent, self.distrust, self.blind
        return part


def _fit(votes: Votes, model: _Model | None, posterior: np.ndarray) -> AnnotatorFit:
    voted = votes.voted
    with_votes = None if model is None else model.rows(voted)
    for step in range(STEPS):
        who = votes.estimate(posterior)
        evidence = votes.evidence(who)
        shares = (posterior[voted].sum(axis=0) + 1) / (voted.sum() + votes.n_classes)
        prior = np.broadcast_to(shares, evidence.shape)
        if model is not None and with_votes is not None:
            likelihood = np.exp(evidence[voted] - evidence[voted].max(axis=1, keepdims=True))
            with_votes.refit(likelihood, shares, step % RECALIBRATED == 0)
            model.exponent, model.distrust, model.blind = with_votes.exponent, with_votes.distrust, with_votes.blind
            prior = (1 - model.blind) * model.calibrated() + model.blind * shares
        joint = np.log(prior) + evidence
        norms = logsumexp(joint, axis=1, keepdims=True)
        before, posterior = posterior, np.exp(joint - norms)
        if np.abs(posterior - before).max() < TOLERANCE:
            break
    calibration = (1.0, 0.0, 0.0) if model is None else (model.exponent, model.distrust, model.blind)
    return AnnotatorFit(posterior, prior, who, votes, *calibration, float(norms[voted].sum()))
