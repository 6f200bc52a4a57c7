"""The smooth model of tables: real tables, awkward columns, large ones, and what it adds to the trees."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from auditor.detect.noise_models import log_pool
from auditor.train.base import TrainingData
from auditor.train.kernel import MOST_CATEGORIES, KernelTrainer
from auditor.train.table import TableTrainer

from .test_table import awkward
from .trainer_cases import accuracy, assert_absent_class_is_zero, assert_repeatable, assert_valid, fit, out_of_fold


def test_a_real_table_and_beside_trees() -> None:
    bunch = load_wine(as_frame=True)
    labels = bunch.target.to_numpy(np.int64)
    data = TrainingData("table", bunch.data, labels, 3)
    smooth, trees = out_of_fold(KernelTrainer(), data), out_of_fold(TableTrainer(rounds=30), data)
    assert accuracy(smooth, labels) >= 0.95
    pool, exponents = log_pool([trees.astype(float), smooth.astype(float)], [1e-4, 1e-4], labels)
    assert exponents[1] > 0.1  # it tells what the trees do not
    rows = np.arange(len(labels))
    assert np.log(pool[rows, labels]).mean() > np.log(trees[rows, labels] + 1e-4).mean()


def test_awkward_columns() -> None:
    table, labels = awkward()
    data = TrainingData("table", table, labels, 3)
    result = fit(KernelTrainer(), data, np.arange(0, 600, 2), np.arange(1, 600, 2))
    assert_valid(result.probabilities, 300, 3)
    assert accuracy(result.probabilities, labels[1::2]) > 0.85
    assert result.details["columns"] == ["many", "kind", "x", "flag", "when", "gaps", "infinite", "nullable"]
    notes = " ".join(result.details["notes"])
    assert "'id' left out: it numbers the rows" in notes
    assert f"the rarest {len(set(table['many'][::2])) - MOST_CATEGORIES + 1} joined" in notes


def test_repeatable_and_k_wide() -> None:
    table, labels = awkward(300)
    data = TrainingData("table", table, labels, 4)
    assert_repeatable(KernelTrainer(), data)
    assert_absent_class_is_zero(KernelTrainer(), data)


def test_columns_that_are_empty_constant_or_unseen_in_a_training_part() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    half = np.arange(200) < 100
    table = pd.DataFrame(
        {
            "x": x,
            "late": np.where(half, np.nan, x),  # nothing of it is known in the first half
            "flat": np.where(half, 1.0, x),
            "word": np.where(half, "a", rng.choice(["b", "c"], 200)),
        }
    )
    labels = (x > 0).astype(np.int64)
    data = TrainingData("table", table, labels, 2)
    result = fit(KernelTrainer(), data, np.arange(100), np.arange(100, 200))
    assert_valid(result.probabilities, 100, 2)
    assert accuracy(result.probabilities, labels[100:]) > 0.8
    assert fit(KernelTrainer(), data, np.arange(100), np.arange(0)).probabilities.shape == (0, 2)


def test_a_large_table_is_fitted_on_a_part_and_says_so() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)  # no line between these
    data = TrainingData("table", pd.DataFrame(x, columns=["a", "b"]), labels, 2)
    result = fit(KernelTrainer(fitted_on=200), data, np.arange(400), np.arange(400, 500))
    assert "fitted on 200 of 400 rows" in result.details["notes"]
    assert accuracy(result.probabilities, labels[400:]) > 0.85
