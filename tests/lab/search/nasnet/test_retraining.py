"""The best cells of both arms, trained again before one is chosen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from auditor.core.progress import SilentProgress
from auditor.lab.search.data import SearchData
from auditor.lab.search.experiment import _best
from auditor.lab.search.nasnet.search import BUDGETS, search
from auditor.train.device import torch_threads


@pytest.mark.slow
def test_the_chosen_cell_is_the_best_of_those_trained_again(toy: SearchData, tmp_path: Path) -> None:
    child = BUDGETS["smoke"].child
    settings = replace(
        BUDGETS["smoke"], filters=2, minibatches=1, minibatch=3, retrain=2, retraining=replace(child, epochs=2)
    )
    with torch_threads(1):
        outcome = search(toy, settings, tmp_path, 0, "cpu", SilentProgress())
    chosen = {"search": outcome.found, "control": outcome.control}
    again = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for arm, genotype in chosen.items():
        rows = outcome.facts["retrained"][arm]
        children = [row for row in outcome.rows if row["arm"] == arm]
        assert len(children) == 3, "those that are trained again are no further children"
        best = sorted({row["key"]: row["accuracy"] for row in children}.values(), reverse=True)[:2]
        assert [row["accuracy_before"] for row in rows] == best
        top = max(rows, key=lambda row: row["accuracy"])
        searched = genotype.model_copy(update={"cells": settings.cells, "filters": settings.filters})
        assert searched.key() == top["key"]
        assert all(row["cost"] > 0 for row in rows)
        assert _best(outcome, arm) == top["accuracy"]
        assert len([row for row in again if row["event"] == "retrained" and row["arm"] == arm]) == 2


def test_only_paper_trains_again_and_the_settings_of_the_others_stay() -> None:
    assert {budget: settings.retrain for budget, settings in BUDGETS.items()} == {
        "smoke": 0,
        "cpu": 0,
        "gpu10": 0,
        "paper": 250,
    }
    paper = BUDGETS["paper"]
    assert paper.minibatches * paper.minibatch == 20_000
    assert paper.retraining is not None
    assert (paper.retraining.epochs, paper.retraining.mirrored, paper.child.mirrored) == (300, False, False)
    assert paper.as_dict()["retrain"] == 250
    assert not {"retrain", "retraining"} & set(BUDGETS["cpu"].as_dict())
    assert "mirrored" not in BUDGETS["cpu"].as_dict()["child"]
    assert paper.as_dict()["child"]["mirrored"] is False
    assert paper.child.loop().mirrored_views is False
    assert BUDGETS["cpu"].child.loop().mirrored_views is True
