"""Weight steps touch the drawn path only, architecture steps alpha only; REINFORCE by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from auditor.lab.search.baseline import Baseline  # noqa: E402
from auditor.lab.search.proxyless.cost import path_cost  # noqa: E402
from auditor.lab.search.proxyless.latency import latency_loss  # noqa: E402
from auditor.lab.search.proxyless.settings import BUDGETS  # noqa: E402
from auditor.lab.search.proxyless.steps import ArchitectureStepper, reinforce_gradients, reinforce_reward  # noqa: E402
from auditor.lab.search.proxyless.supernet import Supernet, random_path  # noqa: E402
from auditor.models.counter import count  # noqa: E402
from auditor.models.proxyless import network_of  # noqa: E402
from auditor.train.optim import CosineSgd  # noqa: E402
from tests.lab.search.proxyless.conftest import batch_for, spread_alphas, table_of  # noqa: E402


def _stepper(supernet: Supernet, kind: str, **changes: object) -> ArchitectureStepper:
    side = 8 if supernet.min_size == 8 else 16
    values = {"architecture_rate": 0.05, "weight": 0.3, "samples": 4, **changes}
    stepper = ArchitectureStepper(
        supernet, table_of(supernet), path_cost(supernet, 3, side), replace(BUDGETS["smoke"], kind=kind, **values)
    )
    stepper.target = 3.0
    return stepper


def _operation_of_state(supernet: Supernet) -> dict[str, tuple[int, int]]:
    """Name of every state of an operation to the number of its edge and its own."""
    numbers = {id(edge): k for k, edge in enumerate(supernet.edges)}
    found = {}
    for name, module in supernet.named_modules():
        if id(module) in numbers:
            for k, op in enumerate(module.ops):
                found |= {f"{name}.ops.{k}.{inner}": (numbers[id(module)], k) for inner in op.state_dict()}
    return found


def test_a_weight_step_leaves_inactive_operations_bit_identical(supernet: Supernet) -> None:
    """In the second step the operations of the first one have momentum: neither it nor the decay may move them."""
    images, labels = batch_for(supernet)
    optimiser = CosineSgd(supernet.weights(), 0.1, 0.5, len(labels), 10)
    owners = _operation_of_state(supernet)
    for done, place in enumerate((1, 2, 1)):  # in both spaces these are convolutions
        path = tuple(place for _ in supernet.edges)
        supernet.take(path)
        before = {k: v.clone() for k, v in supernet.state_dict().items()}
        optimiser.zero_grad()
        F.cross_entropy(supernet(images), labels, reduction="sum").backward()
        optimiser.step(done)
        for name, value in supernet.state_dict().items():
            active = name not in owners or path[owners[name][0]] == owners[name][1]
            if name.endswith(".alpha") or name == "snapshots":
                active = False
            assert torch.equal(value, before[name]) != active, name


@pytest.mark.parametrize("kind", ["two", "full", "reinforce"])
def test_an_architecture_step_changes_alpha_and_nothing_else(supernet: Supernet, kind: str) -> None:
    spread_alphas(supernet)
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    torch.manual_seed(0)
    _stepper(supernet, kind).step(*batch_for(supernet))
    changed = {k for k, v in supernet.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(name.endswith(".alpha") for name in changed)
    assert all(p.grad is None for p in supernet.weights())


def test_two_path_steps_keep_the_other_probabilities_and_move_the_two_apart(supernet: Supernet) -> None:
    spread_alphas(supernet)
    stepper = _stepper(supernet, "two")
    drawn: list[tuple[int, int]] = []
    opened = supernet.open_gates

    def watch(mode: str) -> list[torch.Tensor]:
        gates = opened(mode)
        drawn[:] = [edge.pair for edge in supernet.edges]
        return gates

    supernet.open_gates = watch  # type: ignore[method-assign]
    for seed in range(4):
        torch.manual_seed(seed)
        before = [edge.p.detach().clone() for edge in supernet.edges]
        stepper.step(*batch_for(supernet))
        for edge, pair, old in zip(supernet.edges, drawn, before, strict=True):
            change = edge.p - old
            rest = [k for k in range(len(old)) if k not in pair]
            assert change[rest].abs().max() < 1e-7
            one, other = (float(change[k]) for k in pair)
            assert one * other < 0
            assert abs(one + other) < 1e-7


def _soft(gates: torch.Tensor, ops: list, one_hot: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """All operations by their gates; only the active one sends a gradient further down."""
    return sum(g * op(x if one else x.detach()) for g, op, one in zip(gates, ops, one_hot, strict=True))


@pytest.mark.parametrize(("kind", "loss"), [("full", "add"), ("full", "mul#log"), ("two", "add"), ("two", "mul#log")])
def test_the_gradient_of_a_step_is_that_of_the_soft_loss(supernet: Supernet, kind: str, loss: str) -> None:
    """Gradient of the whole loss with gates one-hot + p - detached p: the estimator the paper defines."""
    spread_alphas(supernet)
    stepper = _stepper(supernet, kind, loss=loss)
    images, labels = batch_for(supernet)
    found: list[torch.Tensor] = []
    stepper._update = lambda: found.extend(edge.alpha.grad.clone() for edge in supernet.edges)  # type: ignore[method-assign]
    drawn: list[tuple[int, tuple[int, int] | None]] = []
    closed = supernet.close_gates

    def watch() -> None:
        drawn[:] = [(edge.active, edge.pair) for edge in supernet.edges]
        closed()

    supernet.close_gates = watch  # type: ignore[method-assign]
    torch.manual_seed(2)
    value = stepper.step(images, labels)
    alphas = [edge.alpha.detach().clone().requires_grad_() for edge in supernet.edges]
    effective = []
    for edge, alpha, (active, pair) in zip(supernet.edges, alphas, drawn, strict=True):
        where = list(pair) if pair else list(range(len(alpha)))
        q = alpha[where].softmax(0)
        one_hot = torch.tensor([float(k == active) for k in where], dtype=torch.float64)
        gates, ops = one_hot + q - q.detach(), [edge.ops[k] for k in where]

        def forward(
            x: torch.Tensor, gates: torch.Tensor = gates, ops: list = ops, one_hot: torch.Tensor = one_hot
        ) -> object:
            return sum(g * op(x if one else x.detach()) for g, op, one in zip(gates, ops, one_hot, strict=True))

        edge.forward = forward  # type: ignore[method-assign]
        # Two paths weigh the latency by their own probabilities, p1 / (p1 + p2) and p2 / (p1 + p2).
        effective.append(torch.zeros_like(edge.alpha).index_copy(0, torch.tensor(where), q))
        assert float(effective[-1].detach().sum()) == pytest.approx(1)
    ce = F.cross_entropy(supernet(images), labels)
    rows = stepper.rows
    latency = stepper.table.base + sum((p * row).sum() for p, row in zip(effective, rows, strict=True))
    assert (float(latency.detach()) == pytest.approx(float(stepper.expected()))) == (kind == "full")
    ratio = latency.log() / torch.tensor(3.0, dtype=torch.float64).log()
    whole = ce + 0.3 * (latency / 3.0 - 1) if loss == "add" else 0.3 * ce * ratio**0.3
    assert value == pytest.approx(float(whole.detach()))
    assert value == pytest.approx(latency_loss(loss, float(ce.detach()), float(latency.detach()), 3.0, 0.3)[0])
    for wanted, got in zip(torch.autograd.grad(whole, alphas), found, strict=True):
        assert torch.allclose(got, wanted, rtol=0, atol=1e-10)


def test_reinforce_by_hand() -> None:
    assert reinforce_reward(0.5, 8.0, 4.0) == pytest.approx(0.5 * 0.5**0.1)
    assert reinforce_reward(0.5, 4.0, 4.0) == 0.5
    p = [torch.tensor([0.2, 0.8]), torch.tensor([0.5, 0.3, 0.2])]
    found = reinforce_gradients(p, [(0, 2), (1, 0)], [0.4, -0.2])
    # ((p - [1, 0]) * 0.4 + (p - [0, 1]) * -0.2) / 2, and so on
    assert found[0].tolist() == pytest.approx([(-0.8 * 0.4 - 0.2 * 0.2) / 2, (0.8 * 0.4 + 0.2 * 0.2) / 2])
    assert found[1].tolist() == pytest.approx(
        [(0.5 * 0.4 + 0.5 * 0.2) / 2, (0.3 * 0.4 - 0.3 * 0.2) / 2, (-0.8 * 0.4 - 0.2 * 0.2) / 2]
    )
    alpha = torch.tensor([0.1, -0.4, 0.3], requires_grad=True)
    loss = -(0.4 * alpha.log_softmax(0)[2] - 0.2 * alpha.log_softmax(0)[0]) / 2
    (wanted,) = torch.autograd.grad(loss, alpha)
    assert torch.allclose(reinforce_gradients([alpha.detach().softmax(0)], [(2,), (0,)], [0.4, -0.2])[0], wanted)


def test_baselines_of_reinforce() -> None:
    ours, official = Baseline(decay=0.95), Baseline(decay=0.99, kind="official")
    for baseline in (ours, official):
        assert baseline.advantages([0.2, 0.4]) == pytest.approx([-0.1, 0.1])
    assert ours.advantages([0.5, 0.7]) == pytest.approx([0.2, 0.4])
    # The authors' code moves the baseline by the batch first: 0.3 + 0.99 (0.6 - 0.3) = 0.597.
    assert official.advantages([0.5, 0.7]) == pytest.approx([-0.097, 0.103])
    assert ours.value == pytest.approx(0.95 * 0.3 + 0.05 * 0.6)
    assert official.value == pytest.approx(0.3 + 0.99 * 0.3)


def test_a_reinforce_step_rewards_accuracy_and_speed(supernet: Supernet) -> None:
    stepper = _stepper(supernet, "reinforce", samples=3)
    stepper.target = 2.5
    images, labels = batch_for(supernet)
    torch.manual_seed(5)
    before = [edge.alpha.clone() for edge in supernet.edges]
    mean = stepper.step(images, labels)
    for edge, alpha in zip(supernet.edges, before, strict=True):
        edge.alpha.copy_(alpha)
    torch.manual_seed(5)
    rewards = []
    for _ in range(3):
        supernet.draw()
        with torch.no_grad():
            right = float((supernet(images).argmax(1) == labels).float().mean())
        rewards.append(right * (2.5 / stepper.table.of_path(supernet, supernet.path())) ** 0.1)
    assert mean == pytest.approx(sum(rewards) / 3)
    assert stepper.baseline.value == pytest.approx(mean)


def test_adam_has_no_first_moment() -> None:
    from tests.lab.search.proxyless.conftest import make

    stepper = _stepper(make("mbconv").double(), "full")
    assert stepper.adam.defaults["betas"] == (0.0, 0.999)


def test_macs_of_a_path_are_those_of_its_network(supernet: Supernet) -> None:
    side = 8 if supernet.min_size == 8 else 16
    torch.manual_seed(7)
    state = torch.get_rng_state()
    cost = path_cost(supernet, 3, side)
    assert torch.equal(torch.get_rng_state(), state)
    random = torch.Generator().manual_seed(0)
    for _ in range(4):
        path = random_path(supernet, random)
        macs = count(network_of(supernet.genotype(path), 3), (3, side, side)).macs
        assert cost.of_path(path) == macs
        assert cost.weight_step(path) == 3 * macs


@pytest.mark.parametrize("kind", ["two", "full", "reinforce"])
def test_an_architecture_step_is_paid(supernet: Supernet, kind: str) -> None:
    """Forward passes are counted where they happen; a backward pass to the inputs costs as much as the forward one."""
    stepper = _stepper(supernet, kind)
    images, labels = batch_for(supernet)
    seen = [0]

    def watch(layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        if isinstance(layer, torch.nn.Linear):
            seen[0] += output.numel() * layer.in_features
        else:
            seen[0] += output.numel() * layer.weight[0].numel()

    paths: list[int] = []
    of_path = type(stepper.cost).of_path
    object.__setattr__(stepper.cost, "of_path", lambda p: paths.append(of_path(stepper.cost, p)) or paths[-1])
    for layer in supernet.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(watch)
    torch.manual_seed(0)
    stepper.step(images, labels)
    backward = 0 if kind == "reinforce" else len(labels) * paths[0]
    assert stepper.spent == seen[0] + backward
