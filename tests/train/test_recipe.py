"""Recipes: every budget is usable, wrong values are refused, small sets are trained long enough."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from auditor.core.errors import ConfigError, UnknownNameError
from auditor.core.hashing import hash_json
from auditor.train.final import AMOUNTS, benchmark_recipe
from auditor.train.recipe import BUDGETS, Stage, recipe_for


@pytest.mark.parametrize("network", ["fastnet", "resnet18"])
@pytest.mark.parametrize("budget", list(BUDGETS))
def test_budgets_are_plain_values(network: str, budget: str) -> None:
    recipe = recipe_for(budget, network)
    assert json.loads(json.dumps(recipe.as_dict()))["batch"] == recipe.batch
    assert recipe.optimiser == ("orthogonal" if network == "fastnet" else "sgd")
    assert bool(recipe.model_options()) == (network == "fastnet")


def test_recipes_hash_as_they_always_did() -> None:
    """Stored fits are found by these hashes."""
    found = {f"{b} {n}": recipe_for(b, n).as_dict() for b in BUDGETS for n in ("fastnet", "resnet18", "cifake_cnn")}
    found |= {f"{b} {n} benchmark": benchmark_recipe(b, n).as_dict() for b in AMOUNTS for n in ("fastnet", "resnet18")}
    for budget, amount in AMOUNTS.items():
        values = asdict(amount)
        values["stages"] = [list(stage.values()) for stage in values["stages"]]
        found[f"{budget} amount"] = list(values.values())
    recorded = json.loads((Path(__file__).parent / "recipes.json").read_text())
    assert {name: hash_json(value) for name, value in found.items()} == recorded


def test_unknown_budget() -> None:
    with pytest.raises(UnknownNameError, match="quick"):
        recipe_for("quik")


def test_resolution_rises_and_small_sets_get_more_epochs() -> None:
    recipe = replace(recipe_for("quick"), stages=(Stage(0.5, 2), Stage(0.75, 1)), min_images=40_000)
    assert recipe.epoch_scales(50_000) == [0.5, 0.5, 0.75]
    small = recipe.epoch_scales(2_000)
    assert small == sorted(small)
    assert len(small) * 2_000 >= 40_000
    assert small.count(0.5) == 2 * small.count(0.75)


@pytest.mark.parametrize(("n", "expected"), [(50_000, 250), (2_000, 250), (800, 100), (60, 16), (5, 5)])
def test_batch_shrinks_with_the_set(n: int, expected: int) -> None:
    assert replace(recipe_for("quick"), batch=250).batch_for(n) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"stages": ()},
        {"stages": (Stage(1.5, 1),)},
        {"stages": (Stage(1.0, 0),)},
        {"batch": 0},
        {"optimiser": "rmsprop"},
        {"label_smoothing": 1.0},
        {"crop": -1},
        {"seeds": 0},
        {"heldout_from": 2.0},
    ],
)
def test_wrong_values_are_refused(change: dict) -> None:
    with pytest.raises(ConfigError, match="training recipe"):
        replace(recipe_for("quick"), **change)
