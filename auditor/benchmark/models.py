"""The models of a benchmark: trained networks, grouped by model where several seeds are stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.sets import Sets
from auditor.core.errors import DataError

_SEED: Final = re.compile(r"^(?P<name>.+?)[_\-]{1,2}seed[_\-]?(?P<seed>\d+)$", re.IGNORECASE)
_PLATFORMS: Final = ("pytorch", "torchvision", "torch", "keras", "tensorflow", "timm", "jax", "flax", "onnx")


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes
    ----------
    name : str
    platform : str or None
        Framework named in `name`; the same architecture of two frameworks is two models.
    seeds : tuple of int
        Empty where one network without a seed in its name is stored.
    networks : tuple of int
        Its rows in the arrays of a `ComparedModels`.
    """

    name: str
    platform: str | None
    seeds: tuple[int, ...]
    networks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ComparedModels:
    """Who is compared, and what every network has right.

    Attributes
    ----------
    models : tuple of Model
        Best on all given labels first.
    predictions : tuple of Prediction
        The networks.
    given : bool array (networks, n)
        Right by the given label.
    corrected : bool array (networks, n)
        Right by the corrected label; where a row has no corrected label, as `given`.
    accepted : bool array (networks, n)
        Right by any accepted label on rows with several; as `corrected` elsewhere.
    labels : int64 array (n,)
        Given labels.
    """

    models: tuple[Model, ...]
    predictions: tuple[Prediction, ...]
    given: np.ndarray
    corrected: np.ndarray
    accepted: np.ndarray
    labels: np.ndarray

    @property
    def names(self) -> list[str]:
        return [model.name for model in self.models]

    @cached_property
    def mixing(self) -> np.ndarray:
        """Mean over the seeds of a model as a matrix, float64 (models, networks)."""
        matrix = np.zeros((len(self.models), len(self.given)))
        for row, model in enumerate(self.models):
            matrix[row, list(model.networks)] = 1 / len(model.networks)
        return matrix

    @property
    def seeded(self) -> bool:
        """Whether a model has more than one network."""
        return any(len(model.networks) > 1 for model in self.models)

    def seed_variance(self, values: np.ndarray) -> np.ndarray:
        """Variance over the seeds of each model of values (networks,), float64 (models,); 0 for one network."""
        of_models = [values[list(model.networks)] for model in self.models]
        return np.array([np.var(own, ddof=1) if len(own) > 1 else 0.0 for own in of_models])

    def counts(self, right: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Right answers of every network on `rows` (bool (n,)), int64 (networks,)."""
        return np.count_nonzero(right[:, rows], axis=1)


def compare_models(predictions: Sequence[Prediction], given_labels: GivenLabels, sets: Sets) -> ComparedModels:
    """Group networks into models and mark what they have right.

    Raises
    ------
    DataError
        If a seed of a model is there twice, or a model with and without seed.
    """
    top = np.stack([prediction.top1 for prediction in predictions])
    given = top == given_labels.labels
    corrected = np.where(sets.correctable, top == sets.corrected, given)
    accepted = corrected.copy()
    for row, labels in sets.several.items():
        accepted[:, row] = np.isin(top[:, row], labels)
    groups: dict[str, list[tuple[int | None, int]]] = {}
    for k, prediction in enumerate(predictions):
        match = _SEED.match(prediction.name)
        name, seed = (match["name"], int(match["seed"])) if match else (prediction.name, None)
        groups.setdefault(name, []).append((seed, k))
    models = []
    for name, members in groups.items():
        seeds = [seed for seed, _ in members]
        if len(set(seeds)) < len(seeds) or (None in seeds and len(seeds) > 1):
            raise DataError(
                f"the model {name!r} has the same seed twice, or networks with and without a seed.",
                "Name the files NAME__seed0, NAME__seed1, ..",
            )
        members.sort(key=lambda pair: -1 if pair[0] is None else pair[0])
        known = tuple(seed for seed, _ in members if seed is not None)
        models.append(Model(name, _platform(name), known, tuple(k for _, k in members)))
    right = given.sum(axis=1)
    models.sort(key=lambda m: (-float(np.mean([right[k] for k in m.networks])), m.name))
    return ComparedModels(tuple(models), tuple(predictions), given, corrected, accepted, given_labels.labels)


def _platform(name: str) -> str | None:
    parts = re.split(r"[_\-/.]", name.lower())
    return next((p for p in _PLATFORMS if p in parts), None)
