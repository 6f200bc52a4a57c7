"""NASNet-A against counts of the published graph, and its end points."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from auditor.core.errors import UsageError  # noqa: E402
from auditor.models.counter import count  # noqa: E402
from auditor.models.nasnet import NASNET_A, NasnetNetwork, nasnet_a  # noqa: E402
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


def test_end_points_of_6_at_768() -> None:
    model = nasnet_a(10).eval()
    with torch.no_grad(), torch_threads(1):
        shapes = [(s.shape[1], s.shape[2]) for s in model.states(torch.zeros(1, 3, 32, 32))]
    assert shapes == [(96, 32), *[(192, 32)] * 6, (256, 16), *[(384, 16)] * 6, (512, 8), *[(768, 8)] * 6]


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
