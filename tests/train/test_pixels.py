"""Pixel trainer: the digits, calibration, small classes and large pictures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from auditor.train.base import TrainingData
from auditor.train.pixels import PixelTrainer, pixel_features

from .trainer_cases import accuracy, assert_absent_class_is_zero, assert_repeatable, assert_valid, fit, out_of_fold


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return TrainingData("image", np.repeat(images, 3, axis=3), labels.astype(np.int64), 10)


def part(data: TrainingData, n: int) -> TrainingData:
    return TrainingData("image", data.features[:n], data.labels[:n], data.n_classes)


def test_digits_are_read_and_the_probabilities_mean_something(digits: TrainingData) -> None:
    probabilities = out_of_fold(PixelTrainer(), digits)
    assert_valid(probabilities, len(digits), 10)
    assert accuracy(probabilities, digits.labels) >= 0.98
    # Calibrated: mean confidence within two points of the accuracy, and a likelihood far from that of hard labels.
    assert abs(probabilities.max(axis=1).mean() - accuracy(probabilities, digits.labels)) < 0.02
    given = probabilities[np.arange(len(digits)), digits.labels]
    assert -np.log(np.maximum(given, 1e-12)).mean() < 0.1


def test_repeatable_and_k_wide(digits: TrainingData) -> None:
    assert_repeatable(PixelTrainer(), part(digits, 300))
    assert_absent_class_is_zero(PixelTrainer(), part(digits, 300))


def test_a_class_with_one_item_and_two_classes_only(digits: TrainingData) -> None:
    data = part(digits, 200)
    labels = (data.labels == 3).astype(np.int64)
    labels[0] = 2
    rare = TrainingData("image", data.features, labels, 3)
    result = fit(PixelTrainer(), rare, np.arange(150), np.arange(150, 200))
    assert_valid(result.probabilities, 50, 3)
    assert (result.probabilities[:, 2] > 0).all()
    two = TrainingData("image", data.features, (data.labels > 4).astype(np.int64), 2)
    assert accuracy(fit(PixelTrainer(), two, np.arange(150), np.arange(150, 200)).probabilities, two.labels[150:]) > 0.8


def test_too_few_items_to_calibrate(digits: TrainingData) -> None:
    result = fit(PixelTrainer(), part(digits, 20), np.arange(10), np.arange(10, 20))
    assert_valid(result.probabilities, 10, 10)
    assert result.details["temperature"] == 0.25


def test_nothing_to_predict(digits: TrainingData) -> None:
    assert fit(PixelTrainer(), part(digits, 60), np.arange(60), []).probabilities.shape == (0, 10)


def test_large_pictures_are_averaged_down() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 32, 3), dtype=np.uint8)
    features = pixel_features(images, np.array([2, 0]), 16)
    assert features.shape == (2, 16 * 16 * 3)
    assert features[0].mean() == pytest.approx(images[2].mean(), rel=1e-4)
    blocks = images[0].reshape(40, 16, 2, 3).mean(axis=2)  # columns: pairs
    assert features[1].reshape(16, 16, 3)[0, 0, 0] == pytest.approx(
        (blocks[0, 0, 0] + blocks[1, 0, 0] + blocks[2, 0, 0] / 2) / 2.5, rel=1e-4
    )
