"""Two models of an audit: the pool of their probabilities, what each says alone, and what is kept of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from auditor.audit.find_errors import find_errors
from auditor.audit.plan import AuditPlan
from auditor.audit.stages import train as stage
from auditor.audit.why import Explainer, model_lines
from auditor.core.errors import UnknownNameError, UsageError
from auditor.detect.margins import LOG_FLOOR
from auditor.runs.run import Run
from auditor.train.base import FitTask
from auditor.train.frozen import FrozenTrainer
from tests.audit.softmax_trainer import SoftmaxTrainer


@pytest.fixture(scope="module")
def drawn() -> tuple[list[np.ndarray], np.ndarray]:
    """What two models that err independently say of 600 labels, float32 (600, 3)."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 600)
    logits = [2 * np.eye(3)[labels] + scale * rng.normal(size=(600, 3)) for scale in (1.0, 1.5)]
    models = [np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in logits]
    return [p.astype(np.float32) for p in models], labels


def test_the_pool_predicts_the_labels_better_than_either_model(drawn: tuple[list[np.ndarray], np.ndarray]) -> None:
    models, labels = drawn
    pooled, exponents = stage.pool_models(models, labels)
    loss = lambda p: -np.log(p[np.arange(len(labels)), labels]).mean()  # noqa: E731
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled.sum(axis=1), 1, atol=1e-5)
    assert loss(pooled) < min(map(loss, models)) - 0.02
    # By hand: no other exponent of either model does better.
    logs = [np.log(p.astype(np.float64) + LOG_FLOOR) for p in models]

    def by_hand(first: float, second: float) -> float:
        total = np.exp(first * logs[0] + second * logs[1])
        return float(loss(total / total.sum(axis=1, keepdims=True)))

    for k in (0, 1):
        best = minimize_scalar(lambda a, k=k: by_hand(*np.where(np.arange(2) == k, a, exponents)), bounds=(0, 3))
        assert best.x == pytest.approx(exponents[k], abs=2e-3)


def test_a_model_that_knows_nothing_and_a_copy(drawn: tuple[list[np.ndarray], np.ndarray]) -> None:
    (first, _), labels = drawn
    nothing = np.random.default_rng(0).dirichlet(np.ones(3), len(labels)).astype(np.float32)
    pooled, exponents = stage.pool_models([first, nothing], labels)
    assert exponents[1] < 0.1 * exponents[0]
    assert (pooled.argmax(axis=1) == first.argmax(axis=1)).mean() > 0.97
    alone, _ = stage.pool_models([first, np.full_like(first, 1 / 3)], labels)
    twice, _ = stage.pool_models([first, first], labels)
    np.testing.assert_allclose(twice, alone, atol=1e-3)
    assert stage.pool_models([first], labels)[0] is first


def test_exponents_are_fitted_to_some_of_very_many_items(
    drawn: tuple[list[np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    models, labels = drawn
    monkeypatch.setattr(stage, "POOL_ENTRIES", 900)  # 300 items of 3 classes
    rows = np.unique(np.linspace(0, 599, 300).astype(int))
    _, expected = stage.pool_models([p[rows] for p in models], labels[rows])
    np.testing.assert_allclose(stage.pool_models(models, labels)[1], expected)


def test_the_second_model_predicts_every_item_once() -> None:
    rows = np.arange(6)
    plan = AuditPlan("cross-validation", "", rows, rows % 2, (), rows, (), 0)
    tasks = tuple(FitTask(name, rows[:3], rows[3:], 7) for name in ("a", "b", "c"))
    trainers = [SoftmaxTrainer(), SoftmaxTrainer()]
    first, second = stage.tasks_of(trainers, replace(plan, tasks=tasks), rows)
    assert [t.name for t in second] == ["second-a", "second-b", "second-c"]
    first, second = stage.tasks_of(trainers, replace(plan, tasks=tasks, scheme="train-to-test"), rows)
    assert (len(first), [t.name for t in second]) == (3, ["second-a"])
    assert stage.tasks_of(trainers[:1], replace(plan, tasks=tasks), rows) == [tasks]
    assert stage.model_names(trainers) == ["softmax", "softmax (second)"]


def test_the_second_model_learns_from_as_many_items_as_are_enough() -> None:
    labels = np.repeat([0, 1, 2, 3], [600, 300, 90, 10])
    rows = np.arange(1000)
    task = FitTask("seed-0", rows[::-1].copy(), np.arange(1000, 1010), 7)
    plan = AuditPlan("train-to-test", "", rows, rows, (task,), rows, (), 0)
    encoder = FrozenTrainer(enough=100)
    (first,), (second,) = stage.tasks_of([SoftmaxTrainer(), encoder], plan, labels)
    assert len(first.train) == 1000
    counts = np.bincount(labels[second.train])
    assert counts.tolist() == [60, 30, 20, 10]  # the same share, and a few of each
    assert (np.diff(second.train) > 0).all()
    again = stage.tasks_of([SoftmaxTrainer(), encoder], plan, labels)[1][0]
    np.testing.assert_array_equal(again.train, second.train)
    other = stage.tasks_of([SoftmaxTrainer(), encoder], replace(plan, tasks=(replace(task, seed=8),)), labels)[1][0]
    assert not np.array_equal(other.train, second.train)
    folds = replace(plan, scheme="cross-validation")
    assert len(stage.tasks_of([SoftmaxTrainer(), encoder], folds, labels)[1][0].train) == 1000
    assert encoder.recipe() == FrozenTrainer().recipe()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Digits in two folds with two models."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = {"workers": 1, "folds": 2, "quality": False, "progress": False}
    return find_errors("digits", trainer=SoftmaxTrainer(), second_model="pixels", out=out, **options)


def test_a_run_keeps_what_each_model_says(run: Run) -> None:
    first, second = run.model_probs.values()
    assert run.models == tuple(run.model_probs) == ("softmax", "pixels")
    pool = run.manifest["second_model"]["pool"]
    expected, exponents = stage.pool_models([first, second], run.labels)
    np.testing.assert_array_equal(run.pred_probs, expected)
    assert [row["exponent"] for row in pool] == exponents.tolist()
    assert [row["accuracy"] for row in pool] == [(p.argmax(axis=1) == run.labels).mean() for p in (first, second)]
    assert set(run.folds["task"]) == {"fold-0", "fold-1", "second-fold-0", "second-fold-1"}
    doubting = sum((p.max(axis=1) > p[np.arange(len(p)), run.labels]).astype(int) for p in (first, second))
    by_row = run.scores.set_index("row")["models_doubting"]
    assert by_row.loc[run.audited].tolist() == doubting.tolist()
    words = {0: "the models together see", 1: "one of two models sees", 2: "both models see"}
    for entry in run.findings.itertuples():
        assert words[int(by_row[entry.index])] in entry.message


def test_an_item_says_where_the_models_disagree(run: Run) -> None:
    explainer, tables = Explainer(run), run.scores.set_index("id")
    seen = set()
    for item in tables.groupby("models_doubting").head(2).index:
        models = explainer.explain(item)["models"]
        assert models["doubting"] == tables.loc[item, "models_doubting"]
        seen.add(model_lines(models)[0].split(":")[0])
    assert seen == {"the models disagree", "both models agree with the label", "both models doubt the label"}


def test_a_second_model_joins_and_leaves_a_finished_run(run: Run) -> None:
    options = {"trainer": SoftmaxTrainer(), "workers": 1, "folds": 2, "quality": False, "progress": False}
    both = np.array(run.pred_probs)
    alone = find_errors("digits", out=run.path, **options)
    assert alone.model_probs == {}
    assert "models_doubting" not in alone.scores
    np.testing.assert_array_equal(alone.pred_probs, run.model_probs["softmax"])
    assert not model_lines(Explainer(alone).explain(alone.ids[0])["models"])
    again = find_errors("digits", out=run.path, second_model="pixels", **options)
    np.testing.assert_array_equal(again.pred_probs, both)


@pytest.mark.parametrize(
    ("second", "error", "what"),
    [
        ("tfidf", UsageError, "reads text data"),
        ("pixel", UnknownNameError, "pixels"),
        ("pixels", UsageError, "the first one again"),
    ],
)
def test_a_second_model_that_cannot_be_is_refused_before_the_folder_is_touched(
    second: str, error: type[Exception], what: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=what):
        find_errors("digits", model="pixels", second_model=second, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_nothing_is_pooled_with_supplied_probabilities(tmp_path: Path) -> None:
    p = np.tile([[0.8, 0.2], [0.3, 0.7]], (10, 1))
    with pytest.raises(UsageError, match="supplied"):
        find_errors(pred_probs=p, labels=["a", "b"] * 10, second_model="pixels", out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
