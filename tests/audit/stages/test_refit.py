"""Refits: what each label weighs, what a run keeps, what is continued, and where there are none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from auditor.audit.config import AuditConfig, make_config, stored_values
from auditor.audit.evidence import run_evidence
from auditor.audit.find_errors import find_errors
from auditor.audit.folder import default_folder
from auditor.audit.plan import AuditPlan
from auditor.audit.stages.refit import choose_refits, hardly_believed, hardly_trusted, weighted_tasks
from auditor.core.config import Settings
from auditor.core.errors import ConfigError, UsageError
from auditor.core.hashing import hash_json
from auditor.data.open import open_dataset
from auditor.detect.cleaning import refit_weights
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.choose import make_trainer
from auditor.train.crossval import run_tasks
from auditor.train.own import trainer_of
from auditor.train.pixels import PixelTrainer
from tests.audit.softmax_trainer import SoftmaxTrainer, WeighingTrainer


def test_only_audited_items_are_weighed() -> None:
    usable = np.array([0, 1, 2, 3, 5, 6, 7])
    audited = np.array([1, 2, 5, 6])
    tasks = (FitTask("fold-0", np.array([0, 2, 4, 6]), np.array([1, 5]), 7),)  # rows 0, 2, 5, 7
    plan = AuditPlan("test-folds", "", audited, np.full(8, -1), tasks, usable, (), 0)
    (task,) = weighted_tasks(plan, tasks, np.array([0.1, 0.2, 0.3, 0.4]), 2)
    assert (task.weights.tolist(), task.train.tolist()) == ([1, 0.2, 0.3, 1], [0, 2, 4, 6])  # type: ignore[union-attr]
    assert (task.name, task.seed, task.predict.tolist()) == ("fold-0-refit-2", 7, [1, 5])


@pytest.fixture(scope="module")
def points() -> tuple[pd.DataFrame, np.ndarray]:
    """Three clouds of points, a tenth of the labels replaced at random."""
    rng = np.random.default_rng(0)
    truth = np.arange(150) % 3
    features = pd.DataFrame(255 * (3 * np.eye(3)[truth] + rng.normal(size=(150, 3))), columns=["x", "y", "z"])
    wrong = rng.random(150) < 0.1
    return features, np.where(wrong, (truth + rng.integers(1, 3, 150)) % 3, truth)


Points = tuple[pd.DataFrame, np.ndarray]
OPTIONS: dict[str, Any] = {"workers": 1, "folds": 3, "quality": False, "progress": False, "budget": "quick"}


def by_hand(points: Points, run: Run, probabilities: np.ndarray, number: int) -> np.ndarray:
    """What the softmax trainer says after the refit that follows `probabilities`."""
    data = TrainingData("table", *points, 3)
    weights, fold = refit_weights(probabilities, data.labels).weights, run.items["fold"].to_numpy()
    stored = np.empty_like(probabilities)
    for f in range(3):
        train, predict = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        task = FitTask(f"fold-{f}-refit-{number}", train, predict, 0, weights[train])
        stored[predict] = run_tasks(WeighingTrainer(), data, [task])[0].probabilities
    return stored


def test_a_run_goes_on_with_the_last_refit(points: Points, tmp_path: Path) -> None:
    options = {**OPTIONS, "trainer": WeighingTrainer(), "out": tmp_path / "run"}
    plain = find_errors(points, **options, refits=0)
    first, dynamics = np.array(plain.pred_probs), plain.dynamics()
    assert (plain.manifest["refits"], plain.refits) == ({}, 0)
    assert "refits" not in {outcome["part"] for outcome in plain.manifest["outcomes"]}

    run = find_errors(points, **options)  # auto: as often as the trainer says
    assert {s["name"]: s["reused"] for s in run.manifest["stages"]}["train"]
    assert run.refits == 2
    facts = run.manifest["refits"]
    assert set(facts["fit_seconds"]) == {f"fold-{f}-refit-{k}" for f in range(3) for k in (1, 2)}
    trust = refit_weights(first, run.labels).trust
    assert facts["rounds"][0]["trust"] == pytest.approx(trust.mean(), abs=1e-4)
    assert facts["rounds"][0]["trust_by_class"][2] == pytest.approx(trust[run.labels == 2].mean(), abs=1e-4)
    assert str(escape(facts["summary"])) in (run.path / layout.REPORT).read_text()
    assert any(o["part"] == "refits" and o["detail"] == facts["summary"] for o in run.manifest["outcomes"])

    # Weights of the second refit are those of the first one's predictions, each by models that never saw the item.
    once = by_hand(points, run, first, 1)
    np.testing.assert_allclose(run.pred_probs, by_hand(points, run, once, 2), atol=2e-5)
    # All later steps read the last refit; the first fit and its dynamics stay.
    np.testing.assert_array_equal(np.load(run.path / layout.PRED_PROBS), first)
    np.testing.assert_array_equal(run_evidence(run).probabilities[0], run.pred_probs)  # type: ignore[index]
    np.testing.assert_array_equal(run.dynamics()["fold-0/train_given"], dynamics["fold-0/train_given"])  # type: ignore[index]
    place = int(np.flatnonzero(run.ids == run.scores["id"][0])[0])
    assert run.scores["p_given"][0] == pytest.approx(float(run.pred_probs[place, run.labels[place]]))

    assert all(s["reused"] for s in find_errors(points, **options).manifest["stages"])
    assert find_errors(points, **options, refits=0).pred_probs_path.name == layout.PRED_PROBS
    np.testing.assert_allclose(find_errors(points, **options, refits=1).pred_probs, once, atol=1e-6)


@dataclass(frozen=True)
class Interrupted(WeighingTrainer):
    """One that is interrupted when it is told to, and notes what it fits."""

    fitted: ClassVar[list[str]] = []
    stops: ClassVar[list[str]] = []

    def fit(self, data: TrainingData, task: FitTask, *others: Any) -> FitResult:
        if task.name in self.stops:
            raise KeyboardInterrupt
        self.fitted.append(task.name)
        return super().fit(data, task, *others)


def test_an_interrupted_refit_is_continued(points: Points, tmp_path: Path) -> None:
    options = {**OPTIONS, "trainer": Interrupted(), "folds": 2, "embeddings": "log-probabilities"}
    Interrupted.stops[:] = ["fold-1-refit-2"]
    with pytest.raises(KeyboardInterrupt):
        find_errors(points, **options, out=tmp_path / "run")
    assert Interrupted.fitted[-3:] == ["fold-0-refit-1", "fold-1-refit-1", "fold-0-refit-2"]
    Interrupted.fitted.clear(), Interrupted.stops.clear()
    continued = find_errors(points, **options, out=tmp_path / "run")
    assert Interrupted.fitted == ["fold-1-refit-2"]
    whole = find_errors(points, **options, out=tmp_path / "whole")
    np.testing.assert_array_equal(continued.pred_probs, whole.pred_probs)
    # Log-probabilities that are kept as embeddings are those of the last refit.
    spread = np.log(np.asarray(whole.pred_probs, np.float64) + 1e-4)
    np.testing.assert_allclose(whole.embeddings, (spread - spread.mean(0)) / spread.std(0), atol=1e-3)  # type: ignore[arg-type]


def test_both_models_are_weighed_by_their_pool(points: Points, tmp_path: Path) -> None:
    options = {**OPTIONS, "trainer": WeighingTrainer(), "second_model": "boosting", "out": tmp_path / "run"}
    plain = find_errors(points, **options, refits=0)
    pool, single = np.array(plain.pred_probs), plain.model_probs
    run = find_errors(points, **options, refits=1)
    np.testing.assert_allclose(run.model_probs["softmax"], by_hand(points, run, pool, 1), atol=1e-6)
    assert run.models == ("softmax", "boosting")
    assert not np.array_equal(run.model_probs["boosting"], single["boosting"])
    rows = run.manifest["second_model"]["pool"]
    assert [row["accuracy"] for row in rows] == [(p.argmax(1) == run.labels).mean() for p in run.model_probs.values()]
    assert {name.partition("fold")[0] for name in run.manifest["refits"]["fit_seconds"]} == {"", "second-"}


def test_a_model_that_cannot_weigh_keeps_its_fit(points: Points, tmp_path: Path) -> None:
    options = {**OPTIONS, "trainer": SoftmaxTrainer(), "second_model": "boosting", "out": tmp_path / "run"}
    first = find_errors(points, **options, refits=0).model_probs
    run = find_errors(points, **options, refits=1)
    np.testing.assert_array_equal(run.model_probs["softmax"], first["softmax"])
    assert not np.array_equal(run.model_probs["boosting"], first["boosting"])
    assert run.manifest["refits"]["models"] == ["boosting"]


@pytest.mark.parametrize(
    ("model", "weighs"),
    [
        (LogisticRegression(max_iter=50), True),
        (make_pipeline(StandardScaler(), GaussianNB()), True),
        (KNeighborsClassifier(), False),
        (lambda train, labels, test: np.full((len(test), 3), 1 / 3), False),
    ],
    ids=["classifier", "pipeline", "without weights", "function"],
)
def test_models_of_the_caller_are_refitted_where_they_take_weights(
    model: Any, weighs: bool, points: Points, tmp_path: Path
) -> None:
    trainer = trainer_of(model)
    assert choose_refits("auto", [trainer], "cross-validation").count == 0
    if weighs:
        assert choose_refits(2, [trainer], "cross-validation").trainers == (trainer,)
        run = find_errors(points, model=model, out=tmp_path / "run", refits=1, **OPTIONS)
        first = np.load(run.path / layout.PRED_PROBS)
        assert run.refits == 1
        assert not np.array_equal(run.pred_probs, first)
    else:
        with pytest.raises(UsageError, match="cannot weigh"):
            find_errors(points, model=model, out=tmp_path / "run", refits=1, **OPTIONS)
        assert not (tmp_path / "run").exists()


def test_a_test_split_has_no_refits(points: Points, tmp_path: Path) -> None:
    """Models trained on the train split know nothing about the train labels."""
    dataset = open_dataset(points)
    dataset.items = replace(dataset.items, splits=np.where(np.arange(150) < 90, "train", "test"))
    options = {**OPTIONS, "trainer": WeighingTrainer(), "out": tmp_path / "run"}
    with pytest.raises(UsageError, match="train split are not audited"):
        find_errors(dataset, **options, refits=1)
    run = find_errors(dataset, **options)
    assert (len(run.audited), run.refits) == (60, 0)
    (outcome,) = [o for o in run.manifest["outcomes"] if o["part"] == "refits"]
    assert outcome["status"] == "not applicable"
    assert "not audited" in outcome["detail"]


def test_a_class_that_may_be_forgotten_is_named() -> None:
    names = ("owl", "bat", "elk")
    assert hardly_trusted([{"trust_by_class": [0.9, 0.06, None]}], names) == []
    rounds = [{"trust_by_class": [0.9, 0.2, 0.04]}, {"trust_by_class": [0.9, 0.001, 0.5]}]
    (note,) = hardly_trusted(rounds, names)
    assert "labels of bat, elk are trusted less than 5%" in note


def test_a_class_that_is_hardly_believed_is_no_ground_for_a_refit(points: Points, tmp_path: Path) -> None:
    features, labels = points
    rng = np.random.default_rng(1)
    mixed = np.where(labels == 2, 0, labels)
    mixed[(rng.random(150) < 0.25) & (labels != 2)] = 2  # what is called 2 looks like the others
    options = {**OPTIONS, "trainer": WeighingTrainer(), "out": tmp_path / "run"}
    run = find_errors((features, mixed), **options)
    assert (run.refits, run.manifest["refits"]) == (0, {})
    (outcome,) = [o for o in run.manifest["outcomes"] if o["part"] == "refits"]
    assert outcome["status"] == "not applicable"
    assert "'2' are trusted" in outcome["detail"]
    assert find_errors((features, mixed), **options, refits=2).refits == 2
    # Of probabilities: what is learned is believed, a class that is not is named, one without items is none.
    believed = lambda p, names: hardly_believed(refit_weights(p, labels).trust, labels, names)  # noqa: E731
    sure = np.where(np.arange(3) == labels[:, None], 0.9, 0.05)
    assert believed(sure, ("owl", "bat", "elk")) == ""
    never = np.where(labels[:, None] == 1, [[0.9, 0.05, 0.05]], sure)
    assert "'bat' are trusted" in believed(never, ("owl", "bat", "elk"))
    assert believed(np.pad(sure, ((0, 0), (0, 1))) + 1e-9, ("owl", "bat", "elk", "yak")) == ""


def test_how_often_is_a_small_number_or_auto() -> None:
    assert [make_config(refits=r).refits for r in ("auto", 0, 3, "2")] == ["auto", 0, 3, 2]
    for value in (4, -1, "many", 1.5, True):
        with pytest.raises(ConfigError, match="neither auto nor a whole number from 0 to 3"):
            make_config(refits=value)
    with pytest.raises(ConfigError, match="'refits' took its place"):
        make_config(second_round=True)
    stored = {**AuditConfig().model_dump(), "second_round": False}
    assert make_config(**stored_values(stored)) == AuditConfig()


def test_older_folders_go_on_with_their_accepted_round(tmp_path: Path) -> None:
    for manifest, name in (
        ({}, layout.PRED_PROBS),
        ({"second_round": {"accepted": 0}}, layout.PRED_PROBS),
        ({"second_round": {"accepted": 2}}, layout.SECOND_ROUND),
        ({"refits": {"count": 2}}, layout.REFIT_PROBS),
    ):
        assert Run(tmp_path, manifest).pred_probs_path.name == name


def test_a_run_that_asks_for_nothing_new_keeps_its_folder(points: Points, tmp_path: Path) -> None:
    dataset, settings = open_dataset(points), Settings(runs_dir=tmp_path)
    config = AuditConfig().model_dump(exclude={"embeddings", "quality", "refits"})
    key = hash_json({"data": dataset.fingerprint, "config": config, "trainer": None, "supplied": None})
    name = default_folder(dataset, AuditConfig(), settings, None, None).name
    assert name.endswith(f"-auto-{key.removeprefix('sha256:')[:8]}")
    assert default_folder(dataset, AuditConfig(refits=0), settings, None, None).name != name


def test_trainers_that_take_seconds_say_so() -> None:
    usual = {
        name: getattr(make_trainer(name, "quick"), "refits", 0) for name in ("pixels", "tfidf", "boosting", "kernel")
    }
    assert set(usual.values()) == {2}
    assert choose_refits("auto", [PixelTrainer()], "cross-validation", "quick").count == 2
    assert choose_refits("auto", [PixelTrainer()], "cross-validation", "smoke").count == 0
    assert choose_refits(1, [PixelTrainer()], "cross-validation", "smoke").count == 1
    assert choose_refits("auto", [SoftmaxTrainer()], "cross-validation").count == 0
    assert choose_refits("auto", [SoftmaxTrainer(), WeighingTrainer()], "test-folds").count == 0
    assert choose_refits(1, [SoftmaxTrainer(), WeighingTrainer()], "test-folds").trainers == (WeighingTrainer(),)
    assert choose_refits("auto", [WeighingTrainer(), WeighingTrainer(name="b")], "cross-validation").count == 2
    assert choose_refits("auto", [WeighingTrainer()], "published").count == 0
    with pytest.raises(UsageError, match="published weights are not trained again"):
        choose_refits(1, [WeighingTrainer()], "published")
    with pytest.raises(UsageError, match="softmax cannot weigh"):
        choose_refits(1, [SoftmaxTrainer()], "cross-validation")
