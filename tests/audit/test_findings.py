"""Ranking, flags, suggestions and rows of findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from auditor.audit.findings import FindingTables, make_findings, weak_model_note
from auditor.data.base import BadItem, Dataset
from auditor.data.intake import open_probabilities
from auditor.detect.base import Evidence
from auditor.runs.layout import FINDING_COLUMNS


def _problem(n: int = 300, k: int = 4, wrong: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(k, size=n)
    p = rng.dirichlet(np.ones(k), size=n) * 0.3
    p[np.arange(n), truth] += 0.7
    labels = truth.copy()
    rows = rng.choice(n, wrong, replace=False)
    labels[rows] = (truth[rows] + 1) % k
    return p / p.sum(axis=1, keepdims=True), labels, rows


def _tables(dataset: Dataset, p: np.ndarray, rule: str, bad: Sequence[BadItem] = ()) -> FindingTables:
    """Of the first items, as many as there are probabilities."""
    rows = np.arange(len(p))
    evidence = Evidence(dataset.ids[rows], dataset.labels[rows], p.shape[1], dataset.class_names, (p,))
    return make_findings(dataset, rows, evidence, rule, bad)


@pytest.mark.parametrize("rule", ["default", "prune_by_noise_rate", "predicted_neq_given", "paper"])
def test_planted_errors_come_first(rule: str) -> None:
    p, labels, wrong = _problem()
    dataset = open_probabilities(p, labels)
    tables = _tables(dataset, p, rule)
    assert set(tables.scores["row"].head(20)) == set(wrong)
    assert list(tables.findings.columns) == list(FINDING_COLUMNS)
    found = tables.findings
    assert (found["given"] != found["suggested"]).all()
    assert found["rank"].is_monotonic_increasing
    assert tables.detector == ("combined" if rule == "default" else "log_odds_margin")
    assert tables.rule == ("combined" if rule == "default" else rule)


def test_order_and_flags_do_not_depend_on_row_order() -> None:
    p, labels, _ = _problem(seed=1)
    p = p.round(1) + 1e-9  # ties
    p /= p.sum(axis=1, keepdims=True)
    dataset = open_probabilities(p, labels)
    shuffled = np.random.default_rng(2).permutation(300)
    one = _tables(dataset, p, "default").findings
    two = _tables(dataset.subset(shuffled), p[shuffled], "default").findings
    assert one["id"].tolist() == two["id"].tolist()


def test_undecodable_items_follow_the_label_findings() -> None:
    p, labels, _ = _problem()
    dataset = open_probabilities(p, labels)
    bad = [BadItem(298, "truncated"), BadItem(299, "empty file")]
    found = _tables(dataset, p[:298], "default", bad).findings
    assert found["code"].tolist()[-2:] == ["DQ001", "DQ001"]
    assert found["id"].tolist()[-2:] == ["298", "299"]
    assert found["message"].tolist()[-1] == "empty file"
    assert found["rank"].is_unique


def test_a_model_that_flags_much_or_learned_nothing_is_named_as_the_likely_cause() -> None:
    p, labels, wrong = _problem()
    agreement = float((p.argmax(axis=1) == labels).mean())
    assert weak_model_note(labels, agreement, len(wrong)) is None
    note = weak_model_note(labels, agreement, 90)
    assert note is not None
    assert "90 of 300 items (30%) are flagged" in note
    assert "93.3% of the given labels" in note
    note = weak_model_note(labels, float(np.bincount(labels).max() / 300), 10)
    assert note is not None
    assert "no more than naming the most frequent class" in note


def test_perfect_agreement_is_no_reason_for_a_caution() -> None:
    assert weak_model_note(np.zeros(10, dtype=np.int64), 1.0, 0) is None
