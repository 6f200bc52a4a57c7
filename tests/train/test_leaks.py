"""Columns that repeat wrong labels are told from features, which contradict them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest

from auditor.train.leaks import Leaks, find_leaks

N, PLANTED = 500, 25


@dataclass(frozen=True)
class Table:
    """Three classes that one feature tells apart; 25 labels are wrong unless none are."""

    features: pd.DataFrame
    true: np.ndarray
    given: np.ndarray
    names: tuple[str, ...] = ("cat", "dog", "owl")

    def leaks(self, rows: np.ndarray | None = None, **columns: np.ndarray) -> Leaks:
        """Of the features and these columns."""
        rows = np.arange(N) if rows is None else rows
        series = {name: pd.Series(values) for name, values in columns.items()}
        typed = {
            name: s.astype("category" if s.dtype.kind in "OU" or s.dtype == "str" else float)
            for name, s in series.items()
        }
        frame = self.features.assign(**typed).iloc[rows].reset_index(drop=True)
        return find_leaks(frame, self.given[rows], self.names, np.full(len(rows), "all"))


@cache
def table(planted: int = PLANTED, gap: float = 4.0) -> Table:
    random = np.random.default_rng(0)
    true = random.integers(0, 3, N)
    features = pd.DataFrame(random.normal(size=(N, 3)), columns=list("abc"))
    features["a"] += gap * true
    given = true.copy()
    wrong = random.choice(N, planted, replace=False)
    given[wrong] = (given[wrong] + random.integers(1, 3, planted)) % 3
    return Table(features, true, given)


NAMES = np.array(["cat", "dog", "owl"])
NOISE = np.random.default_rng(1)
#: How the given label is written once more.
COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "integers": lambda y: y,
    "permuted": lambda y: (7 * y + 3) % 11,
    "texts": lambda y: np.array(["c", "d", "o"])[y],
    "floats": lambda y: y / 3 + 0.5,
    "one class": lambda y: (y == 1).astype(int),
    "finer": lambda y: 10 * y + NOISE.integers(0, 3, N),
    "with gaps": lambda y: np.where(NOISE.random(N) < 0.3, np.nan, y),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_of_the_given_label_is_left_out(copy: Callable[[np.ndarray], np.ndarray]) -> None:
    leaks = table().leaks(code=copy(table().given))
    assert list(leaks.left_out) == ["code"]
    assert "recoding" in leaks.left_out["code"]


def test_one_hot_columns_go_together() -> None:
    columns = {f"is_{name}": table().given == k for k, name in enumerate(NAMES)}
    assert list(table().leaks(**columns).left_out) == list(columns)


@pytest.mark.parametrize("planted", [0, PLANTED])
def test_the_names_of_the_classes_are_a_copy_whatever_the_others_say(planted: int) -> None:
    data = table(planted)
    assert list(data.leaks(animal=np.char.upper(NAMES)[data.given]).left_out) == ["animal"]


@pytest.mark.parametrize("blur", [0, 2, 10])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_counter_of_sorted_rows_is_left_out(blur: float, shuffled: bool) -> None:
    order = np.argsort(table().given, kind="stable")
    counter = np.empty(N)
    counter[order] = np.arange(N) + blur * np.random.default_rng(2).normal(size=N) + 0.25
    rows = np.random.default_rng(3).permutation(N)[:400] if shuffled else order
    assert list(table().leaks(rows, row=counter).left_out) == ["row"]


def test_a_column_that_repeats_only_some_wrong_labels_stays() -> None:
    data = table(20)
    wrong = np.flatnonzero(data.given != data.true)
    strong = data.true.copy()
    strong[wrong[:16]] = data.given[wrong[:16]]
    leaks = data.leaks(strong=strong)
    assert leaks.left_out == {}
    assert "contradicts the labels" in leaks.kept["strong"]


#: Strong features: functions of the true class.
FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "code": lambda y: 3 * y + 1,
    "texts": lambda y: np.array(["x", "y", "z"])[y],
    "measurement": lambda y: y + 0.9 * np.random.default_rng(4).random(N),
    "nearly": lambda y: np.where(np.random.default_rng(5).random(N) < 0.03, 0, y),
    "another annotator": lambda y: NAMES[np.where(np.random.default_rng(6).random(N) < 0.04, 0, y)],
}


@pytest.mark.parametrize("planted", [0, PLANTED])
@pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES)
def test_a_feature_that_tells_the_truth_stays(feature: Callable[[np.ndarray], np.ndarray], planted: int) -> None:
    data = table(planted)
    assert data.leaks(strong=feature(data.true)).left_out == {}


def test_where_the_others_know_nothing_a_copy_cannot_be_told_and_is_said() -> None:
    leaks = table(PLANTED, 0.0).leaks(code=table(PLANTED, 0.0).given)
    assert leaks.left_out == {}
    assert "hardly know" in leaks.kept["code"]


def test_a_table_of_nothing_but_copies_keeps_them() -> None:
    data = table()
    code = pd.DataFrame({"code": data.given.astype(float)})
    assert list(find_leaks(code, data.given, data.names, np.full(N, "all")).kept) == ["code"]
    name = pd.DataFrame({"animal": pd.Categorical(NAMES[data.given])})
    assert list(find_leaks(name, data.given, data.names, np.full(N, "all")).kept) == ["animal"]
