"""Recipes of the laboratory are keys of stored fits: a change of one byte trains every report again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from auditor.core.hashing import hash_json
from auditor.lab.cifake.grid.budgets import BUDGETS
from auditor.lab.cifake.grid.trainer import TopologyTrainer, plain_recipe
from auditor.lab.prune.dynamic import FTWT_METHODS, DynamicNetwork
from auditor.lab.prune.pruned import RD_METHODS, PrunedNetwork
from auditor.lab.search.children import ChildRecipe
from auditor.lab.search.seeded import SeedSearch
from auditor.lab.search.systems import SPACES
from auditor.train.budget import BudgetClass
from auditor.train.final import FinalNetwork

#: Entry -> hash of its recipe, made once and then only read.
PINNED = Path(__file__).parent / "recipes.json"
CLASSES: tuple[BudgetClass, ...] = ("smoke", "cpu", "gpu10", "paper")


def recipes() -> dict[str, Any]:
    """The recipe of every kind of entry at every budget class."""
    made: dict[str, Any] = {"child": ChildRecipe(2, 32, 0.05, 5e-4, 5.0, 0.5).as_dict()}
    for budget in CLASSES:
        for name in ("resnet20", "resnet20:conv", "fastnet", "vgg16_bn:w0.25"):
            made[f"{name} {budget}"] = FinalNetwork.of(name, budget, "cpu").recipe()
        for network in ("resnet20:conv", "resnet32:conv"):
            for method in RD_METHODS:
                dense = FinalNetwork.of(network, budget, "cpu")
                made[f"{method}:{network} {budget}"] = PrunedNetwork.of(dense, method, 0.9).recipe()
        for method in FTWT_METHODS:
            dense = FinalNetwork.of("vgg16_bn", budget, "cpu")
            made[f"{method}:vgg16_bn r {budget}"] = DynamicNetwork.of(dense, method, r=0.9).recipe()
            made[f"{method}:vgg16_bn f {budget}"] = DynamicNetwork.of(dense, method, reduction=0.4).recipe()
        for space in SPACES.names():
            settings = SPACES.load(space)[budget]
            search = SeedSearch(space.partition("-")[0], settings, Path(), np.zeros(0), "cpu")
            made[f"{space} {budget}"] = search.recipe()
            made[f"{space} {budget} child"] = settings.child.loop().as_dict()  # type: ignore[attr-defined]
        grid = BUDGETS[budget]
        trainer = TopologyTrainer(plain_recipe(grid.epochs, grid.batch), device="cpu", keep_weights=False)
        made[f"grid {budget}"] = trainer.recipe()
        made[f"grid budget {budget}"] = asdict(grid)
    return made


def test_recipes_are_what_stored_fits_were_keyed_by() -> None:
    pinned = json.loads(PINNED.read_text())
    made = {name: hash_json(recipe) for name, recipe in recipes().items()}
    assert {name: digest for name, digest in made.items() if pinned.get(name) != digest} == {}
    assert set(made) == set(pinned)
