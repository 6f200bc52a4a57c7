"""Which of several trainers suits the data, by a quick look: the same few items to train on, the same held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.estimator import inner_folds
from auditor.train.results import fit_limited

#: Items looked at; two thirds are trained on, one third is held out.
ITEMS = 900
#: Added to a probability before its logarithm, so that one confident error of one trainer cannot decide.
LOSS_FLOOR = 1e-4


@dataclass(frozen=True)
class QuickLook:
    """Result of `quick_look`.

    Attributes
    ----------
    trained, held_out : int
        Items.
    rows : list of dict
        A row per trainer, in the order given: ``name, log_loss, accuracy, seconds`` on the held-out items.
    """

    trained: int
    held_out: int
    rows: list[dict[str, Any]]

    @property
    def winner(self) -> str:
        """The trainer with the smallest log-loss, the first among equals."""
        return str(min(self.rows, key=lambda row: row["log_loss"])["name"])

    def __str__(self) -> str:
        """One sentence for people."""
        losses = ", ".join(f"{row['name']} {row['log_loss']:.3f}" for row in self.rows)
        return (
            f"{self.winner} has the smallest log-loss on {self.held_out:,} held-out items after training on "
            f"{self.trained:,}: {losses}"
        )


def quick_look(trainers: Mapping[str, Trainer], data: TrainingData, seed: int, progress: Progress) -> QuickLook | None:
    """Fit every trainer on the same items and compare the log-loss of their labels on the same held-out ones.

    Parameters
    ----------
    trainers : mapping of str to Trainer
        Cheapest first: it wins among equals.
    data : TrainingData
        Of texts.
    seed : int
        Draws the items; the result is a function of recipes, data and seed.
    progress : Progress

    Returns
    -------
    QuickLook or None
        None where the labels allow no held-out part (fewer than two classes of six items among those looked at).
    """
    rows = np.sort(generator(seed, "quick-look").permutation(len(data))[:ITEMS])
    sample = TrainingData(data.kind, [data.features[row] for row in rows], data.labels[rows], data.n_classes)
    if not (parts := inner_folds(sample.labels, 3, seed)):
        return None
    rest, held = parts[0]
    given, measured = sample.labels[held], []
    for name, trainer in trainers.items():
        result = fit_limited(trainer, sample, FitTask(f"quick look: {name}", rest, held, seed), progress, None)
        loss = -np.log(result.probabilities[np.arange(len(held)), given].astype(np.float64) + LOSS_FLOOR).mean()
        accuracy = float((result.probabilities.argmax(axis=1) == given).mean())
        measured.append(
            {"name": name, "log_loss": float(loss), "accuracy": accuracy, "seconds": round(result.seconds, 1)}
        )
    return QuickLook(len(rest), len(held), measured)
