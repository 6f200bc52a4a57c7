"""Children: stored, never trained twice, paid once in an account."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from auditor.lab.search.children import ChildRecipe, Children
from auditor.lab.search.data import SearchData
from auditor.train.image_network import ImageNetwork

RECIPE = ChildRecipe(epochs=1, batch=20, rate=0.05, decay=1e-4)


def _network(width: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)
    )


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("trained again")


def test_a_child_is_a_function_of_seed_and_architecture(toy: SearchData, tmp_path: Path) -> None:
    one = Children(toy, RECIPE, tmp_path / "a", 0, "cpu", keep=True)
    one.score("other", lambda: _network(6))
    late = one.score("four", _network)
    first = Children(toy, RECIPE, tmp_path / "b", 0, "cpu", keep=True)
    early = first.score("four", _network)
    assert replace(late, seconds=0) == replace(early, seconds=0)
    assert all(torch.equal(a, b) for a, b in zip(one.state(late).values(), first.state(early).values(), strict=True))
    another = Children(toy, RECIPE, tmp_path / "b", 1, "cpu", keep=True)
    moved = another.state(another.score("four", _network))
    assert not torch.equal(moved["0.weight"], first.state(early)["0.weight"])
    assert early.n == len(toy.validation) == 30
    assert 0 <= early.hits <= early.n
    assert early.parameters == 3 * 9 * 4 + 4 + 4 * 3 + 3
    assert early.cost == 3 * early.macs * 48  # an epoch of whole batches of 16, three forward passes each


def test_equal_architectures_are_paid_once(toy: SearchData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = Children(toy, RECIPE, tmp_path, 0, "cpu")
    paid = children.score("four", _network)
    monkeypatch.setattr(ImageNetwork, "fit_network", _refuse)
    again = children.score("four", _network)
    assert again.repeated
    assert (again.cost, again.seconds) == (0.0, 0.0)
    assert (again.hits, again.key) == (paid.hits, paid.key)
    children.forget()  # another arm: paid again, trained never again
    assert children.score("four", _network) == paid
    with pytest.raises(AssertionError, match="trained again"):
        children.score("four", _network, parent="other weights")


def test_a_new_start_reads_what_is_stored(toy: SearchData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paid = Children(toy, RECIPE, tmp_path, 0, "cpu").score("four", _network)
    monkeypatch.setattr(ImageNetwork, "fit_network", _refuse)
    assert Children(toy, RECIPE, tmp_path, 0, "cpu").score("four", _network) == paid
    for changed in (replace(RECIPE, rate=0.1), replace(RECIPE, epochs=2)):
        with pytest.raises(AssertionError, match="trained again"):
            Children(toy, changed, tmp_path, 0, "cpu").score("four", _network)
    with pytest.raises(AssertionError, match="trained again"):  # the weights are wanted, and were not kept
        Children(toy, RECIPE, tmp_path, 0, "cpu", keep=True).score("four", _network)
