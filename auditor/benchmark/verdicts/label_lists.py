"""Lists of accepted labels (ReaL and the like) as corrections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.verdicts.judged import BOTH, GIVEN, GUESSED, NEITHER, Decision, Judged
from auditor.core.errors import DataError
from auditor.core.row_lookup import file_numbers
from auditor.data.label_lists import load_label_lists


def judge_lists(path: Path, given_labels: GivenLabels) -> Judged:
    """One list of right labels for every row; an empty list means that none is.

    Where the rows have file numbers from 1 to n, as in ImageNet, the lists stand in their order.

    Raises
    ------
    DataError
        If there are not as many lists as rows.
    """
    lists = load_label_lists(path)
    n = len(given_labels)
    if len(lists) != n:
        raise DataError(f"{str(path)!r} has {len(lists):,} entries, the labels {n:,} rows.", "Take the right split.")
    numbers = file_numbers(given_labels.names or ())
    if numbers is not None and sorted(numbers) == list(range(1, n + 1)):
        lists = [lists[number - 1] for number in numbers]
    state, label = np.empty(n, np.int8), np.full(n, -1, np.int64)
    accepted: dict[int, tuple[int, ...]] = {}
    for row, labels in enumerate(lists):
        given, several = int(given_labels.labels[row]), sorted(set(labels))
        if len(several) > 1:
            state[row], accepted[row] = BOTH, tuple(several)
        elif several:
            state[row], label[row] = (GIVEN if several == [given] else GUESSED), several[0]
        else:
            state[row] = NEITHER
    decision = Decision(state, label)
    how = "Every row has a list of labels that are right; rows whose list is empty are left out."
    no_votes, all_judged = "lists of labels have no votes", "every row was judged: nothing was selected"
    judged = Judged("lists", how, np.arange(n), np.full(n, -1, np.int64), lambda k: decision, accepted)
    return replace(judged, why_no_posterior=no_votes, why_no_audit=all_judged)
