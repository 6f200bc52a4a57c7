"""NASNet (Zoph et al. 2018): networks stacked from a normal and a reduction cell, for small images; NASNet-A."""

from __future__ import annotations

import re

import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.models.base import initialise
from auditor.models.genotype import Genotype, NasnetBlock, NasnetGenotype, read_genotype
from auditor.models.nasnet_ops import DropPath, FactorisedReduction, SameConv, keep_probability, make_op, unit


def _blocks(text: str) -> tuple[NasnetBlock, ...]:
    """``"sep5x5 0 + sep3x3 1, ..."``: operation and state of the two sides of each block."""
    words = (block.replace("+", " ").split() for block in text.split(","))
    return tuple(NasnetBlock(left=(left, int(a)), right=(right, int(b))) for left, a, right, b in words)


#: The cells of NASNet-A at 6 @ 768.
NASNET_A = NasnetGenotype(
    normal=_blocks(
        "sep5x5 0 + sep3x3 1, sep5x5 1 + sep3x3 1, avg3x3 0 + identity 1, avg3x3 1 + avg3x3 1, sep3x3 0 + identity 0"
    ),
    reduction=_blocks(
        "sep5x5 0 + sep7x7 1, max3x3 0 + sep7x7 1, avg3x3 0 + sep5x5 1, identity 3 + avg3x3 2, sep3x3 2 + max3x3 0"
    ),
    normal_concat=(1, 2, 3, 4, 5, 6),
    reduction_concat=(3, 4, 5, 6),
    cells=6,
    filters=32,
)

#: (channels, halvings) of a map.
Shape = tuple[int, int]


class Cell(nn.Module):
    """One cell.

    Parameters
    ----------
    genotype : NasnetGenotype
    reduction : bool
        Its reduction cell: operations that read one of the two inputs have stride 2.
    current, previous : (channels, halvings)
        Of the two inputs; halvings counts the reductions before them.
    filters : int
    first : bool
        The first cell: its previous input is the stem's output as it is.
    """

    def __init__(
        self, genotype: NasnetGenotype, reduction: bool, current: Shape, previous: Shape, filters: int, first: bool
    ) -> None:
        super().__init__()
        blocks, concat, stride = genotype.normal, genotype.normal_concat, 1
        if reduction:
            blocks, concat, stride = genotype.reduction, genotype.reduction_concat, 2
        self.blocks, self.concat = blocks, concat
        read = {s for b in blocks for _, s in (b.left, b.right)} | set(concat)
        self.current = unit(current[0], filters) if 0 in read else nn.Identity()
        self.previous: nn.Module = nn.Identity()
        if 1 in read and not first:
            if previous[1] != current[1]:
                self.previous = FactorisedReduction(previous[0], filters)
            elif previous[0] != filters:
                self.previous = unit(previous[0], filters)
        channels = [filters, previous[0] if first or isinstance(self.previous, nn.Identity) else filters]
        self.ops = nn.ModuleList()
        self.drops = nn.ModuleList()
        for block in blocks:
            for op, state in (block.left, block.right):
                self.ops.append(make_op(op, channels[state], filters, stride if state < 2 else 1))
                self.drops.append(nn.Identity() if op == "identity" else DropPath())
            channels.append(filters * (2 if block.combine == "concat" else 1))
        self.fits = nn.ModuleList()
        width = 0
        for state in concat:
            match = state >= 2 or channels[state] == filters
            fit = [] if match else [SameConv(channels[state], filters, (1, 1)), nn.BatchNorm2d(filters)]
            self.fits.append(nn.Sequential(*fit))
            width += channels[state] if match else filters
        self.channels = width

    def forward(self, current: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """Output of the cell; both inputs as the cells before gave them."""
        states = [self.current(current), self.previous(previous)]
        steps = zip(self.ops, self.drops, strict=True)
        for block in self.blocks:
            sides = []
            for _, state in (block.left, block.right):
                op, drop = next(steps)
                sides.append(drop(op(states[state])))
            states.append(torch.cat(sides, 1) if block.combine == "concat" else sides[0] + sides[1])
        return torch.cat([fit(states[s]) for s, fit in zip(self.concat, self.fits, strict=True)], 1)


#: Sizes of images at which the auxiliary head's last convolution covers its whole map.
AUXILIARY_SIZES = (27, 32)


def check_auxiliary(auxiliary: bool, image_size: int) -> None:
    """Raises `UsageError` for images that an auxiliary head, where one is wanted, does not fit."""
    if auxiliary and image_size > AUXILIARY_SIZES[1]:
        raise UsageError(
            f"NASNet's auxiliary head is for images of at most {AUXILIARY_SIZES[1]} px; these have {image_size} px.",
            "Train at a smaller size, or by another budget than paper.",
        )


class AuxiliaryHead(nn.Module):
    """Second classifier, for training only; 1,631,498 parameters in NASNet-A 6 @ 768."""

    #: `auditor.models.counter` leaves its parameters out.
    training_only = True

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, 3),
            SameConv(channels, 128, (1, 1)),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 4, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, n_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.steps(x)


class NasnetNetwork(nn.Module):
    """Stem of 3 F0 channels; N normal cells, a reduction, N normal, a reduction, N normal; ReLU, mean, linear.

    Parameters
    ----------
    genotype : NasnetGenotype
    n_classes : int
    auxiliary : bool
        Build the auxiliary head, for images of `AUXILIARY_SIZES`. In training mode its logits lie in
        `auxiliary_logits` after each pass.
    final_keep : float
        ScheduledDropPath: probability of keeping an operation of the last cell at the end of the training; 1 for none.
        `set_progress` moves the schedule.
    """

    min_size = 8

    def __init__(
        self, genotype: NasnetGenotype, n_classes: int, auxiliary: bool = False, final_keep: float = 1.0
    ) -> None:
        super().__init__()
        n, filters = genotype.cells, genotype.filters
        self.genotype, self.final_keep = genotype, final_keep
        if auxiliary:
            self.min_size = AUXILIARY_SIZES[0]
        self.stem = nn.Sequential(SameConv(3, 3 * filters, (3, 3)), nn.BatchNorm2d(3 * filters))
        self.cells = nn.ModuleList()
        shapes, halvings, middle = [(3 * filters, 0)], 0, 0
        for stack in range(3):
            for reduction in ([True] if stack else []) + [False] * n:
                previous, first = shapes[max(0, len(shapes) - 2)], len(shapes) == 1
                cell = Cell(genotype, reduction, shapes[-1], previous, filters << stack, first)
                halvings += reduction
                self.cells.append(cell)
                shapes.append((cell.channels, halvings))
            middle = len(self.cells) if stack == 1 else middle
        self.middle = middle - 1
        self.head = nn.Linear(shapes[-1][0], n_classes)
        self.auxiliary = AuxiliaryHead(shapes[middle][0], n_classes) if auxiliary else None
        self.auxiliary_logits: torch.Tensor | None = None
        initialise(self, "out of a group")

    def set_progress(self, share: float) -> None:
        """Set every drop path to the schedule's value at a share of the training."""
        for number, cell in enumerate(self.cells):
            keep = keep_probability(number, len(self.cells), share, self.final_keep)
            for module in cell.modules():
                if isinstance(module, DropPath):
                    module.keep = keep

    def states(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Output of the stem and of every cell."""
        states = [self.stem(images)]
        for cell in self.cells:
            states.append(cell(states[-1], states[max(0, len(states) - 2)]))
        return states

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        states = self.states(images)
        if self.auxiliary is not None and self.training:
            self.auxiliary_logits = self.auxiliary(states[self.middle + 1])
        return self.head(torch.relu(states[-1]).mean((2, 3)))


def nasnet_a(
    n_classes: int, image_size: int = 32, variant: str = "n6-f32", auxiliary: bool = False, final_keep: float = 1.0
) -> NasnetNetwork:
    """NASNet-A; `variant` ``n6-f32`` is 6 @ 768: 3,346,538 parameters at 10 classes, 4,978,036 with the auxiliary head.

    Raises
    ------
    UsageError
        For a variant of another form, or images too large for the auxiliary head.
    """
    size = re.fullmatch(r"n([1-9]\d?)-f([1-9]\d{0,2})", variant)
    if size is None:
        raise UsageError(f"nasnet_a has no variant {variant!r}.", "Write nasnet_a:n6-f32 for N = 6 and F0 = 32.")
    check_auxiliary(auxiliary, image_size)
    genotype = NASNET_A.model_copy(update={"cells": int(size[1]), "filters": int(size[2])})
    return NasnetNetwork(genotype, n_classes, auxiliary, final_keep)


def nasnet(
    n_classes: int, image_size: int = 32, variant: str | Genotype = "", auxiliary: bool = False, final_keep: float = 1.0
) -> NasnetNetwork:
    """Network of a genotype file of ``auditor search nasnet``; NASNet-A with N = 2 and F0 = 8 without one.

    Raises
    ------
    UnreadableError, UsageError
    """
    check_auxiliary(auxiliary, image_size)
    small = NASNET_A.model_copy(update={"cells": 2, "filters": 8})
    genotype = read_genotype(variant, "nasnet") if variant else small
    assert isinstance(genotype, NasnetGenotype)
    return NasnetNetwork(genotype, n_classes, auxiliary, final_keep)
