"""NASNet's decisions, controller and PPO."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.lab.search.nasnet.controller import NasnetController, ppo_loss
from auditor.lab.search.nasnet.search import BUDGETS, update
from auditor.lab.search.nasnet.space import COMBINES, DECISIONS, decode, random_actions
from auditor.models.genotype import NASNET_OPS, NasnetGenotype
from auditor.models.nasnet import NASNET_A, Cell, NasnetNetwork
from auditor.train.device import torch_threads


def encode(genotype: NasnetGenotype) -> list[int]:
    """The 50 decisions of a genotype; the inverse of `decode`."""
    actions = []
    for block in (*genotype.normal, *genotype.reduction):
        (left, a), (right, b) = block.left, block.right
        actions += [a, b, NASNET_OPS.index(left), NASNET_OPS.index(right), COMBINES.index(block.combine)]
    return actions


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    with torch_threads(1):
        yield


def _controller(seed: int = 0) -> NasnetController:
    torch.manual_seed(seed)
    return NasnetController()


def test_fifty_decisions_and_their_choices() -> None:
    assert len(DECISIONS) == 50
    assert [n for kind, n in DECISIONS if kind == "state"] == [2, 2, 3, 3, 4, 4, 5, 5, 6, 6] * 2
    assert {n for kind, n in DECISIONS if kind == "op"} == {13}
    assert {n for kind, n in DECISIONS if kind == "combine"} == {2}


def test_decisions_and_genotypes_are_inverse() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        actions = random_actions(random)
        genotype = decode(actions, 1, 4)
        assert encode(genotype) == actions
        for blocks, concat in (
            (genotype.normal, genotype.normal_concat),
            (genotype.reduction, genotype.reduction_concat),
        ):
            read = {state for b in blocks for _, state in (b.left, b.right)}
            assert all(b.left[1] < 2 + k and b.right[1] < 2 + k for k, b in enumerate(blocks))
            assert set(concat) == set(range(2, 7)) - read  # unused states form the output
    for wrong in ([0] * 49, [2, *[0] * 49], [-1, *[0] * 49]):
        with pytest.raises(UsageError, match="decisions"):
            decode(wrong, 1, 4)
    assert len(encode(NASNET_A)) == 50


def test_sampled_decisions_are_valid_and_replay_to_the_stored_probability() -> None:
    controller = _controller()
    assert all(bool((p.abs() <= 0.1).all()) for p in controller.parameters())
    actions, stored = controller.sample(20, torch.Generator().manual_seed(1))
    for row in actions.tolist():
        decode(row, 1, 4)
    again, entropies = controller.replay(actions)
    assert torch.equal(again.detach(), stored)
    most = torch.tensor([float(np.log(n)) for _, n in DECISIONS])
    assert bool((entropies.detach() <= most + 1e-6).all())
    same, _ = controller.sample(20, torch.Generator().manual_seed(1))
    assert torch.equal(same, actions)


def test_a_decision_knows_the_one_before() -> None:
    controller = _controller()
    actions, _ = controller.sample(1, torch.Generator().manual_seed(1))
    other = actions.clone()
    other[0, 0] = 1 - other[0, 0]
    first, second = (controller.replay(a)[0].detach() for a in (actions, other))
    assert not torch.allclose(first[0, 1:], second[0, 1:], atol=1e-7)
    last = actions.clone()
    last[0, -1] = 1 - last[0, -1]
    assert torch.equal(controller.replay(last)[0].detach()[0, :-1], first[0, :-1])


def test_the_ratio_is_one_on_the_first_pass() -> None:
    controller = _controller()
    actions, old = controller.sample(4, torch.Generator().manual_seed(0))
    gains = torch.tensor([0.3, -0.1, 0.2, -0.4])
    new, _ = controller.replay(actions)
    loss = ppo_loss(new, old, gains, 0.2)
    assert float(loss.detach()) == pytest.approx(-float(gains.mean()), abs=1e-6)
    loss.backward()
    clipped = [p.grad.clone() for p in controller.parameters() if p.grad is not None]
    controller.zero_grad()
    new, _ = controller.replay(actions)
    (-(new * gains[:, None]).mean()).backward()  # at ratio 1 PPO's gradient is REINFORCE's
    plain = [p.grad for p in controller.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(clipped, plain, strict=True))


@pytest.mark.parametrize(
    ("ratio", "gain", "moves"),
    [(1.3, 1.0, False), (0.7, -1.0, False), (1.3, -1.0, True), (0.7, 1.0, True), (1.1, 1.0, True), (0.9, -1.0, True)],
)
def test_the_gradient_is_zero_beyond_the_clip(ratio: float, gain: float, moves: bool) -> None:
    old = torch.zeros(1, 1)
    new = torch.full((1, 1), float(np.log(ratio)), requires_grad=True)
    ppo_loss(new, old, torch.tensor([gain]), 0.2).backward()
    assert new.grad is not None
    assert float(new.grad) == pytest.approx(-ratio * gain if moves else 0.0, abs=1e-6)


def test_an_update_makes_better_decisions_more_likely() -> None:
    controller = _controller()
    optimiser = torch.optim.Adam(controller.parameters(), 1e-3)
    actions, old = controller.sample(4, torch.Generator().manual_seed(0))
    update(controller, optimiser, actions, old, [0.1, -0.1, 0.1, -0.1], BUDGETS["smoke"])
    moved = (controller.replay(actions)[0].detach() - old).sum(1)
    assert bool((moved[[0, 2]] > 0).all())
    assert bool((moved[[1, 3]] < 0).all())


def test_the_entropy_bonus_is_a_mean_over_the_decisions() -> None:
    controller = _controller()
    optimiser = torch.optim.SGD(controller.parameters(), 0.0)
    actions, old = controller.sample(4, torch.Generator().manual_seed(0))
    settings = replace(BUDGETS["smoke"], passes=1, entropy=0.5)
    loss = update(controller, optimiser, actions, old, [0.1, -0.1, 0.1, -0.1], settings)
    entropies = controller.replay(actions)[1].detach()
    assert entropies.shape == (4, 50)
    assert loss == pytest.approx(-0.5 * float(entropies.mean()), abs=1e-6)  # at ratio 1 the advantages cancel


def _cells(genotype: NasnetGenotype) -> nn.Module:
    """Its normal cell, then its reduction cell."""
    normal = Cell(genotype, False, (6, 0), (6, 0), 2, first=True)
    end = (normal.channels, 0)
    return nn.ModuleList([normal, Cell(genotype, True, end, (6, 0), 4, False)])


@pytest.mark.parametrize("draws", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_random_genotypes_build_and_train_a_step(draws: int) -> None:
    random = np.random.default_rng(7)
    images = torch.randn(2, 6, 8, 8)
    combined = 0
    for _ in range(draws):
        genotype = decode(random_actions(random), 1, 2)
        combined += any(b.combine == "concat" for b in (*genotype.normal, *genotype.reduction))
        normal, reduction = cells = _cells(genotype)
        out = reduction(normal(images, images), images)
        assert out.shape == (2, reduction.channels, 4, 4)
        assert reduction.channels == 4 * sum(
            1 + (genotype.reduction[s - 2].combine == "concat") for s in genotype.reduction_concat
        )
        before = [p.detach().clone() for p in cells.parameters()]
        out.square().mean().backward()
        torch.optim.SGD([p for p in cells.parameters() if p.grad is not None], 0.1).step()
        assert all(bool(torch.isfinite(p).all()) for p in cells.parameters())
        assert any(not torch.equal(a, b) for a, b in zip(before, cells.parameters(), strict=True))
    assert combined > 0.9 * draws


def test_random_genotypes_are_whole_networks_too() -> None:
    random = np.random.default_rng(8)
    for _ in range(6):
        network = NasnetNetwork(decode(random_actions(random), 1, 2), 3)
        loss = F.cross_entropy(network(torch.randn(2, 3, 16, 16)), torch.tensor([0, 1]))
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert network.head.weight.grad is not None
