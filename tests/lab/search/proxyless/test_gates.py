"""Gates: their gradients, what stays in memory, what a step of either kind touches."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from auditor.core.errors import UsageError  # noqa: E402
from auditor.lab.search.proxyless.gates import MixedEdge, Zero, gate_to_alpha, keep_mass  # noqa: E402
from auditor.lab.search.proxyless.supernet import Supernet, untouched_statistics  # noqa: E402
from auditor.models.proxyless import tree_op  # noqa: E402
from tests.lab.search.proxyless.conftest import batch_for, make, spread_alphas  # noqa: E402

NAMES = "i357dam0"


def _edge(channels: int = 4, copies: int = 1) -> MixedEdge:
    """All operations of the tree space and Zero."""
    torch.manual_seed(0)
    ops = [Zero() if name == "0" else tree_op(name, channels) for name in NAMES * copies]
    edge = MixedEdge(ops, NAMES * copies).double().train()
    edge.alpha.copy_(torch.randn(len(ops), dtype=torch.float64))
    return edge


def _loss(y: torch.Tensor) -> torch.Tensor:
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    return (y.tanh() * weights).sum() + y.square().mean()


def _soft(edge: MixedEdge, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    """The sum the gates stand for, all operations at once."""
    return sum(g * op(x) for g, op in zip(gates, edge.ops, strict=True))


@pytest.mark.parametrize("active", range(len(NAMES)), ids=list(NAMES))
def test_gate_gradient_of_the_full_mode_equals_autograd_and_finite_difference(active: int) -> None:
    edge, x = _edge(), torch.randn(3, 4, 6, 6, dtype=torch.float64)
    edge.open_gates("full")
    one_hot = torch.zeros(len(NAMES), dtype=torch.float64)
    one_hot[active] = 1.0
    edge.active, edge.gates = active, one_hot.clone().requires_grad_()
    below = x.clone().requires_grad_()
    found, to_input = torch.autograd.grad(_loss(edge(below)), [edge.gates, below])
    gates, soft_below = one_hot.clone().requires_grad_(), x.clone().requires_grad_()
    wanted, wanted_input = torch.autograd.grad(_loss(_soft(edge, soft_below, gates)), [gates, soft_below])
    assert torch.allclose(found, wanted, rtol=0, atol=1e-10)
    assert torch.allclose(to_input, wanted_input, rtol=0, atol=1e-10)
    assert found[NAMES.index("0")] == 0
    for k in range(len(NAMES)):
        step = torch.zeros_like(one_hot)
        step[k] = 1e-5
        with torch.no_grad():
            slope = (_loss(_soft(edge, x, one_hot + step)) - _loss(_soft(edge, x, one_hot - step))) / 2e-5
        assert found[k] == pytest.approx(float(slope), abs=1e-6)


def test_gate_gradient_of_the_two_path_mode_equals_autograd_and_leaves_the_other_path_detached() -> None:
    edge, x = _edge(), torch.randn(3, 4, 6, 6, dtype=torch.float64)
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        edge.open_gates("two")
        assert edge.pair is not None
        assert edge.active in edge.pair
        assert edge.pair[0] != edge.pair[1]
        below = x.clone().requires_grad_()
        found, to_input = torch.autograd.grad(_loss(edge(below)), [edge.gates, below])
        gates = edge.gates.detach().clone().requires_grad_()
        (wanted,) = torch.autograd.grad(_loss(_soft(edge, x, gates)), gates)
        where = list(edge.pair)
        assert torch.allclose(found[where], wanted[where], rtol=0, atol=1e-10)
        others = [k for k in range(len(NAMES)) if k not in where]
        assert not found[others].any()
        alone = x.clone().requires_grad_()
        (wanted_input,) = torch.autograd.grad(_loss(edge.ops[edge.active](alone)), alone)
        assert torch.allclose(to_input, wanted_input, rtol=0, atol=1e-10)
        _loss(edge(x)).backward()
        for k, op in enumerate(edge.ops):
            assert all((p.grad is None) == (k != edge.active) for p in op.parameters())
        edge.zero_grad(set_to_none=True)
        seen.update(where)
    assert NAMES.index("0") in seen, "Zero must have been drawn, or the case says nothing about it"


def test_two_paths_are_drawn_by_p_without_replacement_and_the_active_one_by_the_rest() -> None:
    torch.manual_seed(0)
    edge = MixedEdge([nn.Identity(), nn.Identity(), nn.Identity()], "abc")
    edge.alpha.copy_(torch.tensor([0.6, 0.3, 0.1]).log())
    pairs, active, draws = torch.zeros(3), torch.zeros(3), 4000
    for _ in range(draws):
        edge.open_gates("two")
        pairs[list(edge.pair or ())] += 1
        active[edge.active] += 1
    first = torch.tensor([0.6, 0.3, 0.1])
    both = {(i, j): first[i] * first[j] / (1 - first[i]) for i in range(3) for j in range(3) if i != j}
    in_pair = torch.tensor([sum(float(v) for k, v in both.items() if i in k) for i in range(3)])
    by_rest = torch.tensor(
        [sum(float(v * first[i] / (first[k[0]] + first[k[1]])) for k, v in both.items() if i in k) for i in range(3)]
    )
    assert torch.allclose(pairs / draws, in_pair, atol=0.03)
    assert torch.allclose(active / draws, by_rest, atol=0.03)


def test_alpha_gradient_equals_the_softmax_jacobian() -> None:
    alpha = torch.randn(7, dtype=torch.float64, requires_grad=True)
    gate = torch.randn(7, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda a: a.softmax(0), alpha)
    assert torch.allclose(gate_to_alpha(gate, alpha.detach().softmax(0)), gate @ jacobian, rtol=0, atol=1e-12)


def test_alpha_gradient_of_two_paths_is_that_of_their_own_softmax() -> None:
    edge = _edge()
    edge.open_gates("two")
    where = list(edge.pair or ())
    gate, latency = torch.randn(8, dtype=torch.float64), torch.rand(8, dtype=torch.float64)
    found = edge.alpha_gradient(gate, latency)
    two = edge.alpha[where].clone().requires_grad_()
    q = two.softmax(0)
    (wanted,) = torch.autograd.grad((q * (gate[where] + latency[where])).sum(), two)
    assert torch.allclose(found[where], wanted, rtol=0, atol=1e-12)
    assert not found[[k for k in range(8) if k not in where]].any()
    assert float(edge.drawn_p.sum()) == pytest.approx(1)
    # Whatever the two have together: with a tenth of their probability the latency pulls as hard.
    others = [k for k in range(8) if k not in where]
    edge.alpha[others] += 3
    assert torch.allclose(edge.alpha_gradient(gate, latency), found, rtol=0, atol=1e-12)


def test_keeping_the_mass_keeps_the_other_probabilities() -> None:
    alpha = torch.randn(7, dtype=torch.float64)
    new = alpha.clone()
    new[[1, 4]] = keep_mass(alpha[[1, 4]] + torch.tensor([0.7, -0.1], dtype=torch.float64), alpha[[1, 4]])
    rest = [0, 2, 3, 5, 6]
    assert torch.allclose(new.softmax(0)[rest], alpha.softmax(0)[rest], rtol=0, atol=1e-12)
    assert new.softmax(0)[1] > alpha.softmax(0)[1]
    assert new.softmax(0)[4] < alpha.softmax(0)[4]


def _saved_bytes(edge: MixedEdge, x: torch.Tensor) -> tuple[int, int]:
    """Bytes the graph of one pass keeps, and how many operations ran."""
    kept: dict[int, int] = {}
    calls = 0

    def hook(*_: object) -> None:
        nonlocal calls
        calls += 1

    def pack(t: torch.Tensor) -> torch.Tensor:
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    handles = [op.register_forward_hook(hook) for op in edge.ops]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = edge(x)
    for handle in handles:
        handle.remove()
    assert y.requires_grad
    return sum(kept.values()), calls


@pytest.mark.parametrize(("mode", "ran"), [(None, 1), ("full", 1), ("two", 2)])
def test_only_one_path_is_kept_however_many_operations_there_are(mode: str | None, ran: int) -> None:
    kept = {}
    for copies in (1, 2, 6):
        edge = _edge(copies=copies)
        x = torch.randn(8, 4, 16, 16, dtype=torch.float64, requires_grad=True)
        if mode is not None:
            edge.open_gates(mode)
            edge.gates = torch.zeros(len(edge.ops), dtype=torch.float64).index_fill(0, torch.tensor([1]), 1.0)
            edge.gates.requires_grad_()
            edge.pair = (1, 2) if mode == "two" else None
        edge.active = 1
        kept[copies], calls = _saved_bytes(edge, x)
        assert calls == ran
    path = kept[1]
    assert path > 8 * 4 * 16 * 16 * 8, "the active path must be kept"
    # One gate (8 bytes) per operation is all that grows.
    assert kept[2] - path <= 8 * len(NAMES)
    assert kept[6] - path <= 8 * 5 * len(NAMES)


@pytest.mark.parametrize("mode", ["two", "full"])
def test_an_architecture_pass_reaches_all_edges_and_touches_nothing(supernet: Supernet, mode: str) -> None:
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    images, labels = batch_for(supernet)
    torch.manual_seed(0)
    with untouched_statistics(supernet):
        gates = supernet.open_gates(mode)
        found = torch.autograd.grad(nn.functional.cross_entropy(supernet(images), labels), gates)
    supernet.close_gates()
    assert all(g is not None and g.any() for g in found)
    assert all(torch.equal(v, before[k]) for k, v in supernet.state_dict().items())
    assert all(p.grad is None for p in supernet.parameters())
    supernet(images)
    assert any(not torch.equal(v, before[k]) for k, v in supernet.state_dict().items()), "statistics move again"


def test_gate_gradients_of_a_whole_network_equal_finite_differences() -> None:
    supernet = make("mbconv").double().train()
    spread_alphas(supernet)
    images, labels = batch_for(supernet)
    torch.manual_seed(1)
    with untouched_statistics(supernet):
        gates = supernet.open_gates("full")
        found = torch.autograd.grad(nn.functional.cross_entropy(supernet(images), labels), gates)
        edge = supernet.edges[1]
        edge.forward = lambda x: sum(g * op(x) for g, op in zip(edge.gates, edge.ops, strict=True))  # type: ignore[method-assign]
        for k in range(len(edge.ops)):
            losses = []
            for sign in (1, -1):
                edge.gates = gates[1].detach().clone()
                edge.gates[k] += sign * 1e-5
                with torch.no_grad():
                    losses.append(float(nn.functional.cross_entropy(supernet(images), labels)))
            assert float(found[1][k]) == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-6)


def test_a_place_needs_operations_with_names() -> None:
    with pytest.raises(UsageError, match="at least two"):
        MixedEdge([nn.Identity()], "a")
    with pytest.raises(UsageError, match="a name"):
        MixedEdge([nn.Identity(), Zero()], "a")
