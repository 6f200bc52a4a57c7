"""The longer list: its cut, its caution, and the cut that verdicts choose."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auditor.api import LabelErrorDetector
from auditor.audit.find_errors import find_errors
from auditor.audit.flagging import flag_inputs, inputs_from_files
from auditor.detect.base import Detection, Evidence, Verdicts
from auditor.detect.findings import find
from auditor.detect.registry import DETECTORS, caution, run_detector
from auditor.detect.thresholds import best_expected_f1, threshold_from_verdicts
from auditor.lab.detectors.metrics import flag_counts

N, K = 2000, 4


def habits(seed: int = 0) -> tuple[Evidence, np.ndarray]:
    """Annotators who take half of class 1 for class 0, and a model that has learned it: (evidence, wrong)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, N)
    labels = np.where((truth == 1) & (rng.random(N) < 0.5), 0, truth)
    logits = 4.0 * np.eye(K)[truth] + rng.normal(size=(N, K))
    logits[truth == 1, 0] += 5.0
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Evidence(np.arange(N), labels, K, probabilities=p), labels != truth


def detect(name: str, evidence: Evidence) -> Detection:
    detection = run_detector(name, evidence)
    assert isinstance(detection, Detection)
    return detection


def test_cut_of_largest_expected_f1_on_numbers_done_by_hand() -> None:
    ranked = np.array([0.9, 0.8, 0.4, 0.1, 0.1])  # sum 2.3
    assert best_expected_f1(ranked) == (3, pytest.approx(2 * 2.1 / (3 + 2.3)))
    assert best_expected_f1(np.zeros(4))[0] == 1
    assert best_expected_f1(np.ones(4)) == (4, 1.0)


def test_list_is_longer_where_the_model_has_learned_the_errors() -> None:
    evidence, wrong = habits()
    long, usual = detect("long_list", evidence), detect("combined", evidence)
    assert (wrong & long.flagged).sum() > 1.2 * (wrong & usual.flagged).sum()
    assert flag_counts(wrong, long.flagged).f1 > flag_counts(wrong, usual.flagged).f1 + 0.05
    preferred = evidence.mean_probabilities.argmax(axis=1)
    assert (preferred[long.flagged] == evidence.labels[long.flagged]).any()  # the model agrees, and is not sure
    assert (long.suggested[long.flagged] != evidence.labels[long.flagged]).all()
    assert long.score[long.flagged].min() >= long.score[~long.flagged].max()  # the list is the top of the ranking


@pytest.mark.parametrize(("count", "cuts"), [(100, False), (199, False), (200, True), (400, True)])
def test_verdicts_choose_the_cut_from_200_on(count: int, cuts: bool) -> None:
    evidence, wrong = habits()
    reviewed = np.random.default_rng(1).choice(N, count, replace=False)
    verdicts = Verdicts(reviewed, wrong[reviewed])
    alone, judged = detect("long_list", evidence), detect("long_list", replace(evidence, verdicts=verdicts))
    assert np.array_equal(alone.score, judged.score)
    assert judged.meta["flag_rule"] == f"expected F1 from {'verdicts' if cuts else 'the pool'}"
    chosen = threshold_from_verdicts(alone.score, evidence.ids, verdicts).flagged if cuts else alone.flagged
    assert np.array_equal(judged.flagged, chosen)


def test_whoever_asks_is_told_what_it_is_for(tmp_path: Path) -> None:
    evidence, _ = habits()
    assert [name for name in DETECTORS.names() if caution(name)] == ["long_list"]
    assert caution("default") is None
    assert caution("prune_by_noise_rate") is None
    said: list[str] = []
    inputs = inputs_from_files([evidence.mean_probabilities], evidence.labels)
    flagging = flag_inputs(inputs, detector="long_list", note=said.append)
    assert caution("long_list") in said
    assert np.array_equal(flagging.flagged, find(evidence, "long_list").flagged_in_order)
    p, labels = evidence.mean_probabilities, evidence.labels
    for rule, told in (("long_list", True), ("default", False)):
        run = find_errors(
            pred_probs=p,
            labels=labels,
            rule=rule,
            embeddings="none",
            quality=False,
            out=tmp_path / rule,
            progress=False,
        )
        assert (caution("long_list") in run.manifest["notes"]) is told
    x = np.concatenate([evidence.mean_probabilities, evidence.labels[:, None]], axis=1)[:300]
    with pytest.warns(UserWarning, match="long_list is for"):
        LabelErrorDetector(method="long_list").fit(x, evidence.labels[:300])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LabelErrorDetector().fit(x, evidence.labels[:300])
