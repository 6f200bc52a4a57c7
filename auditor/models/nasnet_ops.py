"""Operations of NASNet's cells, with the padding of the original network, and its drop path."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.models.pointwise import pointwise


def same_padding(x: torch.Tensor, kernel: tuple[int, int], stride: int, value: float = 0.0) -> torch.Tensor:
    """Pad so that the output side is ``ceil(side / stride)``; an odd pixel goes to the right and the bottom."""
    pads: list[int] = []
    for side, k in ((x.shape[3], kernel[1]), (x.shape[2], kernel[0])):
        total = max((-(-side // stride) - 1) * stride + k - side, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value) if any(pads) else x


class SameConv(nn.Conv2d):
    """Convolution without bias and with `same_padding`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, groups: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, dilation=dilation, bias=False)
        self.reach = tuple((k - 1) * dilation + 1 for k in kernel)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if self.kernel_size == (1, 1):
            return pointwise(input, self.weight, self.stride, self.groups)
        padded = same_padding(input, (self.reach[0], self.reach[1]), self.stride[0])
        return F.conv2d(padded, self.weight, None, self.stride, 0, self.dilation, self.groups)


def unit(inputs: int, outputs: int, kernel: tuple[int, int] = (1, 1), stride: int = 1, dilation: int = 1) -> nn.Module:
    """ReLU, convolution, BatchNorm."""
    return nn.Sequential(
        nn.ReLU(), SameConv(inputs, outputs, kernel, stride, dilation=dilation), nn.BatchNorm2d(outputs)
    )


def _separable(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
    """[ReLU, depthwise, pointwise, BatchNorm] twice; the stride in the first."""
    steps: list[nn.Module] = []
    for a, s in ((inputs, stride), (outputs, 1)):
        spatial, mixing = SameConv(a, a, (size, size), s, groups=a), SameConv(a, outputs, (1, 1))
        steps += [nn.ReLU(), spatial, mixing, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*steps)


class Pool(nn.Module):
    """Max or average pooling with `same_padding`; padding takes no part in the average."""

    def __init__(self, kind: str, size: int, stride: int) -> None:
        super().__init__()
        self.kind, self.size, self.stride = kind, size, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = (self.size, self.size)
        if self.kind == "max":
            return F.max_pool2d(same_padding(x, kernel, self.stride, -torch.inf), self.size, self.stride)
        inside = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
        share = F.avg_pool2d(same_padding(inside, kernel, self.stride), self.size, self.stride)
        return F.avg_pool2d(same_padding(x, kernel, self.stride), self.size, self.stride) / share


def make_op(name: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    """The operation called `name` (of `auditor.models.genotype.NASNET_OPS`), from `inputs` to `outputs` channels.

    Raises
    ------
    UsageError
        For another name.
    """
    kind, size = name[:-3], name[-3:-2]
    if name == "identity":
        return nn.Identity() if stride == 1 and inputs == outputs else unit(inputs, outputs, stride=stride)
    if kind == "sep":
        return _separable(inputs, outputs, int(size), stride)
    if kind in ("avg", "max"):
        pool = Pool(kind, int(size), stride)
        if inputs == outputs:
            return pool
        return nn.Sequential(pool, SameConv(inputs, outputs, (1, 1)), nn.BatchNorm2d(outputs))
    if name in ("conv1x3_3x1", "conv1x7_7x1"):
        k = int(name[6])
        return nn.Sequential(unit(inputs, outputs, (1, k), stride), unit(outputs, outputs, (k, 1)))
    if name == "dil3x3":
        return unit(inputs, outputs, (3, 3), stride, dilation=2)
    if name in ("conv1x1", "conv3x3"):
        k = int(name[4])
        return unit(inputs, outputs, (k, k), stride)
    raise UsageError(f"NASNet has no operation {name!r}.")


class FactorisedReduction(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2, the second one pixel further, joined; BatchNorm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = SameConv(inputs, outputs // 2, (1, 1), 2)
        self.second = SameConv(inputs, outputs - outputs // 2, (1, 1), 2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.first(x), self.second(shifted)], 1))


def keep_probability(cell: int, cells: int, share: float, final: float = 0.6) -> float:
    """Probability that an operation of a cell is kept.

    Parameters
    ----------
    cell, cells : int
        Number of the cell from 0, and of all cells (3N + 2).
    share : float
        Share of the training that is done.
    final : float
        For the last cell at the end.
    """
    of_cell = 1 - (cell + 1) / cells * (1 - final)
    return 1 - min(1.0, share) * (1 - of_cell)


class DropPath(nn.Module):
    """Sets whole outputs to zero, image by image, and divides the others by the probability of being kept."""

    def __init__(self) -> None:
        super().__init__()
        self.keep = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.keep >= 1.0:
            return x
        survives = torch.rand(len(x), 1, 1, 1, device=x.device, dtype=torch.float32) < self.keep
        return x * survives.to(x.dtype) / self.keep
