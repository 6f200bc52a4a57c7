"""Corrected items for the report: what they were, what people said, and who was right."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from auditor.benchmark.inputs import Inputs
from auditor.benchmark.models import make_field
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.sets import make_sets
from auditor.report.pictures import picture_of

__all__ = ["examples"]

#: Items shown.
SHOWN: Final = 36


def examples(inputs: Inputs, predictions: list[Prediction], k: int) -> list[dict[str, Any]]:
    """The corrected rows with the most agreement of the reviewers first, at most `SHOWN`.

    Keys: ``row, id, given, corrected, votes, right_by_given, right_by_corrected, models, image, text``; picture and
    text are null without the data.
    """
    truth, judged, dataset = inputs.truth, inputs.judged, inputs.dataset
    sets = make_sets(judged, truth, k)
    place = {int(row): j for j, row in enumerate(judged.rows)}
    rows = np.flatnonzero(sets.correctable).tolist()
    votes = {row: dict(judged.votes[place[row]]) if judged.votes else {} for row in rows}
    # Votes that were not for the correction, fewest first; then by row, so that equal ones keep an order.
    rows.sort(key=lambda row: (votes[row].get("given", 0), -max(votes[row].values(), default=0), row))
    field = make_field(predictions, truth, sets)
    shown = []
    for row in rows[:SHOWN]:
        image, text = (None, None) if dataset is None else picture_of(dataset, row)
        shown.append(
            {
                "row": row,
                "id": truth.names[row] if truth.names else str(row),
                "given": _name(truth.class_names, int(truth.labels[row])),
                "corrected": _name(truth.class_names, int(sets.corrected[row])),
                "votes": votes[row],
                "right_by_given": int(field.given[:, row].sum()),
                "right_by_corrected": int(field.corrected[:, row].sum()),
                "models": len(field.given),
                "image": image,
                "text": text,
            }
        )
    return shown


def _name(names: tuple[str, ...] | None, number: int) -> str:
    return names[number] if names is not None and number < len(names) else str(number)
