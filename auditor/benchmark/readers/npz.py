"""``.npz`` archives: probabilities or classes, and the ids of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import (
    Claim,
    Prediction,
    first_maximum,
    place_rows,
    plain_name,
    top_of_probabilities,
    whole_classes,
)
from auditor.core.errors import DataError
from auditor.core.files import load_npz

__all__ = ["Npz"]

_PROBABILITIES: Final = ("pred_probs", "probabilities", "probs", "softmax", "logits")
_CLASSES: Final = ("predictions", "preds", "pred", "predicted", "pred_labels", "top1")
_IDS: Final = ("ids", "id", "item_ids", "item_id", "rows", "index")


class Npz:
    """One archive for each model, as the networks trained here are stored."""

    summary = "NAME.npz: pred_probs (rows by classes) or predictions, and ids where rows are in another order"

    def claim(self, files: Sequence[Path]) -> list[Claim]:
        return [Claim(plain_name(path.stem), (path,)) for path in files if path.suffix.lower() == ".npz"]

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        (path,) = claim.files
        arrays, where = load_npz(path), repr(str(path))
        scores = next((arrays[k] for k in _PROBABILITIES if k in arrays), None)
        classes = next((arrays[k] for k in _CLASSES if k in arrays), None)
        if scores is not None and classes is not None and classes.ndim == 2:
            if classes.shape != scores.shape:
                raise DataError(f"{where}: classes {classes.shape} and their probabilities {scores.shape} differ.")
            found = classes[np.arange(len(classes)), first_maximum(scores, where)].astype(np.int64)
        elif scores is not None:
            found = top_of_probabilities(_in_order(scores, arrays, given_labels, where), given_labels, where)
        elif classes is not None:
            classes = classes[:, 0] if classes.ndim == 2 and classes.shape[1] == 1 else classes
            if classes.ndim != 1:
                raise DataError(f"{where}: classes have the shape {classes.shape}; one per row was expected.")
            found = whole_classes(classes, given_labels, where)
        else:
            raise DataError(
                f"{where} has neither 'pred_probs' nor 'predictions'; it holds: {', '.join(arrays) or 'nothing'}."
            )
        ids = next((arrays[k] for k in _IDS if k in arrays), None)
        if ids is not None and len(ids) != len(found):
            raise DataError(f"{where}: {len(ids)} ids for {len(found)} predictions.")
        return [
            Prediction(
                claim.name, place_rows(None if ids is None else ids.tolist(), found, given_labels, where), str(path)
            )
        ]


def _in_order(scores: np.ndarray, arrays: dict[str, np.ndarray], given_labels: GivenLabels, where: str) -> np.ndarray:
    """Columns in the order of the label numbers, where the archive names its columns."""
    names = arrays.get("class_names", arrays.get("classes"))
    if names is None or given_labels.class_names is None or names.dtype.kind not in "US":
        return scores
    listed = [str(n) for n in names.tolist()]
    if listed == list(given_labels.class_names):
        return scores
    if sorted(listed) != sorted(given_labels.class_names) or len(set(listed)) != len(listed):
        raise DataError(
            f"{where} has columns for {listed[:3]}.., the labels have {list(given_labels.class_names[:3])}.."
        )
    return scores[:, [listed.index(name) for name in given_labels.class_names]]
