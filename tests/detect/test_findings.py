"""From evidence and a rule to findings: pieces change nothing, suggestions, order of row numbers."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import UnknownNameError, UsageError
from auditor.detect.base import Evidence
from auditor.detect.findings import STREAMED_FLAG_RULE, STREAMED_RANKING, find
from auditor.detect.margins import id_keys, rank_order
from auditor.detect.registry import run_detector
from auditor.engine.sources import ArraySource


def _problem(n: int, k: int, dtype: type, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, 0.3), size=n).astype(dtype)
    labels = np.where(rng.random(n) < 0.8, p.argmax(axis=1), rng.integers(k, size=n))
    return p, labels.astype(np.int64), rng.permutation(n).astype(str)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("n", "k"), [(300, 2), (500, 7), (200, 40)])
@pytest.mark.parametrize("step", [1, 64, 10_000])
def test_the_default_of_larger_data_is_that_of_two_detectors_in_any_pieces(
    dtype: type, n: int, k: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.detect.findings.IN_MEMORY_VALUES", 0)
    p, labels, ids = _problem(n, k, dtype, seed=n + k)
    whole = Evidence(ids=ids, labels=labels, n_classes=k, probabilities=(p,))
    ranked, flags = run_detector(STREAMED_RANKING, whole), run_detector(STREAMED_FLAG_RULE, whole)
    found = find(Evidence(ids, labels, k, probabilities=[ArraySource(p)]), chunk_rows=step)
    np.testing.assert_array_equal(found.score, ranked.score)
    np.testing.assert_array_equal(found.flagged, flags.flagged)
    np.testing.assert_array_equal(found.order, ranked.order(ids))
    at = found.flagged_in_order
    np.testing.assert_array_equal(found.suggested(at), flags.suggested[at])
    assert found.meta == flags.meta
    assert found.flagged.any()


def test_a_few_suggestions_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.engine.mixture.CHUNK_BYTES", 200)  # a few rows at once
    p, labels, ids = _problem(100, 3, np.float64, seed=1)
    found = find(Evidence(ids, labels, 3, probabilities=(p,)), "low_self_confidence")
    everything = found.suggested()
    assert (everything != labels).all()
    some = np.random.default_rng(0).permutation(100)[:17]
    np.testing.assert_array_equal(found.suggested(some), everything[some])
    assert found.suggested(np.empty(0, np.int64)).tolist() == []


def test_row_numbers_are_ordered_as_numbers_and_names_as_names() -> None:
    score = np.zeros(12)
    assert rank_order(score, np.arange(12).astype(str)).tolist() == list(range(12))
    assert rank_order(score, np.arange(12).astype(str).astype(object)).tolist() == list(range(12))
    assert rank_order(np.zeros(3), np.array(["10", "9", "a"])).tolist() == [0, 1, 2]
    # "07" and "7" are two names: as numbers they would be one.
    assert id_keys(np.array(["7", "07"])).tolist() == ["7", "07"]
    assert id_keys(np.array([str(2**70), "1"])).tolist() == [str(2**70), "1"]


def test_a_detector_without_a_flag_rule_flags_nothing() -> None:
    p, labels, ids = _problem(50, 3, np.float32, seed=2)
    found = find(Evidence(ids, labels, 3, probabilities=(p,)), "entropy")
    assert (found.flag_rule, found.flagged.any(), found.ranking) == (None, False, "entropy")


def test_wrong_rules() -> None:
    p, labels, ids = _problem(50, 3, np.float32, seed=3)
    evidence = Evidence(ids, labels, 3, probabilities=(p,))
    with pytest.raises(UnknownNameError, match="prune_by_class"):
        find(evidence, "prune_by_clas")
    with pytest.raises(UsageError, match="embeddings"):
        find(evidence, "knn_vote")


def test_a_file_of_zeros_and_ones_is_read_as_probabilities() -> None:
    labels = np.array([0, 1, 1, 0])
    certain = np.eye(2, dtype=np.int64)[[0, 1, 0, 0]]
    found = find(Evidence(np.arange(4), labels, 2, probabilities=[ArraySource(certain)]), "predicted_neq_given")
    assert found.flagged_in_order.tolist() == [2]
    assert found.suggested().tolist() == [1, 0, 0, 1]
