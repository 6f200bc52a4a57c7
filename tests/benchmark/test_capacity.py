"""Sizes of networks, and the answer in words."""

from __future__ import annotations

from auditor.benchmark.capacity import capacity_answer, capacity_markdown, sizes_of
from auditor.stats.capacity import Relation


def test_sizes_leave_out_pruned_weights() -> None:
    row = {"parameters": 100, "macs_per_image": 1000}
    rows = [
        {**row, "file": "predictions/resnet20__seed0.npz"},
        {**row, "file": "predictions/resnet20__seed1.npz"},
        {
            **row,
            "file": "predictions/rd-resnet20-0.8__seed0.npz",
            "weights": 90,
            "nonzero_weights": 20,
            "macs_executable": 900,
        },
        {**row, "file": "predictions/ftwt__seed0.npz", "macs_executable": 600},
        {**row, "file": "predictions/ftwt__seed1.npz", "macs_executable": 700},
    ]
    assert sizes_of(rows) == {
        "resnet20": {"parameters": 100, "macs": 1000},
        "rd-resnet20-0.8": {"parameters": 30, "macs": 900},
        "ftwt": {"parameters": 100, "macs": 650},
    }


def _answer(*relations: Relation) -> str:
    names = ("slope", "recovered")
    return capacity_answer({"parameters": dict(zip(names, relations, strict=False))})[-1]


def test_an_answer_needs_both_kinds_of_evidence() -> None:
    sure = Relation(-0.8, -0.9, -0.6, 0.001, 12, 300)
    few_networks = Relation(-0.8, -0.9, -0.6, 0.2, 12, 300)
    few_items = Relation(-0.8, -0.9, 0.1, 0.001, 12, 18)
    other_way = Relation(0.8, 0.6, 0.9, 0.001, 12, 300)
    undefined = Relation(float("nan"), float("nan"), float("nan"), float("nan"), 12, 300)
    assert _answer(sure, sure).startswith("Yes")
    assert _answer(other_way, other_way).startswith("No, the other way round")
    for doubtful in (few_networks, few_items, other_way, undefined):
        assert _answer(sure, doubtful).startswith("It cannot be told")
    document = {
        "answer": ["so"],
        "n_benign": 10,
        "n_correctable": 2,
        "networks": [
            {
                "name": "a",
                "parameters": 5.0,
                "macs": 2e6,
                "benign": 0.9,
                "correctable_original": 0.5,
                "correctable_corrected": 0.25,
                "slope": -0.65,
                "recovered": -0.25,
            }
        ],
    }
    text = capacity_markdown(document, "not a reproduction")
    assert "**not a reproduction**" in text
    assert "| a | 5 | 2.00 | 90.00 | 50.0 | 25.0 | -65.0 | -25.0 |" in text
