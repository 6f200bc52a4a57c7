"""Words follow from intervals."""

from __future__ import annotations

import pytest

from auditor.lab.experiment.verdicts import accuracy_cell, accuracy_row, points, verdict
from auditor.stats.seeds import paired


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([0.70, 0.71, 0.72], [0.60, 0.61, 0.621], "a is better than b: +9.97 points [+9.82, +10.11], 3 seeds"),
        ([0.60, 0.61, 0.621], [0.70, 0.71, 0.72], "a is worse than b: -9.97 points [-10.11, -9.82], 3 seeds"),
        ([0.5, 0.6], [0.6, 0.5], "a is not distinguishable from b: +0.00 points [-127.06, +127.06], 2 seeds"),
        ([0.7], [0.6], "a cannot be compared with b by one seed: +10.00 points"),
    ],
)
def test_verdict(first: list[float], second: list[float], words: str) -> None:
    assert verdict("a", "b", paired(first, second)) == words


def test_an_accuracy_has_an_interval_where_there_are_seeds() -> None:
    assert accuracy_cell(accuracy_row([0.5])) == "50.00"
    row = accuracy_row([0.5, 0.52])
    assert row["accuracy_by_seed"] == [0.5, 0.52]
    assert accuracy_cell(row) == "51.00 [38.29, 63.71]"
    assert points(0.1, -0.05, 0.25) == "+10.00 points [-5.00, +25.00]"
