"""Optimiser: the orthogonalised step, the groups, the schedules, the scale of the summed loss."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from auditor.models.registry import build_model  # noqa: E402
from auditor.train.optim import Optimiser, orthogonalise  # noqa: E402
from auditor.train.recipe import Recipe, Stage, recipe_for  # noqa: E402


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16)])
def test_orthogonalise_keeps_directions_and_levels_their_strength(shape: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(shape[0], min(shape), generator=random))
    v, _ = torch.linalg.qr(torch.randn(shape[1], min(shape), generator=random))
    strength = torch.linspace(1, 5, min(shape))
    out = orthogonalise(u @ torch.diag(strength) @ v.T)
    inside = u.T @ out @ v
    assert torch.allclose(inside - torch.diag(inside.diagonal()), torch.zeros_like(inside), atol=1e-4)
    levelled = inside.diagonal()
    assert levelled.min() > 0.3
    assert levelled.max() < 1.3
    assert torch.allclose(out, u @ inside @ v.T, atol=1e-4)
    assert torch.allclose(out, orthogonalise(1000 * u @ torch.diag(strength) @ v.T), atol=1e-4)


def _fastnet(steps: int = 10, per_epoch: int = 2) -> tuple[torch.nn.Module, Optimiser]:
    model = build_model("fastnet", 3, 32, 0, widths=(8, 16, 16))
    return model, Optimiser(model, recipe_for("quick"), 4, steps, per_epoch)


def _gradients(model: torch.nn.Module) -> None:
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 0]), reduction="sum").backward()


def test_every_trainable_parameter_moves_and_frozen_ones_stay() -> None:
    model, optimiser = _fastnet()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    _gradients(model)
    optimiser.step(0)
    for name, p in model.named_parameters():
        assert torch.equal(before[name], p) != p.requires_grad, name


def test_filters_have_the_fixed_norm_plus_one_step() -> None:
    model, optimiser = _fastnet()
    _gradients(model)
    optimiser.step(10)  # the last rate is 0: only the rescaling is left
    assert optimiser.filters
    for weight in optimiser.filters:
        assert weight.norm().item() == pytest.approx(len(weight) ** 0.5, rel=1e-5)


def test_rates_fall_to_zero_and_the_input_bias_stops_early() -> None:
    _, optimiser = _fastnet(steps=20, per_epoch=2)
    rates = []
    for done in range(20):
        optimiser.step(done)
        rates.append([group["lr"] for group in optimiser.parts["sgd"].param_groups])
    first, biases, head = zip(*rates, strict=True)
    assert first[0] == biases[0] == 0.053
    assert head[0] == 0.67
    assert [r > 0 for r in first] == [True] * 6 + [False] * 14, "trained over three epochs of two steps"
    assert all(a > b for a, b in pairwise(head))
    assert head[10] == pytest.approx(0.335)


def test_sgd_recipe_equals_torch_on_the_mean_loss() -> None:
    recipe = replace(recipe_for("quick", "resnet18"), warmup=0.0)
    torch.manual_seed(0)
    ours, reference = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    reference.load_state_dict(ours.state_dict())
    x, y = torch.randn(8, 5), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    optimiser = Optimiser(ours, recipe, 8, 100, 10)
    torch_sgd = torch.optim.SGD(
        [{"params": [reference.weight], "weight_decay": recipe.weight_decay}, {"params": [reference.bias]}],
        lr=recipe.filter_rate,
        momentum=recipe.momentum,
        nesterov=True,
    )
    for done in range(5):
        for group in torch_sgd.param_groups:
            group["lr"] = recipe.filter_rate * (1 - done / 100)
        optimiser.zero_grad()
        torch_sgd.zero_grad()
        torch.nn.functional.cross_entropy(ours(x), y, reduction="sum").backward()
        torch.nn.functional.cross_entropy(reference(x), y).backward()
        optimiser.step(done)
        torch_sgd.step()
    assert torch.allclose(ours.weight, reference.weight, atol=1e-6)
    assert torch.allclose(ours.bias, reference.bias, atol=1e-6)


def test_state_round_trips() -> None:
    results = []
    for split in (False, True):
        model, optimiser = _fastnet()
        for done in range(4):
            if split and done == 2:
                weights = {k: v.clone() for k, v in model.state_dict().items()}
                state = optimiser.state_dict()
                model, optimiser = _fastnet()
                model.load_state_dict(weights)
                optimiser.load_state_dict(state)
            optimiser.zero_grad()
            _gradients(model)
            optimiser.step(done)
        results.append(model.state_dict())
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])


def test_adam_on_the_summed_loss_takes_the_steps_of_the_mean_loss() -> None:
    recipe = Recipe(stages=(Stage(1.0, 1),), batch=8, optimiser="adam", filter_rate=1e-3, weight_decay=0.0)
    ours, theirs = (torch.nn.Linear(5, 3, bias=True) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimiser = Optimiser(ours, recipe, batch=8, steps=4, steps_per_epoch=4)
    reference = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    for step in range(4):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(step)) * 1e-3  # small: eps would show
        for model, loss, stepper in ((ours, torch.sum, optimiser), (theirs, lambda v: v.sum() / 8, reference)):
            stepper.zero_grad()
            loss(model(x).square()).backward()
        optimiser.step(step)
        reference.param_groups[0]["lr"] = 1e-3 * (1 - step / 4)
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-9)
