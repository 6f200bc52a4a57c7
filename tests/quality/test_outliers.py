"""Outliers and out-of-distribution items: tables by their columns, strange items in a crowd, copies, shifted parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auditor.quality import distances
from auditor.quality.distances import column_vectors, deviations, nearest_among
from auditor.quality.open_subject import neighbours_of, table_neighbours
from auditor.quality.registry import run_checks
from tests.contract.planted_quality import rows


def table(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    colour = pd.Categorical(rng.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2]))
    a = rng.normal(size=n)
    return pd.DataFrame({"a": a, "b": a + rng.normal(0, 0.3, n), "c": rng.normal(50, 10, n), "colour": colour})


def test_the_nearest_are_those_of_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(30, 5)), rng.normal(size=(40, 5))
    codes, own = np.arange(40), np.r_[np.arange(10), np.full(20, -1)]
    monkeypatch.setattr(distances, "BLOCK_BYTES", 4 * 40 * 7)  # several blocks
    for cosine in (False, True):
        if cosine:
            a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (left, right))
            full = 1 - a @ b.T
        else:
            full = np.linalg.norm(left[:, None] - right[None], axis=2)
        full[np.arange(10), np.arange(10)] = np.inf  # their own copies
        positions, found = nearest_among(left, right, own, codes, 3, cosine)
        assert np.array_equal(positions, np.argsort(full, axis=1)[:, :3])
        assert np.allclose(found, np.sort(full, axis=1)[:, :3], atol=1e-5)


def test_of_many_others_a_sample_is_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(200, 3))
    monkeypatch.setattr(distances, "MOST_PAIRS", 200 * 50)
    positions, _ = nearest_among(points, points, np.arange(200), np.arange(200), 2, False)
    assert len(np.unique(positions)) <= 50
    assert (positions[:, 0] != np.arange(200)).all()


def test_fewer_neighbours_than_asked_for() -> None:
    positions, away = nearest_among(np.ones((1, 2)), np.ones((2, 2)), np.array([7]), np.array([7, 8]), 2, False)
    assert positions.tolist() == [[1, -1]]
    assert away[0, 0] == 0
    assert np.isnan(away[0, 1])


def test_columns_weigh_alike() -> None:
    frame = table(2000).assign(constant=1.0, absent=np.nan)
    frame.loc[3, "c"] = np.nan
    vectors = column_vectors(frame)
    assert vectors.shape == (2000, 6)
    assert np.allclose(vectors[:, :2].std(axis=0), 1, atol=1e-3)
    assert vectors[3, 2] == 0
    red, green = (np.flatnonzero(frame["colour"] == c)[0] for c in ("red", "green"))
    assert np.isclose(np.linalg.norm(vectors[red, 3:] - vectors[green, 3:]), 1)


def test_a_row_that_is_odd_in_no_single_column_is_an_outlier_of_its_table() -> None:
    frame = table(1000)
    frame.loc[20, ["a", "b"]] = [2.0, -2.0]  # each usual, together never
    frame.loc[700, "c"] = 500.0
    subject = rows(frame)
    subject.neighbours = table_neighbours(subject)
    (found,) = run_checks(subject, ["outliers"])
    assert found.findings is not None
    assert found.findings.items[:2].tolist() == [700, 20]
    assert len(found.findings.items) <= 10  # of a normal distribution few lie so far


def test_copies_of_a_strange_row_do_not_hide_it() -> None:
    frame = table(300)
    frame.loc[[5, 6, 7], ["a", "b", "c"]] = [30.0, -30.0, 400.0]
    frame.loc[[5, 6, 7], "colour"] = "blue"
    subject = rows(frame)
    subject.neighbours = table_neighbours(subject)
    (found,) = run_checks(subject, ["outliers"])
    assert found.findings is not None
    assert {5, 6, 7} <= set(found.findings.items.tolist())


def test_a_table_without_columns_that_vary_has_no_neighbours() -> None:
    assert table_neighbours(rows(pd.DataFrame({"a": np.ones(100)}))) is None


def test_strange_items_in_a_crowd_are_far_from_the_training_part() -> None:
    """They are one another's neighbours, so among all items none of them is far."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(900, 6))
    points[850:] = rng.normal(size=(50, 6)) * 0.2 + 9
    splits = ["train"] * 600 + ["test"] * 300
    subject = rows(table(900), splits=splits)
    vectors = np.column_stack([points, np.full(900, 3.0)]).astype(np.float32)
    subject.neighbours = neighbours_of("given", vectors, np.arange(900), 900)
    among, reference = run_checks(subject, ["outliers", "out_of_distribution"])
    assert among.findings is not None
    assert reference.findings is not None
    assert not set(among.findings.items.tolist()) & set(range(850, 900))
    assert set(range(850, 900)) <= set(reference.findings.items.tolist())
    assert set(reference.findings.items.tolist()) <= set(range(600, 900))


def test_a_copy_of_a_training_item_says_nothing_about_what_is_usual() -> None:
    frame = table(400)
    frame.loc[300:399, ["a", "b", "c", "colour"]] = frame.loc[0:99, ["a", "b", "c", "colour"]].to_numpy()
    subject = rows(frame.astype({"a": float, "b": float, "c": float}), splits=["train"] * 300 + ["test"] * 100)
    subject.neighbours = table_neighbours(subject)
    (found,) = run_checks(subject, ["out_of_distribution"])
    assert found.findings is not None
    middle = found.findings.facts["median_distance"]  # no closer than others, and no farther
    assert abs(middle["to"] / middle["within"] - 1) < 0.15
    assert len(found.findings.items) <= 3


def test_too_few_items_to_compare_with() -> None:
    subject = rows(table(100), splits=["train"] * 20 + ["test"] * 80)
    subject.neighbours = table_neighbours(subject)
    (found,) = run_checks(subject, ["out_of_distribution"])
    assert found.status == "not applicable"
    assert "20 embedded items of 'train'" in found.reason


def test_deviations_are_robust() -> None:
    usual = np.exp(np.random.default_rng(0).normal(size=5000))
    assert abs(np.std(deviations(usual, usual)) - 1) < 0.05
    spoilt = np.r_[usual, np.full(500, 1e9)]
    assert deviations(spoilt, spoilt)[5000:].min() > 10  # they do not widen what is usual
