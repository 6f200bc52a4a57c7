"""The adapter gives what cleanlab gives, and nothing else in the package imports cleanlab."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

import auditor
from auditor.lab.detectors import cleanlab_adapter


def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 800)
    logits = rng.normal(size=(800, 4)) + 3 * np.eye(4)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.where(rng.random(800) < 0.15, rng.integers(0, 4, 800), truth)
    return labels, p


@pytest.mark.parametrize("rule", cleanlab_adapter.FILTERS)
def test_filters_are_cleanlabs(rule: str) -> None:
    labels, p = problem()
    ours = cleanlab_adapter.filter_mask(labels, p, rule)
    np.testing.assert_array_equal(ours, find_label_issues(labels, p, filter_by=rule, n_jobs=1))
    assert 0 < ours.sum() < 400


@pytest.mark.parametrize(("method", "adjusted"), cleanlab_adapter.SCORES)
def test_scores_are_cleanlabs(method: str, adjusted: bool) -> None:
    labels, p = problem()
    theirs = get_label_quality_scores(labels, p, method=method, adjust_pred_probs=adjusted)
    np.testing.assert_array_equal(cleanlab_adapter.quality(labels, p, method, adjusted), theirs)


def test_all_seven_rules_take_part() -> None:
    from cleanlab.filter import find_label_issues as find

    named = set(re.findall(r"'(\w+)'", str(find.__doc__).partition("filter_by")[2].partition("return_indices")[0]))
    assert named >= set(cleanlab_adapter.FILTERS)
    assert len(cleanlab_adapter.FILTERS) == 7


def test_only_the_adapter_imports_cleanlab() -> None:
    root = Path(auditor.__file__).parent
    importing = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"^\s*(from|import) cleanlab\b", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["lab/detectors/cleanlab_adapter.py"]
