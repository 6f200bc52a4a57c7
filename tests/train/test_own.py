"""The caller's own models: classifiers, pipelines with column names, functions; and what cannot be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

import auditor
from auditor.core.errors import DataError, ProbabilityError, UsageError
from auditor.train.base import TrainingData
from auditor.train.own import OwnModel, trainer_of, weight_parameter

from .trainer_cases import accuracy, assert_absent_class_is_zero, assert_repeatable, assert_valid, fit


def table(n: int = 200) -> TrainingData:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=n), "kind": pd.Categorical(rng.choice(list("abc"), n))})
    labels = (frame["x"] > 0).to_numpy(np.int64) + (frame["kind"] == "a").to_numpy(np.int64)
    return TrainingData("table", frame, labels, 3)


def nearest_mean(train: Any, labels: np.ndarray, test: Any) -> np.ndarray:
    """A function as people write it."""
    train, test = (np.asarray(x["x"] if isinstance(x, pd.DataFrame) else x, float) for x in (train, test))
    means = np.array([train[labels == k].mean() if (labels == k).any() else np.inf for k in range(3)])
    return np.exp(-np.abs(test[:, None] - means))


def with_columns(classifier: Any) -> Any:
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["kind"]), remainder="passthrough")
    return make_pipeline(columns, classifier)


def test_a_pipeline_sees_the_columns_by_name() -> None:
    data = table()
    result = fit(OwnModel(with_columns(LogisticRegression())), data, np.arange(150), np.arange(150, 200))
    assert_valid(result.probabilities, 50, 3)
    assert accuracy(result.probabilities, data.labels[150:]) > 0.8


@pytest.mark.parametrize(
    "model", [with_columns(RandomForestClassifier(n_estimators=5)), nearest_mean], ids=["forest", "function"]
)
def test_repeatable_though_no_seed_was_set(model: Any) -> None:
    assert_repeatable(OwnModel(model), table())


def test_an_absent_class_has_no_probability() -> None:
    assert_absent_class_is_zero(OwnModel(make_pipeline(TfidfVectorizer(), LogisticRegression())), texts())


def texts() -> TrainingData:
    return TrainingData("text", [f"{w} {k}" for k in range(30) for w in ("cat", "dog", "owl")], np.arange(90) % 3, 3)


def test_images_are_flat_for_a_classifier_and_whole_for_a_function() -> None:
    shapes = []

    def remember(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        shapes.append((train.shape, test.shape))
        return np.full((len(test), 2), 0.5)

    images = np.random.default_rng(0).integers(0, 256, (40, 6, 4, 3), dtype=np.uint8)
    data = TrainingData("image", images, np.arange(40) % 2, 2)
    fit(OwnModel(remember), data, np.arange(30), np.arange(30, 40))
    assert shapes == [((30, 6, 4, 3), (10, 6, 4, 3))]
    fitted = fit(OwnModel(LogisticRegression(C=1e-9)), data, np.arange(30), np.arange(30, 40))
    assert_valid(fitted.probabilities, 10, 2)


def test_other_parameters_and_other_code_are_other_recipes() -> None:
    recipes = [OwnModel(m).recipe() for m in (LogisticRegression(), LogisticRegression(C=2.0), nearest_mean)]
    assert len({str(recipe) for recipe in recipes}) == 3
    assert recipes[0] == OwnModel(LogisticRegression()).recipe()
    assert recipes[0]["package"] == f"sklearn {sklearn.__version__}"
    defined = {}
    for power in "23":
        exec(f"def own(train, labels, test):\n    return train ** {power}", defined_in := {"__name__": "__main__"})
        defined[power] = OwnModel(defined_in["own"]).recipe()["content"]
    assert defined["2"] != defined["3"], "the code of a function of a notebook is part of the recipe"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression, "an object of it is wanted"),
        (LinearSVC(), "CalibratedClassifierCV"),
        (TfidfVectorizer(), "no fit and predict_proba"),
        (np.zeros(3), "nor a function"),
    ],
    ids=["class", "no probabilities", "transformer", "array"],
)
def test_what_cannot_be_trained_is_refused(model: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        trainer_of(model)
    assert message in f"{caught.value.what} {caught.value.way_out}"


def gaps() -> TrainingData:
    data = table()
    frame = data.features.assign(x=data.features["x"].where(np.arange(200) != 3), y=1.0)
    return TrainingData("table", frame.drop(columns="kind"), data.labels, 3)


@pytest.mark.parametrize(
    ("model", "data", "message", "way_out"),
    [
        (
            LogisticRegression(),
            table(),
            "LogisticRegression cannot read categories in 'kind': could not conv",
            "columns=",
        ),
        (
            make_pipeline(StandardScaler(), GaussianNB()),
            gaps(),
            "Pipeline of .*GaussianNB .* missing values in 'x': Input",
            "SimpleImputer",
        ),
        (KNeighborsClassifier(), texts(), "KNeighborsClassifier cannot read texts: ", "TfidfVectorizer"),
    ],
    ids=["categories", "missing values", "texts"],
)
def test_what_a_classifier_cannot_read_is_named(model: Any, data: TrainingData, message: str, way_out: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fit(OwnModel(model), data, np.arange(60), np.arange(60, 90))
    assert way_out in str(caught.value.way_out)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (LogisticRegression(C=-1.0), table()),
        (
            make_pipeline(StandardScaler(), LogisticRegression(C=-1.0)),
            TrainingData("table", table().features[["x"]], table().labels, 3),
        ),
        (lambda train, labels, test: float("x"), table()),
    ],
    ids=["parameter", "parameter of a step", "function"],
)
def test_other_errors_of_a_model_stay_its_own(model: Any, data: TrainingData) -> None:
    with pytest.raises(ValueError, match=r"'C'|convert"):
        fit(OwnModel(model), data, np.arange(60), np.arange(60, 90))


def test_in_a_worker_too_the_columns_are_named_and_the_error_is_chained(tmp_path: Path) -> None:
    rows = table().features.assign(label=table().labels)
    with pytest.raises(DataError, match="categories in 'kind'") as caught:
        auditor.find_errors(rows, model=LogisticRegression(), out=tmp_path / "run", folds=2, workers=2)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("answer", [np.zeros((3, 3)), np.full((50, 3), np.nan), np.full((50, 3), -1.0), np.zeros(50)])
def test_no_probabilities_are_refused(answer: np.ndarray) -> None:
    with pytest.raises(ProbabilityError, match="gave probabilities"):
        fit(OwnModel(lambda train, labels, test: answer), table(), np.arange(150), np.arange(150, 200))


def test_find_errors_takes_it_and_goes_on_with_it(tmp_path: Path) -> None:
    data = table()
    rows = data.features.assign(label=[f"class {k}" for k in np.where(np.arange(200) == 7, 0, data.labels)])
    rows.to_csv(tmp_path / "data.csv", index=False)
    pipeline = with_columns(RandomForestClassifier(n_estimators=20))
    run = auditor.find_errors(tmp_path / "data.csv", model=pipeline, out=tmp_path / "run", folds=3, quality=False)
    assert run.manifest["model"]["name"] == "Pipeline"
    assert run.manifest["model"]["reason"] == "given by the caller"
    again = auditor.find_errors(tmp_path / "data.csv", trainer=pipeline, out=tmp_path / "run", folds=3, quality=False)
    assert again.pred_probs.tobytes() == run.pred_probs.tobytes()
    with pytest.raises(UsageError, match="both given"):
        auditor.find_errors(tmp_path / "data.csv", model=pipeline, trainer=pipeline)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (LogisticRegression(), "sample_weight"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "logisticregression__sample_weight"),
        (GridSearchCV(make_pipeline(StandardScaler(), GaussianNB()), {}), "gaussiannb__sample_weight"),
        (KNeighborsClassifier(), None),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), None),
    ],
    ids=["plain", "pipeline", "search", "none", "pipeline without"],
)
def test_the_name_of_the_weights(estimator, name: str | None) -> None:
    assert weight_parameter(estimator) == name
