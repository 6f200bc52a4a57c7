"""Random problems of the mix that shows every known trap, and cleanlab's answers to them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

CLEANLAB_RULES = (
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_self_confidence",
    "low_normalized_margin",
)


@dataclass(frozen=True)
class Problem:
    """Probabilities, labels, and the array cleanlab must be given for parity."""

    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def reference(self) -> np.ndarray:
        # Row sums depend on the memory order in their last bits; the engine always sums C-contiguous rows.
        p = np.ascontiguousarray(self.probabilities)
        return p.astype(np.float32) if p.dtype == np.float16 else p


def make_problem(
    seed: int,
    n: int,
    k: int,
    dtype: Any,
    decimals: int | None = None,
    missing: bool = False,
    lonely: bool = False,
    sharpness: float = 2.0,
) -> Problem:
    """Softmax probabilities with label noise.

    `decimals` rounds them (ties everywhere), `missing` empties one class, `lonely` leaves one row in another.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) * rng.uniform(0.3, sharpness)
    logits[np.arange(n), truth] += rng.uniform(0, 2 * sharpness)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    labels = np.where(rng.random(n) < 0.25, rng.integers(0, k, n), truth)
    if decimals is not None:
        p = np.round(p, decimals)
    if k > 2 and missing:
        labels[labels == k - 1] = 0
    if k > 2 and lonely:
        labels[labels == 1] = 0
        labels[rng.integers(0, n)] = 1
    if len(np.unique(labels)) < 2:
        labels[:2] = [0, 1]
    return Problem(p.astype(dtype), labels)


def reference_masks(problem: Problem, rules: tuple[str, ...] = CLEANLAB_RULES, **options: Any) -> dict[str, np.ndarray]:
    """cleanlab's mask per rule, from this process; its joint, which nearly every rule begins with, is made once."""
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues

    y, p = problem.labels, problem.reference
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        joint = compute_confident_joint(y, p)
        return {
            rule: find_label_issues(
                y,
                p,
                filter_by=rule,
                n_jobs=1,
                confident_joint=None if rule == "confident_learning" else joint,
                **options,
            )
            for rule in rules
        }


def compare_all(problem: Problem, analyze: Any = None, **options: Any) -> list[str]:
    """Names of everything in which the engine differs from cleanlab; empty = parity."""
    from cleanlab.count import compute_confident_joint, get_confident_thresholds, num_label_issues
    from cleanlab.rank import get_label_quality_scores

    from auditor.engine import api

    y, p = problem.labels, problem.reference
    analysis = (analyze or api.analyze)(problem.probabilities, y, row_sum_tolerance=None, **options)
    wrong: list[str] = []

    def check(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        if ours.dtype != theirs.dtype or not np.array_equal(ours, theirs):
            wrong.append(name)

    check("thresholds", analysis.thresholds, get_confident_thresholds(y, p))
    check("confident_joint", analysis.confident_joint, compute_confident_joint(y, p, calibrate=False))
    check("calibrated_joint", analysis.calibrated_joint, compute_confident_joint(y, p))
    for rule, mask in reference_masks(problem).items():
        check(rule, api.flag(analysis, rule), mask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if analysis.n_issues != num_label_issues(y, p):
            wrong.append("num_label_issues off_diagonal")
        calibrated = num_label_issues(y, p, estimation_method="off_diagonal_calibrated")
        if api.issue_count(analysis.calibrated, analysis.class_counts) != calibrated:
            wrong.append("num_label_issues off_diagonal_calibrated")
    for score in api.SCORES:
        check(score, api.scores(analysis, score), get_label_quality_scores(y, p, method=score))
        if score != "confidence_weighted_entropy":
            theirs = get_label_quality_scores(y, p, method=score, adjust_pred_probs=True)
            check(f"adjusted {score}", api.scores(analysis, score, adjusted=True), theirs)
    return wrong
