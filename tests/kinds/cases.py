"""A small problem of every label kind whose wrong cells are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """What a kind is given, and where it is wrong.

    Attributes
    ----------
    inputs : dict
        Name of the option -> array.
    wrong : bool array, of the form of the scores
    rows : tuple of str
        Inputs whose first axis is the items: permuting them permutes the scores.
    """

    inputs: dict[str, Any]
    wrong: np.ndarray
    rows: tuple[str, ...]


def multilabel(n: int = 300) -> Case:
    """Four tags of different frequency; one cell in thirty is turned round."""
    rng = np.random.default_rng(0)
    truth = rng.random((n, 4)) < [0.5, 0.3, 0.1, 0.02]
    z = np.where(truth, 2.0, -2.5) + rng.normal(0, 0.8, truth.shape)
    wrong = rng.random(truth.shape) < 1 / 30
    return Case(
        {"pred_probs": 1 / (1 + np.exp(-z)), "labels": (truth ^ wrong).astype(int)}, wrong, ("pred_probs", "labels")
    )


CASES: dict[str, Callable[[], Case]] = {"multilabel": multilabel}
