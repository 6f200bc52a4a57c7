"""Networks of ProxylessNAS's two spaces (Cai, Zhu and Han 2019): a PyramidNet of tree cells for CIFAR-10, and MBConv
blocks."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UnknownNameError
from auditor.models.base import conv_unit, initialise
from auditor.models.genotype import Genotype, MobileGenotype, TreeGenotype, read_genotype


class _Separable(nn.Module):
    """BatchNorm, ReLU, depthwise convolution, pointwise convolution."""

    def __init__(self, channels: int, size: int, dilation: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        padding = dilation * (size // 2)
        self.depth = nn.Conv2d(channels, channels, size, 1, padding, dilation, groups=channels, bias=False)
        self.point = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.point(self.depth(torch.relu(self.norm(x))))


def tree_op(letter: str, channels: int) -> nn.Module:
    """Operation of an edge, by its letter in `auditor.models.genotype.TREE_OPS`."""
    if letter == "i":
        return nn.Identity()
    if letter == "a":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    if letter == "m":
        return nn.MaxPool2d(3, 1, 1)
    return _Separable(channels, 3, 2) if letter == "d" else _Separable(channels, int(letter))


def tree_widths(genotype: TreeGenotype) -> list[int]:
    """Bottleneck width of every block, even, from above `stem` to `end`."""
    n = len(genotype.cells)
    return [2 * (round(genotype.stem + (genotype.end - genotype.stem) * i / n) // 2) for i in range(1, n + 1)]


class TreeCell(nn.Module):
    """BatchNorm, ReLU, grouped 3x3 to twice the channels, shuffled; its halves pass two branches of six edges each.

    Parameters
    ----------
    width, stride : int
    edge : callable
        ``(number) -> module`` for the 12 edges, in the order of `TreeGenotype.cells`.
    """

    def __init__(self, width: int, stride: int, edge: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.widen = nn.Conv2d(width, 2 * width, 3, stride, 1, groups=2, bias=False)
        self.edges = nn.ModuleList(edge(k) for k in range(12))
        self.branch_norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.widen(torch.relu(self.norm(x)))
        n, c, h, w = x.shape
        x = x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        branches = []
        for number, half in enumerate(x.chunk(2, 1)):
            e = list(self.edges[6 * number : 6 * number + 6])
            first, second = e[0](half), e[1](half)
            leaves = e[2](first) + e[3](first) + e[4](second) + e[5](second)
            branches.append(self.branch_norms[number](leaves) + half)
        return branches[0] + branches[1]


class TreeBlock(nn.Module):
    """Bottleneck with a tree cell; the shortcut is averaged down and filled with zero channels."""

    def __init__(self, inputs: int, width: int, stride: int, edge: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.stride, self.added = stride, 4 * width - inputs
        self.enter = nn.Sequential(nn.BatchNorm2d(inputs), nn.Conv2d(inputs, width, 1, bias=False))
        self.cell = TreeCell(width, stride, edge)
        self.leave = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.stride == 1 else F.avg_pool2d(x, 2, ceil_mode=True)
        return self.leave(self.cell(self.enter(x))) + F.pad(shortcut, (0, 0, 0, 0, 0, self.added))


class TreeNetwork(nn.Module):
    """Stem, blocks of tree cells in three stages, BatchNorm, ReLU, mean, linear.

    Parameters
    ----------
    genotype : TreeGenotype
    n_classes : int
    edge : callable, optional
        ``(block, number, width) -> module`` in place of the genotype's operation: a search puts its mixed edges here.
    """

    min_size = 8

    def __init__(
        self, genotype: TreeGenotype, n_classes: int, edge: Callable[[int, int, int], nn.Module] | None = None
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.stem = conv_unit(3, genotype.stem, 3, activation=None)
        blocks, inputs, stage = [], genotype.stem, len(genotype.cells) // 3
        for number, width in enumerate(tree_widths(genotype)):

            def make(k: int, number: int = number, width: int = width) -> nn.Module:
                return tree_op(genotype.cells[number][k], width) if edge is None else edge(number, k, width)

            blocks.append(TreeBlock(inputs, width, 2 if number and number % stage == 0 else 1, make))
            inputs = 4 * width
        self.body = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.Linear(inputs, n_classes)
        initialise(self, "out")

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Maps before the mean."""
        return torch.relu(self.norm(self.body(self.stem(images))))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        return self.head(self.features(images).mean((2, 3)))


_mb_unit = partial(conv_unit, eps=1e-3, activation=nn.ReLU6)


class MbBlock(nn.Module):
    """Expansion 1x1, depthwise kxk, projection 1x1, each with BatchNorm; the caller adds the shortcut."""

    def __init__(self, inputs: int, outputs: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expand
        widen = _mb_unit(inputs, hidden, 1) if expand > 1 else nn.Sequential()
        depthwise = _mb_unit(hidden, hidden, kernel, stride, hidden)
        self.steps = nn.Sequential(*widen, *depthwise, *_mb_unit(hidden, outputs, 1, activation=None))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.steps(x)


def mb_plan(genotype: MobileGenotype) -> list[tuple[str, int, int, int]]:
    """``(block, inputs, outputs, stride)`` of every position."""
    plan, inputs = [], genotype.first
    for stage in genotype.stages:
        for number, block in enumerate(stage.blocks):
            plan.append((block, inputs, stage.width, stage.stride if number == 0 else 1))
            inputs = stage.width
    return plan


class MobileNetwork(nn.Module):
    """Stem, MBConv1 3x3, the chosen blocks, a 1x1 layer, mean, linear.

    Parameters
    ----------
    genotype : MobileGenotype
    n_classes : int
    make : callable, optional
        ``(position, inputs, outputs, stride) -> module`` in place of the genotype's blocks; the module has the whole
        block's output without the shortcut.
    """

    min_size = 16

    def __init__(
        self, genotype: MobileGenotype, n_classes: int, make: Callable[[int, int, int, int], nn.Module] | None = None
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.stem = _mb_unit(3, genotype.stem, 3, genotype.stem_stride)
        self.first = MbBlock(genotype.stem, genotype.first, 1, 3, 1)
        self.blocks, self.joins = nn.ModuleList(), []
        last = genotype.first
        for position, (block, inputs, outputs, stride) in enumerate(mb_plan(genotype)):
            last = outputs
            if make is not None:
                self.blocks.append(make(position, inputs, outputs, stride))
            elif block == "zero":
                continue
            else:
                self.blocks.append(MbBlock(inputs, outputs, int(block[1]), int(block[3]), stride))
            self.joins.append(stride == 1 and inputs == outputs)
        self.mix = _mb_unit(last, genotype.head, 1)
        self.head = nn.Linear(genotype.head, n_classes)
        initialise(self, "out of a group")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        x = self.first(self.stem(images))
        for block, join in zip(self.blocks, self.joins, strict=True):
            x = block(x) + x if join else block(x)
        return self.head(self.mix(x).mean((2, 3)))


def network_of(genotype: TreeGenotype | MobileGenotype, n_classes: int) -> TreeNetwork | MobileNetwork:
    """Untrained network of a genotype of either space."""
    if isinstance(genotype, MobileGenotype):
        return MobileNetwork(genotype, n_classes)
    return TreeNetwork(genotype, n_classes)


def proxyless(n_classes: int, image_size: int = 32, variant: str | Genotype = "") -> nn.Module:
    """Network of a genotype file of ``auditor search proxyless``, or a published one by its name: ``cifar`` (the
    default, 5,731,530 parameters at 10 classes), and those for ImageNet, ``mobile``, ``mobile14``, ``cpu``, ``gpu``.
    ``cifar-w0.25`` is the CIFAR network with a quarter of its channels.

    Raises
    ------
    UnreadableError, UnknownNameError
    """
    from auditor.models.proxyless_published import CIFAR, PUBLISHED

    if isinstance(variant, str) and not variant.endswith(".json"):
        narrow = re.fullmatch(r"cifar-w(0?\.\d+)", variant)
        if narrow is not None and (end := round(CIFAR.end * float(narrow[1]))) >= 2:
            stem = max(2, round(CIFAR.stem * float(narrow[1])))
            return TreeNetwork(CIFAR.model_copy(update={"stem": stem, "end": end}), n_classes)
        if variant and variant not in PUBLISHED:
            raise UnknownNameError("published network of ProxylessNAS", variant, list(PUBLISHED))
        return network_of(PUBLISHED[variant or "cifar"], n_classes)
    genotype = read_genotype(variant, "proxyless")
    assert isinstance(genotype, TreeGenotype | MobileGenotype)
    return network_of(genotype, n_classes)
