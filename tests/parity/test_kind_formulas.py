"""cleanlab's formulas for sets of tags, numbers and masks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from auditor.engine.rules import SCORES
from auditor.kinds.formulas import (
    AGGREGATES,
    FILTERS,
    flag_tagged_items,
    flag_tags,
    item_quality,
    mask_quality,
    number_quality,
    tag_quality,
)

multilabel = pytest.importorskip("cleanlab.multilabel_classification")


def problems(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Probabilities and tags of so many random problems: both types, ties, rare tags, sure models."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        n, k = int(rng.integers(8, 60)), int(rng.integers(2, 7))
        truth = rng.random((n, k)) < rng.uniform(0.1, 0.9, k)
        truth[:2] = [[True] * k, [False] * k]  # both labels are there, as the peer wants
        p = np.clip(rng.choice([0.2, 0.4, 1.0]) * (truth - 0.5) + rng.normal(0.5, 0.2, (n, k)), 0, 1)
        if rng.random() < 0.3:
            p = p.round(1)
        labels = truth ^ (rng.random((n, k)) < 0.1)
        labels[:2] = truth[:2]
        yield p.astype(rng.choice(["float32", "float64"])), labels


def lists(labels: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in labels]


def test_quality_of_cells_and_items_equals_cleanlab() -> None:
    from cleanlab.internal.multilabel_scorer import ClassLabelScorer, MultilabelScorer

    for p, labels in problems(1000):
        for score in SCORES:
            scorer = MultilabelScorer(ClassLabelScorer.from_str(score))
            cells = scorer.get_class_label_quality_scores(labels.astype(int), p)
            np.testing.assert_array_equal(tag_quality(p, labels, score), cells)
    for p, labels in problems(40):
        theirs = multilabel.get_label_quality_scores(lists(labels), p)  # as neither is told anything
        np.testing.assert_allclose(item_quality(tag_quality(p, labels)), theirs, rtol=1e-13)
        for score in SCORES:
            for aggregate in AGGREGATES:
                theirs = multilabel.get_label_quality_scores(
                    lists(labels), p, method=score, aggregator_kwargs={"method": aggregate}
                )
                ours = item_quality(tag_quality(p, labels, score), aggregate, alpha=2 / (p.shape[1] + 1))
                np.testing.assert_allclose(ours, theirs, rtol=1e-13)


@pytest.mark.parametrize("count", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_filters_equal_cleanlab(count: int) -> None:
    from cleanlab.multilabel_classification.filter import find_label_issues, find_multilabel_issues_per_class

    for p, labels in problems(count):
        nested = lists(labels)
        for rule in FILTERS:
            theirs = find_multilabel_issues_per_class(nested, p, filter_by=rule, n_jobs=1)
            np.testing.assert_array_equal(flag_tags(p, labels, rule), theirs, err_msg=rule)
        for rule in (*FILTERS, "low_self_confidence", "low_normalized_margin"):
            theirs = find_label_issues(nested, p, filter_by=rule, n_jobs=1)
            np.testing.assert_array_equal(flag_tagged_items(p, labels, rule), theirs, err_msg=rule)


def test_quality_of_numbers_equals_cleanlab() -> None:
    rank = pytest.importorskip("cleanlab.regression.rank")
    rng = np.random.default_rng(0)
    for _ in range(1000):
        labels = rng.normal(0, rng.choice([1, 100]), int(rng.integers(5, 50)))
        predictions = labels + rng.normal(0, 1, len(labels))
        theirs = rank.get_label_quality_scores(labels, predictions, method="residual")
        np.testing.assert_array_equal(number_quality(predictions, labels), theirs)


@pytest.mark.slow
def test_they_are_faster_than_cleanlab() -> None:
    from cleanlab.multilabel_classification.filter import find_label_issues

    rng = np.random.default_rng(0)
    labels = rng.random((20_000, 50)) < 0.1
    p = np.clip(0.8 * labels + rng.normal(0.1, 0.2, labels.shape), 0, 1).astype(np.float32)
    nested = lists(labels)
    flag_tagged_items(p[:1000], labels[:1000])  # compiled once

    def seconds(what: Any) -> float:
        started = time.perf_counter()
        what()
        return time.perf_counter() - started

    ours = seconds(lambda: flag_tagged_items(p, labels)), seconds(lambda: item_quality(tag_quality(p, labels)))
    theirs = (
        seconds(lambda: find_label_issues(nested, p, n_jobs=1)),
        seconds(lambda: multilabel.get_label_quality_scores(nested, p)),
    )
    print(f"filter {ours[0]:.2f} s, cleanlab {theirs[0]:.2f} s; scores {ours[1]:.2f} s, {theirs[1]:.2f} s")  # noqa: T201
    assert ours[0] < theirs[0]
    assert ours[1] < theirs[1]


def masked(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Probabilities and masks of so many random sets of pictures: both types, sure and unsure models."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        n, k, height, width = rng.integers([1, 2, 1, 1], [4, 7, 30, 30])
        p = rng.dirichlet(np.full(k, rng.choice([0.1, 1.0])), (n, height, width)).transpose(0, 3, 1, 2)
        yield p.astype(rng.choice(["float32", "float64"])), rng.integers(0, k, (n, height, width))


def test_quality_of_masks_equals_cleanlab() -> None:
    rank = pytest.importorskip("cleanlab.segmentation.rank")
    for p, labels in masked(1000):
        theirs, _ = rank.get_label_quality_scores(labels, p, method="softmin", verbose=False)
        # the last bit of a sum depends on where the array begins in memory, there as here
        np.testing.assert_allclose(mask_quality(p, labels), theirs, rtol=1e-15)
        warm, _ = rank.get_label_quality_scores(labels, p, temperature=0.5, verbose=False)
        np.testing.assert_allclose(mask_quality(p, labels, temperature=0.5), warm, rtol=1e-15)


@pytest.mark.slow
def test_quality_of_masks_is_faster_than_cleanlab() -> None:
    rank = pytest.importorskip("cleanlab.segmentation.rank")
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(11), (20, 256, 256)).transpose(0, 3, 1, 2).astype(np.float32, order="C")
    labels = rng.integers(0, 11, (20, 256, 256))
    took: dict[str, list[float]] = {"ours": [], "cleanlab": []}
    for _ in range(5):
        for name, call in (
            ("ours", lambda: mask_quality(p, labels)),
            ("cleanlab", lambda: rank.get_label_quality_scores(labels, p, verbose=False)),
        ):
            started = time.perf_counter()
            call()
            took[name].append(time.perf_counter() - started)
    print({name: f"{min(seconds):.4f} s" for name, seconds in took.items()})  # noqa: T201
    assert min(took["ours"]) < min(took["cleanlab"])
