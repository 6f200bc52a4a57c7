"""Measures of agreement against published examples, and the coverage of their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from auditor.core.errors import LabelError
from auditor.review.agreement import Agreement, cohen_kappa, fleiss_kappa, krippendorff_alpha

_ = -1
#: Krippendorff 2011, example C: four observers, twelve units, values 1 to 5. Nominal alpha .743.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
).T
#: The example of Fleiss' kappa most textbooks carry: ten subjects, fourteen raters, five categories. Kappa .210.
FLEISS = [
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
]


def test_krippendorff_example() -> None:
    found = krippendorff_alpha(np.maximum(KRIPPENDORFF - 1, -1), 5)
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert found.n_items == 11
    assert found.low < found.value < found.high


def test_fleiss_example() -> None:
    ratings = np.array([np.repeat(np.arange(5), row) for row in FLEISS])
    assert fleiss_kappa(ratings, 5).value == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_cohen_equals_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 80)
    second = np.where(rng.random(80) < 0.6, first, rng.integers(0, 4, 80))
    expected = cohen_kappa_score(first, second)
    assert cohen_kappa(first, second, 4).value == pytest.approx(expected)
    missing = np.append(second, [-1, -1])
    assert cohen_kappa(np.append(first, [0, 1]), missing, 4).value == pytest.approx(expected)


def test_intervals_cover_the_truth() -> None:
    """Two reviewers of accuracy .9 on three equal classes: kappa of the population known by a large sample."""

    def draw(n: int, rng: np.random.Generator) -> np.ndarray:
        truth = rng.integers(0, 3, n)
        noisy = np.where(rng.random((n, 2)) < 0.9, truth[:, None], rng.integers(0, 3, (n, 2)))
        return noisy

    big = draw(400_000, np.random.default_rng(99))
    truth = krippendorff_alpha(big, 3, draws=1).value
    covered = np.zeros(3)
    repeats = 200
    for seed in range(repeats):
        ratings = draw(150, np.random.default_rng(seed))
        intervals = (
            krippendorff_alpha(ratings, 3, 200, seed),
            fleiss_kappa(ratings, 3, 200, seed),
            cohen_kappa(ratings[:, 0], ratings[:, 1], 3, 200, seed),
        )
        covered += [a.low <= truth <= a.high for a in intervals]
    assert (covered / repeats > 0.91).all(), covered / repeats


def test_bootstrap_over_patterns_equals_one_over_items() -> None:
    ratings = np.maximum(KRIPPENDORFF - 1, -1)
    found = krippendorff_alpha(ratings, 5, draws=2000, seed=1)
    rng = np.random.default_rng(0)
    units = ratings[(ratings >= 0).sum(axis=1) > 1]
    plain = [krippendorff_alpha(units[rng.integers(0, len(units), len(units))], 5, draws=1).value for _i in range(600)]
    assert (found.low, found.high) == pytest.approx(tuple(np.nanpercentile(plain, [2.5, 97.5])), abs=0.05)


@pytest.mark.parametrize(
    "ratings", [np.empty((0, 2), dtype=int), np.array([[0, -1], [-1, 1]]), np.zeros((6, 2), dtype=int)]
)
def test_undefined_is_not_a_number(ratings: np.ndarray) -> None:
    for found in (krippendorff_alpha(ratings, 2), cohen_kappa(ratings[:, 0], ratings[:, 1], 2)):
        assert np.isnan([found.value, found.low, found.high]).all()
        assert isinstance(found, Agreement)


def test_fleiss_needs_equal_numbers() -> None:
    with pytest.raises(LabelError, match="same number"):
        fleiss_kappa(np.array([[0, 1, -1], [0, 1, 1]]), 2)
    with pytest.raises(LabelError):
        krippendorff_alpha(np.array([[0, 5]]), 2)


def test_perfect_and_opposite() -> None:
    ratings = np.array([[0, 0], [1, 1]] * 10)
    assert krippendorff_alpha(ratings, 2).value == pytest.approx(1)
    assert cohen_kappa(ratings[:, 0], 1 - ratings[:, 0], 2).value == pytest.approx(-1)
