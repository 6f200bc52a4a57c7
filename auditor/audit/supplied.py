"""Probabilities the caller brings for a data set that is opened by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auditor.core.errors import UsageError
from auditor.data.base import Dataset
from auditor.data.intake import open_probabilities
from auditor.data.kinds import ProbabilityDataset

ArrayOrPath = str | Path | np.ndarray


def supplied_for(
    dataset: Dataset, pred_probs: ArrayOrPath, labels: ArrayOrPath | None, class_names: Sequence[str] | None
) -> ProbabilityDataset:
    """Supplied probabilities for the items of `dataset`, row by row in its order.

    Raises
    ------
    ProbabilityError
        If the rows or columns do not fit the data set.
    UsageError
        If other labels or class names are given than the data set has.
    """
    if labels is not None:
        raise UsageError("--labels goes with --pred-probs alone.", "A named data set brings its own labels.")
    if class_names is not None and tuple(class_names) != dataset.class_names:
        raise UsageError(
            f"--class-names {','.join(class_names)!r} are not the classes of {dataset.name!r}.",
            f"Its classes, in order: {', '.join(dataset.class_names)}.",
        )
    supplied = open_probabilities(pred_probs, dataset.labels, dataset.class_names, name=dataset.name)
    # The rows are the data set's items: they carry its ids, splits and places.
    supplied.items = dataset.items
    return supplied
