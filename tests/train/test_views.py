"""Prediction averages views of an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditor.core.errors import ConfigError
from auditor.train.batches import ImageTensor
from auditor.train.recipe import BUDGETS, Recipe, Stage


def test_weights_sum_to_one_and_shifts_are_opposite() -> None:
    views = Recipe(stages=(Stage(1.0, 1),), batch=8, view_shift=2).views()
    assert sum(v.weight for v in views) == 1
    assert sorted(v.shift for v in views) == [-2, 0, 2]
    assert [v.shift for v in BUDGETS["smoke"].views()] == [0]


def test_negative_shift_is_refused() -> None:
    with pytest.raises(ConfigError, match="view_shift"):
        Recipe(stages=(Stage(1.0, 1),), batch=8, view_shift=-1)


def test_shifted_image_by_hand() -> None:
    pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(1, 4, 4, 3)
    images = ImageTensor(pixels, "cpu", np.array([0]))
    row = torch.tensor([0])
    plain, moved = images.plain(row, (4, 4)), images.shifted(row, (4, 4), 1)
    torch.testing.assert_close(images.shifted(row, (4, 4), 0), plain)
    # Source coordinate = target + 1, reflected at the far border: 1, 2, 3, 2.
    torch.testing.assert_close(moved, plain[:, :, [1, 2, 3, 2]][:, :, :, [1, 2, 3, 2]])
