"""The supernet and the networks that come out of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

torch = pytest.importorskip("torch")

from auditor.lab.search.proxyless.gates import MixedEdge, Zero  # noqa: E402
from auditor.lab.search.proxyless.supernet import Supernet, random_path  # noqa: E402
from auditor.models.genotype import MobileGenotype, TreeGenotype  # noqa: E402
from auditor.models.proxyless import network_of  # noqa: E402
from tests.lab.search.proxyless.conftest import batch_for, make  # noqa: E402


def derived_state(supernet: Supernet, path: Sequence[int]) -> dict[str, torch.Tensor]:
    """State of the network of `path`, with the weights the supernet has for it.

    Only to compare the two functions: a found network is trained again from scratch.
    """
    chosen = {id(edge): k for edge, k in zip(supernet.edges, path, strict=True)}
    prefixes: dict[str, str | None] = {}
    position = 0
    for name, module in supernet.network.named_modules():
        if isinstance(module, MixedEdge):
            k = chosen[id(module)]
            zero = isinstance(module.ops[k], Zero)
            target = name
            if name.startswith("blocks."):
                target = f"blocks.{position}"
                position += not zero
            for number in range(len(module.ops)):
                prefixes[f"{name}.ops.{number}."] = f"{target}." if number == k and not zero else None
            prefixes[f"{name}.alpha"] = None
    state = {}
    for name, value in supernet.network.state_dict().items():
        match = max((p for p in prefixes if name.startswith(p)), key=len, default=None)
        if match is None:
            state[name] = value
        elif prefixes[match] is not None:
            state[f"{prefixes[match]}{name[len(match) :]}"] = value
    return state


def _paths(supernet: Supernet) -> list[tuple[int, ...]]:
    random = torch.Generator().manual_seed(0)
    last = tuple(len(edge.ops) - 1 for edge in supernet.edges)  # Zero wherever there is one
    return [last, *(random_path(supernet, random) for _ in range(4))]


def test_derived_network_computes_what_the_supernet_does(supernet: Supernet) -> None:
    images, _ = batch_for(supernet)
    for path in _paths(supernet):
        supernet.train()
        for _ in range(2):  # running statistics off their start
            supernet.take(path)
            supernet(images)
        network = network_of(supernet.genotype(path), 3).double()
        network.load_state_dict(derived_state(supernet, path))
        supernet.eval(), network.eval()
        with torch.no_grad():
            for edge, k in zip(supernet.edges, path, strict=True):
                edge.alpha.copy_(torch.nn.functional.one_hot(torch.tensor(k), len(edge.ops)))
            assert torch.equal(network(images), supernet(images))
            supernet.train(), network.train()
            assert torch.equal(network(images), supernet(images))
            other = tuple((k + 1) % len(edge.ops) for edge, k in zip(supernet.edges, path, strict=True))
            supernet.take(other)
            assert not torch.allclose(network(images), supernet(images))


def test_genotype_of_a_path_names_its_operations() -> None:
    tree, mobile = make("tree"), make("mbconv")
    path = _paths(tree)[1]
    found = tree.genotype(path)
    assert isinstance(found, TreeGenotype)
    assert "".join(found.cells) == "".join("i357dam"[k] for k in path)
    assert (found.stem, found.end) == (4, 6)
    # Positions: 4 -> 6 with stride, 6 -> 6, 6 -> 8, 8 -> 8; only the second and the fourth can be left out.
    assert [len(edge.ops) for edge in mobile.edges] == [6, 7, 6, 7]
    assert [isinstance(edge.ops[-1], Zero) for edge in mobile.edges] == [False, True, False, True]
    found = mobile.genotype((0, 6, 5, 2))
    assert isinstance(found, MobileGenotype)
    assert [stage.blocks for stage in found.stages] == [("e3k3", "zero"), ("e6k7", "e3k5")]


def test_every_edge_holds_the_operations_of_its_space() -> None:
    tree, mobile = make("tree"), make("mbconv")
    assert len(tree.edges) == 3 * 12
    assert {edge.names for edge in tree.edges} == {tuple("i357dam")}
    every = {f"e{e}k{k}" for e in (3, 6) for k in (3, 5, 7)}
    assert all(set(edge.names) - {"zero"} == every for edge in mobile.edges)


def test_alphas_start_near_equal_and_are_no_weights(supernet: Supernet) -> None:
    values = torch.cat([edge.alpha for edge in supernet.edges])
    assert 0 < values.std() < 3e-3
    weights = {id(p) for p in supernet.weights()}
    assert not weights & {id(edge.alpha) for edge in supernet.edges}
    assert len(weights) + len(supernet.edges) == len(list(supernet.parameters()))


def test_entropy_by_hand() -> None:
    supernet = make("mbconv").double()
    with torch.no_grad():
        for edge in supernet.edges:
            edge.alpha.zero_()
        supernet.edges[0].alpha.copy_(torch.tensor([0.5, 0.5, 0, 0, 0, 0]).clamp_min(1e-30).log())
    assert supernet.entropy() == pytest.approx((math.log(2) + math.log(6) + 2 * math.log(7)) / 4)


def test_snapshots_keep_the_path_of_their_time_and_survive_a_state() -> None:
    supernet = make("mbconv", snapshots=2)
    paths = [(0, 6, 5, 2), (3, 1, 2, 6)]
    for number, path in enumerate(paths):
        with torch.no_grad():
            for edge, k in zip(supernet.edges, path, strict=True):
                edge.alpha.zero_()
                edge.alpha[k] = -0.1 if number else 1.0
                edge.alpha[[i for i in range(len(edge.ops)) if i != k]] = -2.0
        supernet.keep_snapshot(number)
    fresh = make("mbconv", snapshots=2)
    fresh.load_state_dict(supernet.state_dict())
    for net in (supernet, fresh):
        assert [net.snapshot_path(0), net.snapshot_path(1)] == paths
