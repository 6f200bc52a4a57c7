"""Evidence: what is refused, what is made of it; class_adjusted; combined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.core.errors import DataError, EmptyDataError, LabelError, ProbabilityError
from auditor.detect.base import Evidence
from auditor.detect.class_adjusted import class_levels
from auditor.detect.combined import aum_weight
from auditor.detect.findings import find
from auditor.detect.item_dynamics import ItemDynamics
from auditor.detect.registry import run_detector
from auditor.lab.detectors.metrics import Ranked


def small(**changes: object) -> Evidence:
    fields = {
        "ids": np.array(["b", "a", "c"]),
        "labels": np.array([0, 1, 1]),
        "n_classes": 2,
        "probabilities": np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]),
    }
    return Evidence(**{**fields, **changes})  # type: ignore[arg-type]


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"labels": np.array([0, 1, 2])}, LabelError, "outside"),
        ({"labels": np.array([0.0, 1.0, 1.0])}, LabelError, "dtype"),
        ({"ids": np.array(["a", "a", "b"])}, LabelError, "repeat"),
        ({"n_classes": 1, "labels": np.array([0, 0, 0])}, LabelError, "1 class"),
        ({"class_names": ("x",)}, LabelError, "class names"),
        ({"ids": np.empty(0), "labels": np.empty(0, int)}, EmptyDataError, "no items"),
        ({"probabilities": rows([0.9, 0.1], [0.2, 0.8], [np.nan, 1])}, ProbabilityError, "row 2 holds nan"),
        ({"probabilities": rows([0.9, 0.1], [1.2, -0.2], [0.5, 0.5])}, ProbabilityError, "row 1.*negative"),
        ({"probabilities": rows([0.9, 0.2], [0.2, 0.8], [0.5, 0.5])}, ProbabilityError, "row 0 sums to 1.1, not 1"),
        ({"probabilities": np.full((3, 3), 1 / 3)}, ProbabilityError, "shape"),
        ({"probabilities": np.full((3, 2), 1)}, ProbabilityError, "dtype"),
        ({"networks": ("a", "b")}, ProbabilityError, "network names"),
        ({"embeddings": np.full((3, 2), np.inf)}, DataError, "not finite"),
        ({"embeddings": np.ones((2, 2))}, DataError, "embeddings of shape"),
        ({"duplicate_groups": np.zeros(2)}, DataError, "duplicate_groups"),
    ],
)
def test_bad_evidence(changes: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small(**changes)


def test_seeds_are_averaged_and_networks_weighted() -> None:
    a, b = small().probabilities[0], rows([0.5, 0.5], [0.5, 0.5], [0.5, 0.5])  # type: ignore[index]
    seeds = small(probabilities=[a, b], networks=("r", "r"))
    assert np.allclose(seeds.mean_probabilities, (a + b) / 2)
    networks = small(probabilities=[a, b], networks=("r", "s"))
    w = networks.network_weights
    assert sum(w.values()) == pytest.approx(1)
    assert np.allclose(networks.mean_probabilities, w["r"] * a + w["s"] * b)


def test_findings_need_probabilities() -> None:
    with pytest.raises(DataError, match="probabilities"):
        find(small(probabilities=None))


def test_tie_between_given_and_other_is_no_finding() -> None:
    found = find(small(probabilities=np.full((3, 2), 0.5)))
    assert not found.flagged.any()
    assert found.suggested().tolist() == [1, 0, 0]
    ranked = run_detector("log_odds_margin", small(probabilities=np.full((3, 2), 0.5)))
    assert ranked.order(np.array(["b", "a", "c"])).tolist() == [1, 0, 2]


def test_hard_class_is_measured_against_its_own_level() -> None:
    # Class 1 is hard: its own items get 0.6. An item labelled 0 with (0.52, 0.48) is unusual for 0, usual for 1.
    p = rows(*[[0.98, 0.02]] * 20, *[[0.4, 0.6]] * 20, [0.52, 0.48])
    given = Evidence(np.arange(41), np.array([0] * 20 + [1] * 20 + [0]), 2, probabilities=p)
    found = run_detector("class_adjusted", given)
    assert found.flagged.tolist() == [False] * 40 + [True]
    assert found.suggested[40] == 1
    assert run_detector("log_odds_margin", given).flagged.sum() == 0


def test_a_class_that_was_never_learned_does_not_flag_everything() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 300)
    p = np.full((900, 3), 0.1)
    learned = labels < 2
    p[learned, labels[learned]] = 0.8
    p[~learned, rng.integers(0, 2, 300)] = 0.8  # class 2 is taken for one of the others
    levels = class_levels(p, labels)
    assert levels == pytest.approx([0.8, 0.8, 0.4])
    found = run_detector("class_adjusted", Evidence(np.arange(900), labels, 3, probabilities=p))
    assert not found.flagged[learned].any()


def test_class_without_items_gets_no_boost() -> None:
    assert class_levels(rows([0.6, 0.4, 0.0], [0.3, 0.7, 0.0]), np.array([0, 1]))[2] == 1.0


def noisy(seed: int = 0) -> tuple[Evidence, np.ndarray]:
    """Calibrated probabilities of three classes; a fifth of the labels replaced, half of them visibly."""
    rng = np.random.default_rng(seed)
    n = 3000
    truth = rng.integers(0, 3, n)
    logits = np.eye(3)[truth] * 2 + rng.normal(size=(n, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = rng.random(n) < 0.2
    labels = np.where(wrong, (truth + rng.integers(1, 3, n)) % 3, truth)
    return Evidence(np.arange(n), labels, 3, probabilities=p), wrong


def margins(aum: np.ndarray) -> ItemDynamics:
    zero = np.zeros((1, len(aum)))
    return ItemDynamics(aum[None], zero, zero + 3, zero, zero, zero + 3)


def test_combined_gains_from_dynamics_that_agree_and_ignores_the_others() -> None:
    given, wrong = noisy()
    rng = np.random.default_rng(1)
    alone = run_detector("combined", given).score
    score = (alone - alone.mean()) / alone.std()
    known = Ranked.of(wrong, alone).average_precision()
    for extra, least in ((0.4, 0.02), (0.0, -0.01)):  # in-sample margins that tell more, or nothing new
        aum = extra * np.where(wrong, -1.0, 1.0) - score + 0.1 * rng.normal(size=len(wrong))
        found = run_detector("combined", replace(given, dynamics=margins(aum)))
        assert found.meta["aum_weight"] > 0.9
        assert Ranked.of(wrong, found.score).average_precision() > known + least
    for aum in (rng.normal(size=len(wrong)), 0.9 * rng.normal(size=len(wrong)) - score, score):
        found = run_detector("combined", replace(given, dynamics=margins(aum)))
        assert found.meta["aum_weight"] == 0.0
        assert Ranked.of(wrong, found.score).average_precision() == pytest.approx(known)


@pytest.mark.parametrize(
    ("correlation", "weight"), [(-1, 0), (0.5, 0), (0.88, 0), (0.915, 0.4186), (0.95, 0.9025), (1, 1)]
)
def test_dynamics_weigh_by_their_agreement(correlation: float, weight: float) -> None:
    assert aum_weight(correlation) == pytest.approx(weight, abs=1e-4)


def test_combined_ignores_meaningless_embeddings() -> None:
    given, wrong = noisy()
    rng = np.random.default_rng(2)
    alone = Ranked.of(wrong, run_detector("combined", given).score).average_precision()
    found = run_detector("combined", replace(given, embeddings=rng.normal(size=(3000, 8)).astype(np.float32)))
    assert found.meta["knn_weight"] < 0.1
    assert Ranked.of(wrong, found.score).average_precision() > alone - 0.01
    truth_space = np.log(given.mean_probabilities) + rng.normal(scale=0.3, size=(3000, 3))
    useful = run_detector("combined", replace(given, embeddings=truth_space.astype(np.float32)))
    assert useful.meta["knn_weight"] > 0.2
