"""Clean sets with injected noise: ``digits+<kind>`` and ``cifar10+<kind>``, kinds as in `noise.KINDS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.core.errors import AuditorError
from auditor.data.open import open_dataset
from auditor.lab.detectors.images import duplicate_groups, embeddings_of, items_identity, pixels_of
from auditor.lab.detectors.noise import KINDS, inject, standardised, uniforms
from auditor.lab.detectors.sets import Case, Context
from auditor.lab.detectors.training import cross_validated
from auditor.train.base import Trainer, TrainingData
from auditor.train.choose import make_trainer

__all__ = ["CIFAR10", "DIGITS", "Injected"]


@dataclass(frozen=True)
class Injected:
    """Noise of one kind on a clean image set; noise, folds and training change with the seed."""

    name: str
    source: str
    kind: str

    @property
    def summary(self) -> str:
        """See `BenchmarkSet.summary`."""
        where = {"digits": "scikit-learn digits", "cifar10": "a subset of the CIFAR-10 train images"}[self.source]
        how = {
            "digits": "cross-validated kernel classifier on pixels, neighbours among the pixels",
            "cifar10": "cross-validated linear head on a frozen encoder, neighbours among 128 principal components of "
            "its embeddings",
        }[self.source]
        return f"{where} with {self.kind} label noise made here; {how}"

    @property
    def limits(self) -> str:
        """See `BenchmarkSet.limits`."""
        more = " The given CIFAR-10 labels count as true." if self.source == "cifar10" else ""
        return f"Injected noise; not a reproduction of any paper's networks or sizes.{more}"

    def _trainer(self, context: Context) -> Trainer:
        model = "pixels" if self.source == "digits" else context.options.model
        return make_trainer(model, context.options.budget or "quick", cache_dir=context.work)

    def seeds(self, context: Context, wanted: int) -> int:
        """See `BenchmarkSet.seeds`."""
        return wanted

    def absent(self, context: Context) -> str | None:
        """See `BenchmarkSet.absent`."""
        try:
            self._trainer(context).recipe()
            open_dataset(_reference(self.source), context.settings)
        except AuditorError as error:
            return f"{error.what} {error.way_out or ''}".strip()
        return None

    def inputs(self, context: Context, seed: int) -> dict[str, Any]:
        """See `BenchmarkSet.inputs`."""
        ids, labels, images = self._items(context)
        return {
            "items": items_identity(ids, labels, images),
            "rate": context.options.noise_rate,
            "recipe": self._trainer(context).recipe(),
            "folds": context.options.folds,
            "seed": seed,
        }

    def _items(self, context: Context) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids, true labels and pixels; a function of the data and of the size asked for."""
        dataset = open_dataset(_reference(self.source), context.settings)
        rows = np.arange(len(dataset))
        if self.source == "cifar10" and context.options.subset < len(dataset):
            chosen = np.argsort(uniforms(dataset.ids, 0, "subset"), kind="stable")[: context.options.subset]
            rows = np.sort(chosen)
        return dataset.ids[rows], dataset.labels[rows], pixels_of(dataset, rows)

    def case(self, context: Context, seed: int) -> Case:
        """See `BenchmarkSet.case`."""
        ids, truth, images = self._items(context)
        n_classes = int(truth.max()) + 1
        features = standardised(images) if self.kind == "instance" else None
        labels = inject(self.kind, ids, truth, n_classes, context.options.noise_rate, seed, features)
        data = TrainingData("image", images, labels, n_classes)
        groups = duplicate_groups(images)
        trainer = self._trainer(context)
        embeddings = embeddings_of(context, trainer, images)
        evidence, kept, facts = cross_validated(context, self.name, data, ids, trainer, seed, groups, embeddings)
        noise = {"kind": self.kind, "rate": context.options.noise_rate}
        return Case.in_id_order(evidence, truth[kept], facts | {"labels": f"{self.source} with noise", "noise": noise})


def _reference(source: str) -> str:
    return "cifar10?split=train" if source == "cifar10" else source


@dataclass(frozen=True)
class _Family:
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """See `Family.names`."""
        return tuple(f"{self.source}+{kind}" for kind in KINDS)

    def make(self, name: str) -> Injected | None:
        """See `Family.make`."""
        source, _, kind = name.partition("+")
        return Injected(name, source, kind) if name in self.names else None

    def others(self, word: str) -> tuple[str, ...]:
        """None: all are in `names`."""
        return ()


DIGITS = _Family("digits")
CIFAR10 = _Family("cifar10")
