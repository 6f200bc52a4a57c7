from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from auditor.core.errors import ClassOrderError
from auditor.data.cifar10 import CLASSES
from auditor.data.class_order import best_class_order, check_class_order


@pytest.fixture(scope="module")
def cifar(data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    folder = data_dir / "label_errors" / "cifar10"
    return np.load(folder / "pyx.npy"), np.load(folder / "original_labels.npy").astype(np.int64)


def test_the_true_order_passes(cifar: tuple[np.ndarray, np.ndarray]) -> None:
    check_class_order(*cifar, CLASSES)
    np.testing.assert_array_equal(best_class_order(*cifar)[0], np.arange(10))


def test_two_swapped_columns_among_ten(cifar: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = cifar
    with pytest.raises(ClassOrderError, match=r"airplane, automobile, bird, dog, deer, cat(.|\n)*77\.2%.*92\.9%"):
        check_class_order(p[:, [0, 1, 2, 5, 4, 3, 6, 7, 8, 9]], y, CLASSES)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(10)))
def test_any_permutation_is_found(cifar: tuple[np.ndarray, np.ndarray], order: list[int]) -> None:
    p, y = cifar
    # Column j of the shuffled array is the class order[j].
    np.testing.assert_array_equal(best_class_order(p[:, order], y)[0], order)
    if order != list(range(10)):
        with pytest.raises(ClassOrderError):
            check_class_order(p[:, order], y, CLASSES)


@pytest.mark.parametrize(("k", "n"), [(2, 10), (2, 1000), (10, 60), (10, 2000), (100, 500)])
def test_chance_predictions_pass(k: int, n: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        check_class_order(rng.dirichlet(np.ones(k), n), rng.integers(0, k, n), [str(i) for i in range(k)])


def test_strongly_confused_pair_passes() -> None:
    """A model that calls 45 % of the cats dogs is bad, not permuted."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 1000)
    shown = np.where((y == 0) & (rng.random(3000) < 0.45), 1, y)
    check_class_order(np.eye(3)[shown], y, ("cat", "dog", "emu"))


def test_noisy_human_labels_pass(data_dir: Path) -> None:
    with np.load(data_dir / "oof" / "cifar10n_aggre" / "resnet18.npz") as file:
        p = file["pred_probs"]
    for name in ("aggre", "random1", "clean"):
        check_class_order(p, np.load(data_dir / "cifar10n" / f"{name}.npy").astype(np.int64), CLASSES)


def test_many_classes_are_quick() -> None:
    rng = np.random.default_rng(0)
    k, n = 1000, 20_000
    y = rng.integers(0, k, n)
    order = rng.permutation(k)
    p = np.full((n, k), 0.5 / k, dtype=np.float32)
    p[np.arange(n), np.argsort(order)[y]] += 0.5
    np.testing.assert_array_equal(best_class_order(p, y)[0], order)


@pytest.mark.parametrize("seed", range(40))
def test_the_order_fits_as_many_labels_as_any(seed: int) -> None:
    """As SciPy's assignment over the table of all pairs; the order takes no column twice."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 200)), int(rng.integers(2, 60))
    y = rng.integers(0, k, n)
    p = rng.dirichlet(np.ones(k), n).astype(rng.choice(["float16", "float32"]))
    p[np.arange(n), rng.permutation(k)[y]] += rng.choice([0, 0.1, 1])
    order, top = best_class_order(p, y)
    table = np.zeros((k, k), int)
    np.add.at(table, (y, p.argmax(axis=1)), 1)
    np.testing.assert_array_equal(top, p.argmax(axis=1))
    np.testing.assert_array_equal(np.sort(order), np.arange(k))
    strayed = (table.argmax(axis=1) != np.arange(k)) & (table.max(axis=1) > table.diagonal())
    moving = np.union1d(np.flatnonzero(strayed), table.argmax(axis=1)[strayed])
    part = table[np.ix_(moving, moving)]
    best = part[linear_sum_assignment(part, maximize=True)].sum() + np.delete(table.diagonal(), moving).sum()
    assert table[order, np.arange(k)].sum() == best
