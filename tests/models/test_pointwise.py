"""Strided 1x1 convolutions: the sums of the strided kernel, and never that kernel."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from auditor.models.nasnet_ops import FactorisedReduction, SameConv, make_op  # noqa: E402
from auditor.models.pointwise import PointwiseConv  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402


@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("make", [PointwiseConv, lambda i, o, s: SameConv(i, o, (1, 1), s)], ids=["plain", "same"])
def test_values_and_gradients_are_those_of_the_strided_convolution(make, stride: int, side: int) -> None:
    torch.manual_seed(0)
    conv = make(4, 6, stride).double()
    first = torch.randn(3, 4, side, side, dtype=torch.float64, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    found, wanted = conv(first), F.conv2d(second, conv.weight, None, stride)
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-12)
    (weight,) = torch.autograd.grad(found.square().sum(), conv.weight, retain_graph=True)
    (expected,) = torch.autograd.grad(wanted.square().sum(), conv.weight, retain_graph=True)
    found.square().sum().backward()
    wanted.square().sum().backward()
    assert torch.allclose(weight, expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(first.grad, second.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "side"),
    [
        (lambda: build_model("resnet20", 3, 32, 0, width=4), 32),
        (lambda: FactorisedReduction(4, 8), 8),
        (lambda: make_op("identity", 4, 8, 2), 8),
        (lambda: make_op("conv1x1", 4, 8, 2), 8),
    ],
    ids=["resnet20", "reduction", "identity", "conv1x1"],
)
def test_no_network_asks_for_a_strided_1x1_kernel(make, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN issue 6035: with few channels it overruns its workspace and the process dies."""
    real, asked = torch.conv2d, []

    def recording(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        asked.append((tuple(weight.shape[2:]), stride))
        return real(x, weight, bias, stride, padding, dilation, groups)

    monkeypatch.setattr(F, "conv2d", recording)
    model: nn.Module = make()
    channels = next(m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d))
    model(torch.randn(2, channels, side, side))
    strided = [stride for size, stride in asked if size == (1, 1) and stride not in (1, (1, 1))]
    assert asked
    assert not strided
