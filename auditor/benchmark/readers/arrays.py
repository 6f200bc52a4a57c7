"""``.npy`` files: probabilities of every class, or one predicted class per row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import (
    Claim,
    Prediction,
    check_length,
    plain_name,
    top_of_probabilities,
    whole_classes,
)
from auditor.core.errors import DataError
from auditor.core.files import load_npy

__all__ = ["Arrays"]


class Arrays:
    """One array for each model: (n, K) probabilities or logits, or (n,) classes."""

    summary = "NAME.npy: probabilities, rows by classes; or one predicted class per row"

    def claim(self, files: Sequence[Path]) -> list[Claim]:
        return [Claim(plain_name(path.stem), (path,)) for path in files if path.suffix.lower() == ".npy"]

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        (path,) = claim.files
        values, where = load_npy(path, mmap=True), repr(str(path))
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim == 1:
            check_length(len(values), given_labels, where)
            return [Prediction(claim.name, whole_classes(values, given_labels, where), str(path))]
        if values.dtype.kind in "iu":
            raise DataError(
                f"{where} has whole numbers in {values.shape}: k classes per row without their probabilities.",
                "Which column is the best is not known. Add NAME_topKprobs.npy, or store one class per row.",
            )
        check_length(len(values), given_labels, where)
        return [Prediction(claim.name, top_of_probabilities(values, given_labels, where), str(path))]
