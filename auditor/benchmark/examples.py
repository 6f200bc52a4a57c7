"""Corrected items for the report: what they were, what people said, and who was right."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from auditor.benchmark.inputs import Inputs
from auditor.benchmark.models import compare_models
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.sets import make_sets
from auditor.report.pictures import picture_of

#: Items shown.
SHOWN: Final = 36


def examples(inputs: Inputs, predictions: list[Prediction], k: int) -> list[dict[str, Any]]:
    """The corrected rows with the most agreement of the reviewers first, at most `SHOWN`.

    Keys: ``row, id, given, corrected, votes, right_by_given, right_by_corrected, models, image, text``; picture and
    text are null without the data.
    """
    given_labels, judged, dataset = inputs.given_labels, inputs.judged, inputs.dataset
    sets = make_sets(judged, given_labels, k)
    position = {int(row): j for j, row in enumerate(judged.rows)}
    rows = np.flatnonzero(sets.correctable).tolist()
    votes = {row: dict(judged.votes[position[row]]) if judged.votes else {} for row in rows}
    # Votes that were not for the correction, fewest first; then by row, so that equal ones keep an order.
    rows.sort(key=lambda row: (votes[row].get("given", 0), -max(votes[row].values(), default=0), row))
    compared = compare_models(predictions, given_labels, sets)
    shown = []
    for row in rows[:SHOWN]:
        image, text = (None, None) if dataset is None else picture_of(dataset, row)
        shown.append(
            {
                "row": row,
                "id": given_labels.names[row] if given_labels.names else str(row),
                "given": _name(given_labels.class_names, int(given_labels.labels[row])),
                "corrected": _name(given_labels.class_names, int(sets.corrected[row])),
                "votes": votes[row],
                "right_by_given": int(compared.given[:, row].sum()),
                "right_by_corrected": int(compared.corrected[:, row].sum()),
                "models": len(compared.given),
                "image": image,
                "text": text,
            }
        )
    return shown


def _name(names: tuple[str, ...] | None, number: int) -> str:
    return names[number] if names is not None and number < len(names) else str(number)
