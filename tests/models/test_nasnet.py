"""NASNet-A against counts of the published graph, its end points, and ScheduledDropPath."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from auditor.core.errors import UsageError  # noqa: E402
from auditor.models.counter import count  # noqa: E402
from auditor.models.nasnet import NASNET_A, NasnetNetwork, nasnet_a  # noqa: E402
from auditor.models.nasnet_ops import DropPath, keep_probability  # noqa: E402
from auditor.train.device import torch_threads  # noqa: E402


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("variant", "parameters", "mmac"),
    [
        ("n6-f32", 3_346_538, 544.3),
        ("n2-f32", 1_294_698, 232.2),
        ("n2-f16", 363_194, 65.8),
        ("n2-f8", 110_562, 20.3),
        ("n1-f8", 72_370, 13.6),
        ("n4-f44", 4_264_798, None),
    ],
)
def test_parameters_and_macs(variant: str, parameters: int, mmac: float | None) -> None:
    model = nasnet_a(10, variant=variant)
    assert _parameters(model) == parameters
    if mmac is not None:
        with torch_threads(1):
            assert round(count(model, (3, 32, 32)).macs / 1e6, 1) == mmac


def test_the_auxiliary_head_is_for_training_only() -> None:
    model = nasnet_a(10, auxiliary=True)
    assert _parameters(model) == 4_978_036
    assert _parameters(model.auxiliary) == 1_631_498  # type: ignore[arg-type]
    assert model.middle == 12  # normal cell 11, counted from 0, with one reduction before it; the next is the second
    small = nasnet_a(10, variant="n1-f8", auxiliary=True)
    images = torch.randn(2, 3, 32, 32)
    small.eval()(images)
    assert small.auxiliary_logits is None
    small.train()(images)
    assert small.auxiliary_logits is not None
    assert small.auxiliary_logits.shape == (2, 10)


def test_end_points_of_6_at_768() -> None:
    model = nasnet_a(10).eval()
    with torch.no_grad(), torch_threads(1):
        shapes = [(s.shape[1], s.shape[2]) for s in model.states(torch.zeros(1, 3, 32, 32))]
    assert shapes == [(96, 32), *[(192, 32)] * 6, (256, 16), *[(384, 16)] * 6, (512, 8), *[(768, 8)] * 6]


def test_the_schedule_of_drop_path() -> None:
    cells = 3 * 6 + 2
    assert all(keep_probability(k, cells, 0.0) == 1 for k in range(cells))
    assert keep_probability(0, cells, 1.0) == pytest.approx(0.98)
    assert keep_probability(19, cells, 1.0) == pytest.approx(0.60)
    assert keep_probability(19, cells, 0.5) == pytest.approx(0.80)
    assert keep_probability(19, cells, 2.0) == pytest.approx(0.60)  # not beyond the end
    model = NasnetNetwork(NASNET_A.model_copy(update={"cells": 1, "filters": 4}), 3, final_keep=0.6)
    model.set_progress(0.5)
    for number, cell in enumerate(model.cells):
        keeps = {m.keep for m in cell.modules() if isinstance(m, DropPath)}
        assert sorted(keeps) == pytest.approx([1 - 0.5 * (number + 1) / 5 * 0.4])


def test_drop_path_drops_whole_samples_and_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    drop = DropPath()
    drop.keep = 0.7
    x = torch.rand(4000, 2, 3, 3) + 0.5
    out = drop.train()(x)
    shares = out / x
    first = shares[:, :1, :1, :1]
    assert torch.allclose(shares, first.expand_as(shares), atol=1e-5)  # one fate per sample, for all its values
    assert set(first.flatten().mul(0.7).round(decimals=4).tolist()) == {0.0, 1.0}
    assert float((first == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(out.mean()) == pytest.approx(float(x.mean()), rel=0.03)
    assert torch.equal(drop.eval()(x), x)


def test_identity_edges_are_never_dropped() -> None:
    model = NasnetNetwork(NASNET_A.model_copy(update={"cells": 2, "filters": 4}), 3, final_keep=0.01)
    for cell in model.cells:
        edges = [op for block in cell.blocks for op, _ in (block.left, block.right)]  # type: ignore[union-attr]
        for op, drop in zip(edges, cell.drops, strict=True):  # type: ignore[arg-type]
            assert isinstance(drop, nn.Identity if op == "identity" else DropPath)
        assert "identity" in edges


def test_separable_convolutions_are_applied_twice() -> None:
    model = NasnetNetwork(NASNET_A.model_copy(update={"cells": 1, "filters": 4}), 3)
    op = model.cells[1].ops[0]  # type: ignore[index]
    depthwise = [m for m in op.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert len(depthwise) == 2
    assert sum(isinstance(m, nn.BatchNorm2d) for m in op.modules()) == 2


def test_variants_are_checked() -> None:
    for wrong in ("n0-f8", "n6", "n6-f32-x", "f32-n6"):
        with pytest.raises(UsageError, match="variant"):
            nasnet_a(10, variant=wrong)
