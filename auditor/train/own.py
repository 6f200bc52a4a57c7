"""The caller's own model as a trainer: a scikit-learn classifier or pipeline, a torch module, or a function."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.core.errors import DataError, ProbabilityError, UsageError
from auditor.core.progress import Progress
from auditor.data.held import of
from auditor.data.labels import listed
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.content import content_hash
from auditor.train.estimator import EstimatorTrainer
from auditor.train.recipe import recipe_for
from auditor.train.table import unreadable_columns


@dataclass(frozen=True)
class OwnModel(EstimatorTrainer):
    """A classifier of the caller, cloned and fitted for every fold.

    Attributes
    ----------
    model : classifier with ``fit`` and ``predict_proba``, or callable
        A callable is called as ``model(X_train, y_train, X_test)``, fits whatever it likes, and gives probabilities
        (len(X_test), K), a column for each class in the order of the data set's. Labels are 0 .. K - 1.

        ``X`` is a DataFrame for tables and a list of str for texts. Images are uint8 arrays: (n, H, W, 3) for a
        callable, (n, H * W * 3) for a classifier.
    """

    kind: ClassVar[str | None] = None
    #: Nobody knows how long a fit takes.
    refits: ClassVar[int] = 0
    model: Any

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the class or function."""
        return str(getattr(self.model, "__name__", type(self.model).__name__))

    @property
    def weighs(self) -> bool:  # type: ignore[override]
        """Whether it is a classifier whose ``fit`` takes weights of items."""
        return _is_classifier(self.model) and weight_parameter(self.model) is not None

    def recipe(self) -> dict[str, Any]:
        """The model's content: its parameters, the code of functions defined in a script, its package's version."""
        return {
            "trainer": "own",
            "version": 1,
            "name": self.name,
            "content": content_hash(self.model),
            "package": _package(self.model),
        }

    def classify(
        self, data: TrainingData, task: FitTask, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Probabilities of the fitted model, for the classes of its training part."""
        progress.start(task.name, 1, "fit")
        train, labels, test = _rows(data, task.train), data.labels[task.train], _rows(data, task.predict)
        if _is_classifier(self.model):
            weights = {} if task.weights is None else {str(weight_parameter(self.model)): task.weights}
            with _naming_columns(self.model, data):
                fitted = _seeded(self.model, task.seed).fit(_flat(train), labels, **weights)
                classes, probabilities = np.asarray(fitted.classes_), fitted.predict_proba(_flat(test))
        else:
            classes, probabilities = np.arange(data.n_classes), self.model(train, labels, test)
        probabilities = np.asarray(probabilities, dtype=np.float64)
        if probabilities.shape != (len(task.predict), len(classes)):
            raise ProbabilityError(
                f"{self.name} gave probabilities of the shape {probabilities.shape} for {len(task.predict)} items and "
                f"{len(classes)} classes.",
                "Give one row for each item, and one column for each class.",
            )
        if not np.isfinite(probabilities).all() or (probabilities < 0).any():
            raise ProbabilityError(
                f"{self.name} gave probabilities that are negative or no numbers.",
                "A model's probabilities lie between 0 and 1; decision values must be calibrated first.",
            )
        return classes, probabilities, {"model": repr(self.model)}


def weight_parameter(estimator: Any) -> str | None:
    """The name under which ``estimator.fit`` takes weights of items, in a pipeline those of its last step; None where
    it takes none."""
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        inner = weight_parameter(last)
        return None if inner is None else f"{step}__{inner}"
    if isinstance(estimator, BaseSearchCV):
        return weight_parameter(estimator.estimator)
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def trainer_of(model: Any) -> Trainer:
    """`model` as a trainer.

    Parameters
    ----------
    model : Trainer, classifier with ``fit`` and ``predict_proba``, torch module, or callable
        See `OwnModel` and `auditor.train.own_module.OwnModule`.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if isinstance(model, Trainer):
        return model
    if of(model, "torch.nn", "Module") and not _is_classifier(model):
        from auditor.train.own_module import OwnModule

        return OwnModule(model, recipe_for("standard", "own"))
    if isinstance(model, type) or not (_is_classifier(model) or (callable(model) and not hasattr(model, "fit"))):
        raise UsageError(
            f"a model of the type {_type(model)} cannot be trained: it has no fit and predict_proba, and is "
            "neither a torch module nor a function.",
            "Give a classifier with both (for one without probabilities: sklearn.calibration.CalibratedClassifierCV), "
            "a torch module, or a function of X_train, y_train and X_test that gives probabilities.",
        )
    return OwnModel(model)


def name_and_trainer(model: Any, trainer: Any) -> tuple[str | None, Trainer | None]:
    """The model named by `model`, and the caller's own one, which either may hold.

    Raises
    ------
    UsageError
        If both hold one. Else as `trainer_of`.
    """
    if model is not None and not isinstance(model, str):
        if trainer is not None:
            raise UsageError("model and trainer are both given; they are the same.")
        model, trainer = None, model
    return model, None if trainer is None else trainer_of(trainer)


def settled(trainer: Trainer | None, budget: str, device: str, tensor: Any) -> Trainer | None:
    """The caller's model as a call wants it: a torch module learns how much and where it is trained, and gets the items
    as the caller holds them, in a tensor, if there is one. Other trainers are what they were."""
    settle = getattr(trainer, "settled", None)
    return trainer if settle is None else settle(budget, device, tensor)


@contextmanager
def _naming_columns(model: Any, data: TrainingData) -> Iterator[None]:
    """Say of an error of a classifier what it cannot read, where the data holds something that many cannot."""
    try:
        yield
    except (ValueError, TypeError) as error:
        found = ["texts"] if data.kind == "text" else unreadable_columns(data.features) if data.kind == "table" else []
        if not found or type(error).__name__ == "InvalidParameterError":
            raise
        steps = [type(step).__name__ for _, step in getattr(model, "steps", ())]
        name = f"{type(model).__name__}{f' of {listed(steps)}' if steps else ''}"
        way_out = "Put what turns them into numbers before it: make_pipeline(TfidfVectorizer(), ...)."
        if data.kind == "table":
            way_out = (
                "Put what encodes or fills them before it in a pipeline (OneHotEncoder, SimpleImputer), or choose "
                "other columns with columns=."
            )
        raise DataError(f"{name} cannot read {listed(found)}: {_first_line(error)}", way_out) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _type(model: Any) -> str:
    return f"class {model.__name__!r} (an object of it is wanted)" if isinstance(model, type) else type(model).__name__


def _is_classifier(model: Any) -> bool:
    return hasattr(model, "fit") and hasattr(model, "predict_proba")


def _seeded(model: Any, seed: int) -> Any:
    """An unfitted copy whose random states are set where the caller left them open, so that a repeated fit is equal."""
    from sklearn.base import clone

    if not hasattr(model, "get_params"):
        return copy.deepcopy(model)
    names = [name for name, value in model.get_params().items() if value is None and name.endswith("random_state")]
    return clone(model).set_params(**dict.fromkeys(names, seed % 2**32))


def _rows(data: TrainingData, positions: np.ndarray) -> Any:
    from sklearn.utils import _safe_indexing

    return _safe_indexing(data.features, positions)


def _flat(rows: Any) -> Any:
    return rows.reshape(len(rows), -1) if isinstance(rows, np.ndarray) else rows


def _package(model: Any) -> str:
    """Name and version of the package that the model comes from."""
    module = (getattr(model, "__module__", None) or type(model).__module__).partition(".")[0]
    return f"{module} {getattr(sys.modules.get(module), '__version__', '')}".strip()
