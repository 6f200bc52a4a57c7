"""Latency: the expected value and its gradient, the loss, the table of this machine."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import UnreadableError, UsageError  # noqa: E402
from auditor.lab.search.proxyless import measure  # noqa: E402
from auditor.lab.search.proxyless.latency import LatencyTable, expected_latency, latency_loss  # noqa: E402
from auditor.lab.search.proxyless.measure import operation_of, stored_latencies, stored_table, validate  # noqa: E402
from auditor.lab.search.proxyless.supernet import Supernet, random_path  # noqa: E402
from tests.lab.search.proxyless.conftest import make, spread_alphas, table_of  # noqa: E402


def _alphas(supernet: Supernet) -> list[torch.Tensor]:
    return [edge.alpha.detach().clone().requires_grad_() for edge in supernet.edges]


def test_gradient_of_the_expected_latency_is_the_closed_form_and_the_finite_difference(supernet: Supernet) -> None:
    spread_alphas(supernet)
    table = table_of(supernet)
    rows, alphas = table.rows(supernet), _alphas(supernet)
    found = torch.autograd.grad(expected_latency(rows, alphas, table.base), alphas)
    for k, (edge, row, gradient) in enumerate(zip(supernet.edges, rows, found, strict=True)):
        p = edge.alpha.detach().softmax(0)
        closed = torch.stack([p[i] * (row[i] - sum(p[j] * row[j] for j in range(len(p)))) for i in range(len(p))])
        assert torch.allclose(gradient, closed, rtol=0, atol=1e-12)
        edge.open_gates("full")
        ours = edge.alpha_gradient(torch.zeros_like(p), row)
        assert torch.allclose(ours, closed, rtol=0, atol=1e-12)
        if k < 3:
            for i in range(len(p)):
                values = []
                for sign in (1, -1):
                    moved = [a.detach().clone() for a in alphas]
                    moved[k][i] += sign * 1e-5
                    values.append(float(expected_latency(rows, moved, table.base)))
                assert float(gradient[i]) == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_a_certain_choice_costs_the_sum_of_its_entries(supernet: Supernet) -> None:
    table = table_of(supernet)
    path = random_path(supernet, torch.Generator().manual_seed(4))
    certain = []
    for edge, k in zip(supernet.edges, path, strict=True):
        alpha = torch.full_like(edge.alpha, -1000.0)
        alpha[k] = 0.0
        certain.append(alpha)
    by_hand = table.base + sum(table.entries[keys[k]] for keys, k in zip(supernet.latency_keys, path, strict=True))
    assert float(expected_latency(table.rows(supernet), certain, table.base)) == pytest.approx(by_hand, abs=1e-12)
    assert table.of_path(supernet, path) == pytest.approx(by_hand, abs=1e-12)


def test_every_key_names_an_operation_of_the_edges_shape(supernet: Supernet) -> None:
    for edge, keys in zip(supernet.edges, supernet.latency_keys, strict=True):
        assert len(keys) == len(edge.ops)
        for key, op in zip(keys, edge.ops, strict=True):
            module, (channels, side, _) = operation_of(key)
            assert type(module) is type(op)
            assert [p.shape for p in module.parameters()] == [p.shape for p in op.parameters()]
            x = torch.zeros(2, channels, side, side)
            assert module(x).shape == op(x.double()).shape
    with pytest.raises(UsageError, match="no latency"):
        operation_of("dense/3")


def test_keys_hold_the_side_the_operation_sees(supernet: Supernet) -> None:
    seen = []
    for edge in supernet.edges:
        edge.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[-1]))
    side = 8 if supernet.min_size == 8 else 16
    supernet(torch.zeros(2, 3, side, side, dtype=torch.float64))
    assert seen == [int(keys[0].rpartition("/")[2]) for keys in supernet.latency_keys]


@pytest.mark.parametrize("kind", ["add", "mul#log"])
def test_parts_of_the_loss_are_its_derivatives(kind: str) -> None:
    ce, latency, target, weight, step = 1.7, 6.0, 4.0, 0.2, 1e-6
    _, by_ce, by_latency = latency_loss(kind, ce, latency, target, weight)
    value = lambda c, e: latency_loss(kind, c, e, target, weight)[0]  # noqa: E731
    assert by_ce == pytest.approx((value(ce + step, latency) - value(ce - step, latency)) / (2 * step), abs=1e-6)
    assert by_latency == pytest.approx((value(ce, latency + step) - value(ce, latency - step)) / (2 * step), abs=1e-6)


def test_losses_by_hand() -> None:
    assert latency_loss("add", 2.0, 6.0, 4.0, 0.2)[0] == pytest.approx(2.1)
    wanted = 0.2 * 2.0 * (math.log(6) / math.log(4)) ** 0.3
    assert latency_loss("mul#log", 2.0, 6.0, 4.0, 0.2)[0] == pytest.approx(wanted)
    with pytest.raises(UsageError, match="above 1 ms"):
        latency_loss("mul#log", 2.0, 0.5, 4.0, 0.2)
    with pytest.raises(UsageError, match="unknown latency loss"):
        latency_loss("linear", 2.0, 0.5, 4.0, 0.2)  # type: ignore[arg-type]


def test_base_and_error_follow_from_measured_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    supernet = make("tree")
    noise = iter([0.0] * 5 + [0.3, -0.4])

    def one(module: torch.nn.Module) -> float:
        if hasattr(module, "genotype"):  # 1.5 ms, and 0.1 ms for each convolution with an own depth
            return 1.5 + next(noise) + 0.1 * sum(letter in "357d" for cell in module.genotype.cells for letter in cell)
        return 0.1 if any(True for _ in module.parameters()) else 0.0

    def pretend(modules: list, repeats: int, device: str) -> np.ndarray:
        return np.repeat([[one(module)] for module, _ in modules], repeats, axis=1)

    monkeypatch.setattr(measure, "time_modules", pretend)
    table = measure.measure_table(supernet, 3, 8, 1, 50, "cpu")
    assert table.base == pytest.approx(1.5)
    checked = validate(table, supernet, 3, 8, 2, seed=0)
    assert checked["rmse_ms"] == pytest.approx(math.sqrt((0.3**2 + 0.4**2) / 2))
    assert checked["networks"] == 2
    assert len(checked["pairs"]) == 2


def test_a_measured_table_is_stored_and_used_again(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    supernet = make("mbconv")
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = stored_table(tmp_path / "latency.json", supernet, 3, 16, 1, 2, 3, "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert set(first.table.entries) == {key for keys in supernet.latency_keys for key in keys}
    free = {key for key, value in first.table.entries.items() if value == 0}
    assert free == {key for key in first.table.entries if key.startswith("mbconv/zero/")}
    assert first.validation["networks"] == 3
    assert first.validation["rmse_ms"] >= 0
    assert first.summary()["validation"].keys() == {"networks", "rmse_ms", "mean_measured_ms"}
    json.dumps(first.summary())
    monkeypatch.setattr(measure, "time_modules", lambda *_: pytest.fail("measured again"))
    again = stored_table(tmp_path / "latency.json", supernet, 3, 16, 1, 2, 3, "cpu")
    assert again.table == first.table
    assert again.validation == first.validation
    assert LatencyTable(**asdict(first.table)) == first.table


def test_a_table_of_other_operations_is_refused_not_replaced(tmp_path) -> None:
    path = tmp_path / "latency.json"
    stored_table(path, make("mbconv"), 3, 16, 1, 1, 1, "cpu")
    before = path.read_bytes()
    for changes in ({"supernet": make("tree")}, {"images": 2}):
        values = {"supernet": make("mbconv"), "images": 1, **changes}
        with pytest.raises(UnreadableError, match="Delete it"):
            stored_table(path, values["supernet"], 3, 16, values["images"], 1, 1, "cpu")
    assert path.read_bytes() == before


def test_networks_are_compared_turn_by_turn_and_stored(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    supernet = make("mbconv")
    random = torch.Generator().manual_seed(3)
    roles = {role: supernet.genotype(random_path(supernet, random)) for role in ("found", "start", "control")}
    pace = np.repeat(np.arange(measure.TURNS) + 1.0, 5)  # the machine becomes slower from turn to turn

    def pretend(modules: list, repeats: int, device: str) -> np.ndarray:
        assert repeats == 50
        return np.stack([pace, pace + 2.0, pace - 0.5])

    monkeypatch.setattr(measure, "time_modules", pretend)
    table = LatencyTable({}, 0.0, 1, 50, "cpu")
    found = stored_latencies(tmp_path / "latencies.json", roles, table, 3, 16)
    assert found["ms"] == {"found": 5.5, "start": 7.5, "control": 5.0}
    assert found["found_less"]["start"] == {"value": -2.0, "low": -2.0, "high": -2.0}, "drift cancels"
    assert found["found_less"]["control"]["value"] == pytest.approx(0.5)
    assert (found["turns"], found["passes"]) == (10, 50)
    monkeypatch.setattr(measure, "time_modules", lambda *_: pytest.fail("measured again"))
    assert stored_latencies(tmp_path / "latencies.json", roles, table, 3, 16) == found
    with pytest.raises(pytest.fail.Exception):
        stored_latencies(tmp_path / "latencies.json", roles | {"start": roles["control"]}, table, 3, 16)
