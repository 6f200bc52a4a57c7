"""What the scikit-learn trainers share."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import EmptyDataError, UsageError
from auditor.train.base import FitTask, TrainingData
from auditor.train.estimator import check_kind, constant_result, widen_probabilities


def test_absent_classes_get_probability_zero() -> None:
    wide = widen_probabilities(np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([1, 4]), 6)
    assert wide.dtype == np.float32
    assert wide[0].tolist() == [0, 0.25, 0, 0, 0.75, 0]
    assert np.allclose(wide[1], 1 / 6)


def test_one_class_in_training_is_answered_with_that_class() -> None:
    data = TrainingData("text", ["a", "b", "c"], np.array([2, 2, 0]), 4)
    result = constant_result(data, FitTask("t", np.array([0, 1]), np.array([2]), 0), 0.0)
    assert result is not None
    assert result.probabilities.tolist() == [[0, 0, 1, 0]]
    assert "one class" in result.details["notes"][0]
    assert constant_result(data, FitTask("t", np.array([0, 2]), np.array([1]), 0), 0.0) is None


def test_wrong_kind_and_empty_training_part() -> None:
    data = TrainingData("text", ["a"], np.array([0]), 2)
    with pytest.raises(UsageError, match="reads image data"):
        check_kind("pixels", "image", data, FitTask("t", np.array([0]), np.array([]), 0))
    with pytest.raises(EmptyDataError, match="'t'"):
        check_kind("tfidf", "text", data, FitTask("t", np.array([], int), np.array([0]), 0))
