"""Folds: balanced, grouped, independent of row order, honest about small classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.core.errors import DataError, EmptyDataError, LabelError, UsageError
from auditor.train.folds import merge_groups, plan_folds, seed_tasks


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, n_classes, n_folds = draw(st.integers(60, 300)), draw(st.integers(2, 6)), draw(st.integers(2, 6))
    weights = random.dirichlet(np.full(n_classes, draw(st.sampled_from([0.5, 5.0]))))
    labels = random.choice(n_classes, n, p=weights)
    labels[:2] = (0, 1)
    labels[2:40] = np.arange(38) % 2  # two classes are always large enough
    groups = random.integers(0, draw(st.integers(n // 2, 3 * n)), n)
    ids = np.array([f"item-{i:04d}" for i in random.permutation(n)])
    return ids, labels, groups, n_classes, n_folds


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 5))
def test_groups_never_cross_and_small_classes_are_never_predicted(problem: tuple, seed: int) -> None:
    ids, labels, groups, n_classes, n_folds = problem
    try:
        plan = plan_folds(ids, labels, n_classes, n_folds, seed, groups, min_per_class=3)
    except EmptyDataError:
        return
    assert plan.home.min() >= 0
    assert plan.home.max() < n_folds
    for g in np.unique(groups):
        assert len(np.unique(plan.home[groups == g])) == 1
    assert sum(c.items for c in plan.not_auditable) == (plan.fold == -1).sum()
    for task in plan.tasks(seed):
        assert not np.intersect1d(task.train, task.predict).size
        assert not np.intersect1d(groups[task.train], groups[task.predict]).size
        for c in np.unique(labels[task.predict]):
            units = np.unique(groups[task.train][labels[task.train] == c])
            assert len(units) >= 3, "a training part holds too little of a class it must judge"
            assert (labels[task.train] == c).mean() >= 0.49 * (labels == c).mean()
    for c in plan.not_auditable:  # and the refusal is right: some training part would have held fewer
        units = [len(np.unique(groups[(plan.home != k) & (labels == c.label)])) for k in range(n_folds)]
        shares = [(labels[plan.home != k] == c.label).mean() for k in range(n_folds) if (plan.home != k).any()]
        assert min(units) < 3 or min(shares) <= 0.51 * (labels == c.label).mean()
        assert c.items == ((labels == c.label) & (plan.fold == -1)).sum()
        assert str(c.items) in c.reason
        assert "3 are needed" in c.reason or "less than half of its share" in c.reason


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(0, 5), st.integers(0, 99))
def test_row_order_does_not_matter(problem: tuple, seed: int, shuffle: int) -> None:
    ids, labels, groups, n_classes, n_folds = problem
    order = np.random.default_rng(shuffle).permutation(len(ids))
    renamed = np.array([f"g{g}" for g in groups])  # a partition, not its names
    a = plan_folds(ids, labels, n_classes, n_folds, seed, groups, min_per_class=1)
    b = plan_folds(ids[order], labels[order], n_classes, n_folds, seed, renamed[order], min_per_class=1)
    assert np.array_equal(a.fold[order], b.fold)
    assert a.key == b.key
    assert a.not_auditable == b.not_auditable


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(0, 5))
def test_single_items_are_spread_evenly(problem: tuple, seed: int) -> None:
    ids, labels, _, n_classes, n_folds = problem
    plan = plan_folds(ids, labels, n_classes, n_folds, seed, min_per_class=1)
    counts = np.array([np.bincount(plan.home[labels == c], minlength=n_folds) for c in range(n_classes)])
    assert (counts.max(1) - counts.min(1)).max() <= 1
    assert np.ptp(counts.sum(0)) <= 1


def test_groups_of_mixed_size_stay_balanced() -> None:
    random = np.random.default_rng(0)
    n = 5000
    groups, labels = random.integers(0, 900, n), random.integers(0, 10, n)
    plan = plan_folds(np.arange(n).astype(str), labels, 10, 5, 0, groups)
    sizes = np.bincount(plan.fold)
    assert sizes.max() - sizes.min() <= 0.02 * n / 5
    counts = np.array([np.bincount(plan.fold[labels == c], minlength=5) for c in range(10)])
    assert (np.ptp(counts, axis=1) <= 0.15 * counts.mean(1)).all()


def test_seed_and_content_change_the_plan() -> None:
    ids, labels = np.arange(400).astype(str), np.arange(400) % 4
    plans = [plan_folds(ids, labels, 4, 5, seed) for seed in (0, 0, 1)]
    assert np.array_equal(plans[0].fold, plans[1].fold)
    assert plans[0].key == plans[1].key != plans[2].key
    agreement = (plans[0].fold == plans[2].fold).mean()
    assert agreement < 0.4, "another seed must give another plan (chance is 0.2)"
    assert plan_folds(ids, (labels + 1) % 4, 4, 5, 0).key != plans[0].key


def test_a_rare_class_is_listed_and_still_trained_on() -> None:
    labels = np.array([0] * 50 + [1] * 50 + [2] * 5)
    plan = plan_folds(np.arange(105).astype(str), labels, 3, 5, 0)
    assert [(c.label, c.items) for c in plan.not_auditable] == [(2, 5)]
    assert "would hold 4, and 5 are needed" in plan.not_auditable[0].reason
    tasks = plan.tasks(0)
    assert set(np.concatenate([t.predict for t in tasks])) == set(range(100))
    assert all((labels[t.train] == 2).sum() == 4 for t in tasks)


def test_duplicates_do_not_make_a_class_auditable() -> None:
    labels = np.array([0] * 50 + [1] * 50 + [2] * 30)
    groups = np.arange(130)
    groups[100:] = 100  # thirty copies of one image
    plan = plan_folds(np.arange(130).astype(str), labels, 3, 5, 0, groups)
    assert [(c.label, c.items, c.units) for c in plan.not_auditable] == [(2, 30, 1)]
    assert "1 independent group:" in plan.not_auditable[0].reason


def test_a_large_group_is_not_judged_by_the_little_that_is_left_of_its_class() -> None:
    labels = np.repeat([0, 1, 2], [100, 100, 120])
    groups = np.where(np.arange(320) < 230, np.arange(320), 230)  # 90 of the 120 items of class 2 are one patient's
    plan = plan_folds(np.arange(320).astype(str), labels, 3, 4, 0, groups)
    assert [(c.label, c.items, c.units) for c in plan.not_auditable] == [(2, 90, 31)]
    assert "90 of 120 items" in plan.not_auditable[0].reason
    assert np.array_equal(plan.fold == -1, groups == 230)  # the others are judged, by models that saw those 90
    assert all((groups[task.train] == 230).any() for task in plan.tasks(0) if (labels[task.predict] == 2).any())


def test_merge_groups_joins_chains_over_columns() -> None:
    merged = merge_groups(7, ["a", "b", None, "b", "", "c", float("nan")], np.array([1, 1, 2, 3, 4, 4, 5]))
    assert merged.tolist() == [0, 0, 2, 0, 4, 4, 6]
    assert merge_groups(3, None).tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="2 values for 3"):
        merge_groups(3, [1, 2])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=40))
def test_merge_groups_is_the_transitive_closure(rows: list[tuple[int, int]]) -> None:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(rows)
    links = [(i, j) for i in range(n) for j in range(n) if rows[i][0] == rows[j][0] or rows[i][1] == rows[j][1]]
    graph = coo_matrix((np.ones(len(links)), tuple(zip(*links, strict=True))), shape=(n, n))
    _, expected = connected_components(graph, directed=False)
    merged = merge_groups(n, [a for a, _ in rows], [b for _, b in rows])
    assert all((merged[i] == merged[j]) == (expected[i] == expected[j]) for i in range(n) for j in range(n))
    assert all(merged[i] == np.flatnonzero(merged == merged[i])[0] for i in range(n))


def test_seed_tasks_drop_copies_of_predicted_items() -> None:
    groups = np.array([0, 1, 2, 3, 1, 5])
    tasks = seed_tasks(np.arange(4), np.array([4, 5]), 2, 0, groups)
    assert [t.name for t in tasks] == ["seed-0", "seed-1"]
    assert tasks[0].seed != tasks[1].seed
    assert tasks[0].train.tolist() == [0, 2, 3]
    assert tasks[0].predict.tolist() == [4, 5]
    with pytest.raises(UsageError, match="share items"):
        seed_tasks(np.arange(4), np.array([3, 5]), 1, 0)
    with pytest.raises(EmptyDataError):
        seed_tasks(np.array([4]), np.array([1]), 1, 0, groups)


def test_extra_training_items() -> None:
    labels = np.arange(40) % 2
    plan = plan_folds(np.arange(40).astype(str), labels, 2, 4, 0)
    tasks = plan.tasks(0, positions=np.arange(40) + 100, always_train=np.arange(10))
    for task in tasks:
        assert task.predict.min() >= 100
        assert np.isin(np.arange(10), task.train).all()
        assert len(task.train) + len(task.predict) == 50
    with pytest.raises(UsageError, match="predicted by the same plan"):
        plan.tasks(0, always_train=np.array([3]))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"n_folds": 1}, UsageError, "at least 2"),
        ({"labels": np.array([0, 1, 2, 0, 1, 5])}, LabelError, "outside the 3 classes"),
        ({"labels": np.array([0.0, 1, 2, 0, 1, 2])}, LabelError, "integers"),
        ({"labels": np.array([0, 1])}, UsageError, "2 labels for 6"),
        ({"ids": np.array(list("abcdea"))}, DataError, "'a' occurs 2 times"),
        ({"groups": np.array([0, 0, 0, 1, 1, 1])}, DataError, "2 independent groups"),
        ({}, EmptyDataError, "large enough to audit"),
        ({"ids": np.array([], dtype=str), "labels": np.array([], dtype=int)}, EmptyDataError, "no items"),
    ],
)
def test_bad_input(change: dict, error: type[Exception], words: str) -> None:
    call = {"ids": np.array(list("abcdef")), "labels": np.array([0, 1, 2, 0, 1, 2]), "n_folds": 3, "groups": None}
    call.update(change)
    with pytest.raises(error, match=words):
        plan_folds(call["ids"], call["labels"], 3, call["n_folds"], 0, call["groups"])


def test_sixty_thousand_items() -> None:
    n = 60_000
    random = np.random.default_rng(0)
    ids, labels = np.array([f"train/{i:06d}" for i in range(n)]), random.integers(0, 10, n)
    groups = np.arange(n)
    pairs = random.choice(n, (2000, 2), replace=False)
    groups[pairs[:, 1]] = groups[pairs[:, 0]]
    plan = plan_folds(ids, labels, 10, 5, 0, groups)
    assert np.ptp(np.bincount(plan.fold)) <= 5
