"""Table trainer: real tables, awkward columns, and columns that must go."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_wine

from auditor.core.errors import DataError
from auditor.train.base import TrainingData
from auditor.train.table import MAX_CATEGORIES, TableTrainer, prepare_columns

from .trainer_cases import accuracy, assert_absent_class_is_zero, assert_repeatable, assert_valid, fit, out_of_fold


def awkward(n: int = 600) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": np.arange(n) + 1000,
            "name": [f"u{i}" for i in range(n)],
            "constant": 1,
            "many": rng.integers(0, 400, n).astype(str),
            "kind": pd.Categorical(rng.choice(list("abc"), n)),
            "x": rng.normal(size=n),
            "flag": rng.random(n) < 0.5,
            "when": pd.date_range("2020", periods=n, freq="h"),
            "gaps": [None if i % 7 == 0 else f"v{i % 5}" for i in range(n)],
            "infinite": np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
            "nullable": pd.array([None if i % 9 == 0 else i % 50 for i in range(n)], dtype="Int64"),
        }
    )
    labels = ((table["x"] > 0) & (table["kind"] != "a")).to_numpy(np.int64) + 1
    labels[::50] = 0
    return table, labels


def test_real_tables() -> None:
    for load, least in ((load_breast_cancer, 0.95), (load_wine, 0.94)):
        bunch = load(as_frame=True)
        data = TrainingData("table", bunch.data, bunch.target.to_numpy(np.int64), len(bunch.target_names))
        assert accuracy(out_of_fold(TableTrainer(rounds=50), data), data.labels) >= least


def test_awkward_columns() -> None:
    table, labels = awkward()
    data = TrainingData("table", table, labels, 3)
    result = fit(TableTrainer(), data, np.arange(0, 600, 2), np.arange(1, 600, 2))
    assert_valid(result.probabilities, 300, 3)
    assert accuracy(result.probabilities, labels[1::2]) > 0.9
    assert result.details["columns"] == ["many", "kind", "x", "flag", "when", "gaps", "infinite", "nullable"]
    notes = " ".join(result.details["notes"])
    assert "'id' left out: it numbers the rows" in notes
    assert "'name' left out" in notes
    assert "'constant' left out" in notes


def test_repeatable_and_k_wide() -> None:
    table, labels = awkward(300)
    data = TrainingData("table", table, labels, 4)
    assert_repeatable(TableTrainer(rounds=10), data)
    assert_absent_class_is_zero(TableTrainer(rounds=10), data)


def test_a_sorted_file_is_not_given_away_by_its_row_number() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"row": np.arange(400), "x": rng.normal(size=400)})
    labels = np.repeat([0, 1], 200)
    data = TrainingData("table", table, labels, 2)
    assert accuracy(out_of_fold(TableTrainer(rounds=20), data), labels) < 0.65


def test_too_many_categories_are_joined_and_unseen_ones_are_missing() -> None:
    n = 3000
    codes = np.r_[np.arange(1000), np.zeros(n - 1000, int)]
    table = pd.DataFrame({"c": [f"k{i}" for i in codes], "x": np.arange(n) % 7 + 0.5})
    data = TrainingData("table", table, (np.arange(n) % 7 > 3).astype(np.int64), 2)
    result = fit(TableTrainer(rounds=10), data, np.arange(400, n), np.arange(400))
    assert any("joined" in note for note in result.details["notes"])
    assert accuracy(result.probabilities, data.labels[:400]) > 0.95
    assert MAX_CATEGORIES == 255


def test_result_does_not_depend_on_the_order_of_category_values() -> None:
    table, labels = awkward(300)
    reordered = table.assign(kind=table["kind"].cat.reorder_categories(["c", "a", "b"]))
    one = fit(TableTrainer(rounds=10), TrainingData("table", table, labels, 3), np.arange(200), np.arange(200, 300))
    two = fit(TableTrainer(rounds=10), TrainingData("table", reordered, labels, 3), np.arange(200), np.arange(200, 300))
    assert np.array_equal(one.probabilities, two.probabilities)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="no column a model could learn from"):
        prepare_columns(pd.DataFrame({"id": np.arange(50), "one": 1}))
