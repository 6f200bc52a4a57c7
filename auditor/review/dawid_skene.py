"""Dawid-Skene: the probable truth and the confusion of every annotator, from nothing but their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.errors import LabelError


@dataclass(frozen=True)
class DawidSkeneFit:
    """What the model says.

    Attributes
    ----------
    posterior : float64 array (n, K)
        Probability of each class, rows sum to 1. An item without a vote has the prior.
    prior : float64 array (K,)
        Shares of the classes.
    confusion : float64 array (A, K, K)
        ``confusion[a, k, l]``: probability that annotator a says l where k is true.
    iterations : int
    """

    posterior: np.ndarray
    prior: np.ndarray
    confusion: np.ndarray
    iterations: int


def dawid_skene(
    items: np.ndarray,
    annotators: np.ndarray,
    labels: np.ndarray,
    shape: tuple[int, int, int],
    diagonal: float = 1.0,
    elsewhere: float = 0.1,
    iterations: int = 100,
    tolerance: float = 1e-6,
) -> DawidSkeneFit:
    """Fit by expectation maximisation, started at the vote shares.

    Parameters
    ----------
    items, annotators, labels : int arrays (v,)
        One entry per vote.
    shape : (n, A, K)
        Items, annotators, classes.
    diagonal, elsewhere : float
        Dirichlet pseudo-counts of the confusion matrices. With 0 an annotator who never used a class makes it
        impossible; the defaults lean towards annotators who know more than chance.
    iterations : int
        At most this many.
    tolerance : float
        Stop when no posterior changes by more.

    Raises
    ------
    LabelError
        If the arrays do not fit each other or `shape`.

    Source
    ------
    Dawid and Skene 1979; smoothing as in detection-and-statistics, section 12. Below three votes per item it does
    worse than the majority (10.6 there).
    """
    n, n_annotators, n_classes = shape
    check_votes(items, annotators, labels, shape)
    counts = vote_counts(items, labels, n, n_classes)
    posterior, voted = vote_shares(counts), counts.sum(axis=1) > 0
    smoothing = np.full((n_classes, n_classes), elsewhere) + (diagonal - elsewhere) * np.eye(n_classes)
    done = 0
    prior, confusion = np.full(n_classes, 1 / n_classes), np.zeros((n_annotators, n_classes, n_classes))
    for done in range(1, iterations + 1):  # noqa: B007
        prior = posterior[voted].mean(axis=0) if voted.any() else prior
        # confusion[a, k, l] grows by the posterior of k for each vote of a for l.
        by_label = np.zeros((n_annotators, n_classes, n_classes))
        np.add.at(by_label, (annotators, labels), posterior[items])
        gathered = by_label.transpose(0, 2, 1) + smoothing
        rows = gathered.sum(axis=2, keepdims=True)
        confusion = np.divide(gathered, rows, out=np.zeros_like(gathered), where=rows > 0)
        with np.errstate(divide="ignore"):
            log_confusion, log_prior = np.log(confusion), np.log(prior)
        log = np.zeros((n, n_classes)) + log_prior
        np.add.at(log, items, log_confusion[annotators, :, labels])
        # Without smoothing every class can be impossible; such an item keeps the prior.
        top = log.max(axis=1, keepdims=True)
        weights = np.exp(np.where(np.isfinite(top), log - np.where(np.isfinite(top), top, 0), log_prior))
        new = weights / weights.sum(axis=1, keepdims=True)
        moved = float(np.abs(new - posterior).max()) if n else 0.0
        posterior = new
        if moved < tolerance:
            break
    return DawidSkeneFit(posterior, prior, confusion, done)


def vote_counts(items: np.ndarray, labels: np.ndarray, n: int, n_classes: int) -> np.ndarray:
    """Votes per item and class, float64 (n, K)."""
    flat = np.bincount(np.asarray(items) * n_classes + np.asarray(labels), minlength=n * n_classes)
    return flat.reshape(n, n_classes).astype(np.float64)


def vote_shares(counts: np.ndarray) -> np.ndarray:
    """Shares of the classes among each item's votes, float64 (n, K), of `vote_counts`; equal ones without a vote."""
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), 1 / counts.shape[1])


def check_votes(items: np.ndarray, annotators: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Raise `LabelError` unless the three arrays are of one length and inside `shape`."""
    if not len(items) == len(annotators) == len(labels):
        raise LabelError("items, annotators and labels of the votes differ in length.")
    for name, values, limit in zip(("items", "annotators", "labels"), (items, annotators, labels), shape, strict=True):
        if len(values) and not (values.min() >= 0 and values.max() < limit):
            raise LabelError(f"the {name} of the votes must lie in 0..{limit - 1}.")
