"""Re-ranking and cut from verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.core.errors import DataError
from auditor.detect.base import Detection, Evidence, Verdicts
from auditor.detect.registry import run_detector
from auditor.detect.thresholds import errors_visible, threshold_from_verdicts
from auditor.lab.detectors.metrics import Ranked, flag_counts
from auditor.stats.logistic import platt_scaling

from .conftest import NETWORKS, Aggre

NO_VERDICTS = Verdicts(np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))


def margin_of(given: Evidence) -> np.ndarray:
    found = run_detector("log_odds_margin", given)
    assert isinstance(found, Detection)
    return found.score


def near_the_boundary(margin: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """0.7 on the fifth with smallest |margin|, 0.3 uniform: (positions, inverse-probability weights)."""
    n = len(margin)
    near = np.zeros(n, dtype=bool)
    near[np.argsort(np.abs(margin))[: n // 5]] = True
    pi = 0.7 * near / (n // 5) + 0.3 / n
    positions = np.random.default_rng(seed).choice(n, count, p=pi)
    return positions, 1 / (n * pi[positions])


def test_platt_equals_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    score = rng.normal(size=300)
    wrong = rng.random(300) < 1 / (1 + np.exp(1 - 2 * score))
    weights = rng.uniform(0.2, 3, 300)
    oracle = LogisticRegression(C=10, tol=1e-10, max_iter=1000).fit(score[:, None], wrong, sample_weight=weights)
    fitted = platt_scaling(score, wrong, weights)
    assert fitted.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert fitted.intercept == pytest.approx(oracle.intercept_[0], rel=1e-4)


@pytest.mark.parametrize("outcome", [True, False])
def test_verdicts_of_one_kind_give_a_constant(outcome: bool) -> None:
    platt = platt_scaling(np.arange(10.0), np.full(10, outcome), np.ones(10))
    assert platt.slope == 0
    assert (platt(np.zeros(1))[0] > 0.9) == outcome


@pytest.mark.parametrize(
    ("network", "expected"),
    [("resnet18", 79.1), ("swin_base_patch4_window7_224", 93.3), ("uniform", 90.9), ("convex", 93.4)],
)
def test_cut_from_200_verdicts(aggre: Aggre, network: str, expected: float) -> None:
    mixed = Evidence(aggre.ids, aggre.labels, 10, probabilities=aggre.uniform()) if network == "uniform" else None
    margin = margin_of(mixed or aggre.evidence(*(NETWORKS if network == "convex" else (network,))))
    reached = []
    for seed in range(20):
        positions, weights = near_the_boundary(margin, 200, seed)
        cut = threshold_from_verdicts(margin, aggre.ids, Verdicts(positions, aggre.wrong[positions], weights))
        reached.append(100 * flag_counts(aggre.wrong, cut.flagged).f1)
    assert np.mean(reached) == pytest.approx(expected, abs=1.0)
    best = 100 * Ranked.of(aggre.wrong, margin).best_f1()  # the cut chosen with the truth
    assert np.mean(reached) > best - 1.0


def test_shuffled_scores_are_called_blind(aggre: Aggre) -> None:
    margin = margin_of(aggre.evidence("resnet18"))
    seen = []
    for seed in range(40):
        shuffled = np.random.default_rng(seed).permutation(margin)
        positions, weights = near_the_boundary(shuffled, 200, seed)
        verdicts = Verdicts(positions, aggre.wrong[positions], weights)
        seen.append(errors_visible(shuffled, verdicts))
        cut = threshold_from_verdicts(shuffled, aggre.ids, verdicts)
        if not seen[-1]:
            assert cut.flagged is None
            assert "cannot see" in cut.reason
    assert np.mean(seen) <= 0.15  # 5 % expected
    positions, weights = near_the_boundary(margin, 200, 0)
    assert errors_visible(margin, Verdicts(positions, aggre.wrong[positions], weights))


def test_too_few_verdicts_decide_nothing() -> None:
    score = np.arange(100.0)
    verdicts = Verdicts(np.arange(90, 100), np.ones(10, dtype=bool))
    cut = threshold_from_verdicts(score, np.arange(100), verdicts)
    assert cut.flagged is None
    assert cut.visible is None
    assert threshold_from_verdicts(score, np.arange(100), NO_VERDICTS).reason == "there are no verdicts"
    with pytest.raises(DataError, match="outside"):
        threshold_from_verdicts(score, np.arange(100), Verdicts(np.array([100]), np.array([True])))


def part(aggre: Aggre, n: int = 10_000) -> tuple[Evidence, np.ndarray]:
    """The first items of ResNet-18, enough for these tests."""
    return aggre.evidence("resnet18").take(np.arange(n)), aggre.wrong[:n]


def test_no_verdicts_change_nothing(aggre: Aggre) -> None:
    given, _ = part(aggre)
    found = run_detector("verdict", replace(given, verdicts=NO_VERDICTS))
    assert np.array_equal(found.score, margin_of(given))
    assert not found.meta["reranked"]


def test_shuffled_verdicts_keep_the_base(aggre: Aggre) -> None:
    given, wrong = part(aggre)
    margin = margin_of(given)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        positions = rng.choice(np.argsort(-margin)[:3000], 300, replace=False)
        shuffled = rng.permutation(wrong[positions])
        found = run_detector("verdict", replace(given, verdicts=Verdicts(positions, shuffled)))
        assert np.array_equal(found.score, margin)
        assert found.meta["reason"]


def test_many_verdicts_improve_the_ranking_of_the_unreviewed(aggre: Aggre) -> None:
    given = aggre.evidence("resnet18")
    margin, rng = margin_of(given), np.random.default_rng(0)
    order = np.argsort(-margin)
    positions = np.concatenate([rng.choice(order[1350:13500], 500, replace=False), order[:250]])
    positions = np.append(positions, rng.choice(50_000, 250, replace=False))
    found = run_detector("verdict", replace(given, verdicts=Verdicts(positions, aggre.wrong[positions])))
    rest = np.ones(50_000, dtype=bool)
    rest[positions] = False
    before = Ranked.of(aggre.wrong[rest], margin[rest]).average_precision()
    after = Ranked.of(aggre.wrong[rest], found.score[rest]).average_precision()
    assert found.meta["reranked"]
    assert after - before > 0.005
    assert found.meta["flag_rule"] == "expected F1 from verdicts"
    assert (found.suggested[found.flagged] != given.labels[found.flagged]).all()


def test_bad_verdicts() -> None:
    with pytest.raises(DataError, match="outcomes"):
        Verdicts(np.array([1, 2]), np.array([True]))
    with pytest.raises(DataError, match="positive"):
        Verdicts(np.array([1]), np.array([True]), np.array([0.0]))
