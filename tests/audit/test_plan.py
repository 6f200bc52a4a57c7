"""Who is audited, and what is trained on what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from auditor.audit.config import make_config
from auditor.audit.plan import AuditPlan, plan_audit, wanted_rows
from auditor.core.errors import ConfigError, EmptyDataError, UsageError
from auditor.data.base import ItemTable
from auditor.data.kinds import TableDataset


def _dataset(labels: Sequence[int], splits: Sequence[str], names: Sequence[str] = ("a", "b", "c")) -> TableDataset:
    n = len(labels)
    items = ItemTable(
        np.array([f"{s}/{i}" for i, s in enumerate(splits)]),
        np.array(labels, dtype=np.int64),
        np.array(splits),
        np.arange(n),
    )
    return TableDataset("t", "t", tuple(names), items, frame=pd.DataFrame({"x": np.arange(n, dtype=float)}))


def _plan(dataset: TableDataset, groups: np.ndarray | None = None, bad: Sequence[int] = (), **config) -> AuditPlan:
    n = len(dataset)
    mask = np.zeros(n, bool)
    mask[list(bad)] = True
    plan = plan_audit(dataset, np.arange(n) if groups is None else groups, mask, make_config(**config))
    for task in plan.tasks:  # holds for every plan there is
        train, predict = plan.usable[task.train], plan.usable[task.predict]
        assert not set(train) & set(predict)
        assert not mask[train].any()
        assert not mask[predict].any()
        if groups is not None:
            assert not set(groups[train]) & set(groups[predict])
    return plan


def _two_splits(n_train: int = 60, n_test: int = 30) -> TableDataset:
    n = n_train + n_test
    return _dataset(np.arange(n) % 3, ["train"] * n_train + ["test"] * n_test)


def test_auto_audits_the_test_split_with_models_trained_on_train() -> None:
    plan = _plan(_two_splits(), seeds=3)
    assert plan.scheme == "train-to-test"
    assert plan.audited.tolist() == list(range(60, 90))
    assert [len(t.train) for t in plan.tasks] == [60] * 3
    assert len({t.seed for t in plan.tasks}) == 3


def test_a_copy_of_an_audited_item_is_left_out_of_training() -> None:
    groups = np.arange(90)
    groups[[5, 6]] = groups[70]
    plan = _plan(_two_splits(), groups)
    assert plan.left_out == 2
    assert [len(t.train) for t in plan.tasks] == [58]


def test_all_is_cross_validation_that_predicts_everybody_once() -> None:
    plan = _plan(_two_splits(), audit="all", folds=4)
    assert plan.scheme == "cross-validation"
    predicted = np.concatenate([plan.usable[t.predict] for t in plan.tasks])
    assert sorted(predicted.tolist()) == list(range(90))
    assert all(len(t.train) + len(t.predict) == 90 for t in plan.tasks)


def test_test_folds_add_the_train_split_to_every_fold() -> None:
    plan = _plan(_two_splits(), train_on_test_folds=True, folds=3)
    assert plan.scheme == "test-folds"
    assert [len(t.train) for t in plan.tasks] == [80] * 3
    assert sorted(np.concatenate([plan.usable[t.predict] for t in plan.tasks]).tolist()) == list(range(60, 90))


def test_undecodable_items_are_in_no_model() -> None:
    plan = _plan(_two_splits(), bad=[0, 61], audit="all", folds=3)
    assert 0 not in plan.audited
    assert 61 not in plan.audited
    assert len(plan.audited) == 88


def test_small_class_is_not_auditable_in_both_schemes() -> None:
    labels = [0, 1] * 40 + [2] * 3
    crossed = _plan(_dataset(labels, ["all"] * 83), folds=4)
    assert [(c.name, c.n_items) for c in crossed.not_auditable] == [("c", 3)]
    assert not np.isin(crossed.audited, [80, 81, 82]).any()
    held_out = _plan(_dataset(labels, ["train"] * 60 + ["test"] * 23))
    assert [c.name for c in held_out.not_auditable] == ["c"]
    assert held_out.audited.tolist() == list(range(60, 80))


def test_nothing_left_to_audit() -> None:
    dataset = _dataset([0, 1, 0, 1], ["train", "train", "test", "test"])
    with pytest.raises(EmptyDataError, match="no item of 't' can be audited"):
        _plan(dataset)


def test_unknown_split() -> None:
    with pytest.raises(UsageError, match="no split 'dev'"):
        wanted_rows(_two_splits(), "dev")


def test_the_plan_does_not_depend_on_row_order() -> None:
    dataset = _two_splits()
    shuffled = np.random.default_rng(0).permutation(90)
    one = _plan(dataset, audit="all", folds=3)
    two = _plan(dataset.subset(shuffled), audit="all", folds=3)
    assert (two.fold == one.fold[shuffled]).all()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"folds": 1}, "folds"),
        ({"budget": "huge"}, "budget"),
        ({"rule": "x"}, "unknown rule"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_wrong_configuration_names_the_field(values: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make_config(**values)
