"""Measured reference values on the five networks: AP within 0.05 points, flags within 5."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.detect.base import Detection, Evidence
from auditor.detect.em_posterior import fit_em, likelihood_fit
from auditor.detect.ensemble import LOSS_FLOOR, convex_weights
from auditor.detect.findings import find
from auditor.detect.margins import given_probability
from auditor.detect.registry import run_detector
from auditor.lab.detectors.measure import resampled
from auditor.lab.detectors.methods import MethodResult
from auditor.lab.detectors.metrics import Ranked, flag_counts

from .conftest import NETWORKS, Aggre

SETS = (*NETWORKS, "uniform", "convex")
AP = {
    "self_confidence": (87.47, 89.16, 86.55, 94.03, 97.70, 96.30, 97.83),
    "normalized_margin": (85.97, 87.11, 84.83, 92.99, 97.45, 96.33, 97.72),
    "confidence_weighted_entropy": (84.54, 87.20, 83.83, 93.17, 97.27, 95.23, 97.33),
    "log_odds_margin": (87.98, 89.47, 87.20, 94.18, 97.88, 96.66, 98.01),
    "class_adjusted": (87.99, 89.62, 87.28, 94.30, 97.89, 96.72, 98.03),
    "em_posterior": (88.57, 89.91, 87.74, 94.84, 97.95, 96.62, 98.05),
}
FLAGS = {  # F1, number flagged
    "log_odds_margin": (
        (74.68, 6275),
        (76.65, 6060),
        (73.63, 6422),
        (86.15, 5143),
        (92.90, 4686),
        (89.95, 4802),
        (93.24, 4665),
    ),
    "class_adjusted": (
        (74.84, 6260),
        (76.98, 6046),
        (73.71, 6411),
        (86.23, 5139),
        (92.88, 4690),
        (90.01, 4798),
        (93.13, 4674),
    ),
}
OTHER = {  # AUROC, P@N, best F1 of log_odds_margin, EM count, EM F1
    "auroc": (97.87, 98.21, 97.74, 99.00, 99.66, 99.45, 99.67),
    "p_at_n": (79.93, 81.24, 79.05, 87.28, 93.43, 90.90, 93.61),
    "p_at_100": (100, 100, 100, 99, 100, 100, 100),
    "best_f1": (79.96, 81.46, 79.39, 87.65, 93.60, 91.11, 93.66),
    "em_count": (3046, 3116, 2859, 3189, 3393, 2601, 3176),
    "em_f1": (73.76, 76.92, 70.75, 82.58, 87.90, 73.93, 85.28),
}
LOG_LOSS = (0.5240, 0.5299, 0.5577, 0.4691, 0.4433, 0.4688, 0.4400)


def evidence_of(aggre: Aggre, which: str) -> Evidence:
    if which == "uniform":
        return Evidence(aggre.ids, aggre.labels, 10, probabilities=aggre.uniform())
    return aggre.evidence(*(NETWORKS if which == "convex" else (which,)))


@pytest.mark.parametrize("place", range(len(SETS)), ids=SETS)
def test_scores_and_flags(aggre: Aggre, place: int) -> None:
    given = evidence_of(aggre, SETS[place])
    loss = -np.log(given_probability(given.mean_probabilities, given.labels) + LOSS_FLOOR).mean()
    assert loss == pytest.approx(LOG_LOSS[place], abs=2e-4)
    found = {name: run_detector(name, given) for name in AP}
    for name, result in found.items():
        assert isinstance(result, Detection)
        measured = 100 * Ranked.of(aggre.wrong, result.score).average_precision()
        assert measured == pytest.approx(AP[name][place], abs=0.05), name
    for name, expected in FLAGS.items():
        counts = flag_counts(aggre.wrong, found[name].flagged)
        assert abs(counts.flagged - expected[place][1]) <= 5, name
        assert 100 * counts.f1 == pytest.approx(expected[place][0], abs=0.05), name
    margin = Ranked.of(aggre.wrong, found["log_odds_margin"].score)
    assert 100 * margin.auroc() == pytest.approx(OTHER["auroc"][place], abs=0.05)
    assert 100 * margin.precision_at() == pytest.approx(OTHER["p_at_n"][place], abs=0.05)
    assert 100 * margin.precision_at(100) == pytest.approx(OTHER["p_at_100"][place], abs=0.05)
    assert 100 * margin.best_f1() == pytest.approx(OTHER["best_f1"][place], abs=0.05)
    em = found["em_posterior"]
    assert abs(em.meta["count_lower_bound"] - OTHER["em_count"][place]) <= 5
    assert em.meta["count_lower_bound"] < aggre.wrong.sum()
    assert 100 * flag_counts(aggre.wrong, em.flagged).f1 == pytest.approx(OTHER["em_f1"][place], abs=0.05)


def test_findings_are_the_ranking_and_the_flags(aggre: Aggre) -> None:
    given = aggre.evidence(*NETWORKS)
    found = find(given)
    assert np.array_equal(found.score, run_detector("combined", given).score)
    assert np.array_equal(found.flagged, run_detector("combined", given).flagged)
    assert (found.suggested() != given.labels).all()
    assert found.meta["network_weights"]["swin_base_patch4_window7_224"] > 0.7


def test_convex_weights(aggre: Aggre) -> None:
    def given(p: np.ndarray) -> np.ndarray:
        return p[np.arange(len(p)), aggre.labels].astype(np.float64)

    weights = convex_weights(np.stack([given(aggre.p[n]) for n in NETWORKS], axis=1))
    assert np.allclose(weights, (0.098, 0, 0, 0.091, 0.811), atol=0.01)
    p = aggre.p["resnet18"]
    assert np.allclose(convex_weights(np.stack([given(p)] * 3, axis=1)), 1 / 3, atol=1e-6)
    useless = np.random.default_rng(0).dirichlet(np.ones(10), len(p))
    assert convex_weights(np.stack([given(p), given(useless)], axis=1))[1] < 0.02


@pytest.mark.slow
def test_likelihood_prefers_less_sharpening(aggre: Aggre) -> None:
    p = aggre.evidence("resnet18").mean_probabilities
    assert likelihood_fit(p, aggre.labels).beta == 1.5
    assert fit_em(p, aggre.labels, 1.5).log_likelihood > fit_em(p, aggre.labels, 2.0).log_likelihood


def test_paired_bootstrap_of_log_odds_over_self_confidence(aggre: Aggre) -> None:
    given = aggre.evidence("resnet18")
    scores = [run_detector(name, given).score for name in ("log_odds_margin", "self_confidence")]
    first, second = (Ranked.of(aggre.wrong, score).average_precision() for score in scores)
    assert 100 * (first - second) == pytest.approx(0.52, abs=0.05)
    results = [MethodResult("auditor", str(k), score, None, 0.0) for k, score in enumerate(scores)]
    drawn = resampled(results, aggre.wrong, aggre.ids, 100)["AP"]
    low, high = np.quantile(100 * (drawn[0] - drawn[1]), [0.025, 0.975])
    assert low == pytest.approx(0.35, abs=0.1)
    assert high == pytest.approx(0.71, abs=0.1)


def log_space(aggre: Aggre, *networks: str) -> np.ndarray:
    columns = np.concatenate([np.log(aggre.p[n].astype(np.float64) + 1e-4) for n in networks], axis=1)
    return ((columns - columns.mean(axis=0)) / columns.std(axis=0)).astype(np.float32)


@pytest.mark.slow
def test_neighbours_in_log_probability_space(aggre: Aggre) -> None:
    uniform = Evidence(
        aggre.ids, aggre.labels, 10, probabilities=aggre.uniform(), embeddings=log_space(aggre, *NETWORKS)
    )
    vote = run_detector("knn_vote", uniform)
    ranked = Ranked.of(aggre.wrong, vote.score)
    assert 100 * ranked.average_precision() == pytest.approx(96.85, abs=0.2)
    assert 100 * ranked.precision_at() == pytest.approx(92.70, abs=0.2)
    assert 100 * flag_counts(aggre.wrong, vote.flagged).f1 == pytest.approx(92.45, abs=0.2)
    both = Ranked.of(aggre.wrong, vote.score + run_detector("log_odds_margin", uniform).score)
    assert 100 * both.average_precision() == pytest.approx(97.10, abs=0.2)


@pytest.mark.parametrize("which", ["resnet18", "swin_base_patch4_window7_224", "convex"])
def test_combined_is_never_much_below_the_best_single_detector(aggre: Aggre, which: str) -> None:
    given = evidence_of(aggre, which)
    measured = 100 * Ranked.of(aggre.wrong, run_detector("combined", given).score).average_precision()
    best = max(ap[SETS.index(which)] for ap in AP.values())
    assert measured > best - 0.15
    assert measured > AP["log_odds_margin"][SETS.index(which)]


#: F1 of the default flags and AP of the default ranking that must be reached without any verdict.
AT_LEAST = {"resnet18": (78.0, 87.9), "swin_base_patch4_window7_224": (92.5, 97.8), "convex": (92.5, 97.9)}


@pytest.mark.parametrize("which", AT_LEAST)
def test_the_default_without_verdicts(aggre: Aggre, which: str) -> None:
    found = find(evidence_of(aggre, which))
    ranked = Ranked.of(aggre.wrong, found.score)
    assert 100 * flag_counts(aggre.wrong, found.flagged).f1 >= AT_LEAST[which][0]
    assert 100 * ranked.average_precision() >= AT_LEAST[which][1]
    if which == "convex":
        assert 100 * ranked.precision_at() >= 93.5
