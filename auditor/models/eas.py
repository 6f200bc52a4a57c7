"""Networks of EAS (Cai et al. 2018): plain convolutional networks and DenseNets of any width per layer."""

from __future__ import annotations

import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.models.base import initialise
from auditor.models.genotype import DenseGenotype, Genotype, PlainGenotype, PlainLayer, read_genotype


def _plain(text: str) -> PlainGenotype:
    """``"c4k3 p m f8"``: convolution, pool, mean over pixels, fully connected."""
    layers = []
    for word in text.split():
        width, _, kernel = word[1:].partition("k")
        kind = {"c": "conv", "p": "pool", "m": "mean", "f": "fc"}[word[0]]
        layers.append(PlainLayer.model_validate({"kind": kind, "width": width or 0, "kernel": kernel or 0}))
    return PlainGenotype(layers=tuple(layers))


#: The small start networks of the authors' repository, and those the paper's searches start from: plain
#: C16-P-C32-P-C64-P-C128-P4-FC256, and DenseNet-BC with 40 layers and growth 40.
SMALL_PLAIN = _plain("c4k3 p c4k3 p c4k3 p c4k3 m f8")
PAPER_PLAIN = _plain("c16k3 p c32k3 p c64k3 p c128k3 m f256")
SMALL_DENSE = DenseGenotype(stem=8, blocks=((4,), (4,), (4,)), transitions=(6, 5))
PAPER_DENSE = DenseGenotype(stem=80, blocks=((40,) * 6,) * 3, transitions=(160, 200))

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


class PlainUnit(nn.Module):
    """Convolution or fully connected layer, BatchNorm, activation."""

    def __init__(self, weight: nn.Conv2d | nn.Linear, activation: str) -> None:
        super().__init__()
        self.weight = weight
        norm = nn.BatchNorm2d if isinstance(weight, nn.Conv2d) else nn.BatchNorm1d
        self.norm = norm(len(weight.weight))
        self.activation = _ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.norm(self.weight(x)))


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class PlainNetwork(nn.Module):
    """The layers of a genotype and a linear classifier.

    Parameters
    ----------
    genotype : PlainGenotype
    n_classes : int
    image_size : int
        Needed where a fully connected layer follows without a mean over the pixels.
    """

    def __init__(self, genotype: PlainGenotype, n_classes: int, image_size: int) -> None:
        super().__init__()
        self.genotype, self.image_size = genotype, image_size
        # Without a mean over the pixels the first fully connected layer fits this image size only.
        averaged = any(layer.kind == "mean" for layer in genotype.layers)
        self.min_size = 2 ** sum(layer.kind == "pool" for layer in genotype.layers) if averaged else image_size
        self.layers = nn.ModuleList()
        inputs, side = 3, image_size
        for layer in genotype.layers:
            if layer.kind == "conv":
                conv = nn.Conv2d(inputs, layer.width, layer.kernel, padding=layer.kernel // 2, bias=False)
                self.layers.append(PlainUnit(conv, genotype.activation))
                inputs = layer.width
            elif layer.kind == "pool":
                self.layers.append(nn.Sequential(nn.MaxPool2d(2), nn.Dropout(genotype.dropout)))
                side //= 2
            elif layer.kind == "mean":
                self.layers.append(_Mean())
                side = 1
            else:
                linear = nn.Linear(inputs * side * side, layer.width, bias=False)
                self.layers.append(PlainUnit(linear, genotype.activation))
                inputs, side = layer.width, 1
        self.head = nn.Linear(inputs * side * side, n_classes)
        initialise(self, "out of a group")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        x = images
        for layer in self.layers:
            if isinstance(layer, PlainUnit) and isinstance(layer.weight, nn.Linear):
                x = x.flatten(1)
            x = layer(x)
        return self.head(x.flatten(1))


class Miniblock(nn.Module):
    """BatchNorm, ReLU, 1x1 to four times the growth, BatchNorm, ReLU, 3x3 to the growth; joined to the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.squeeze = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.inner_norm = nn.BatchNorm2d(4 * growth)
        self.grow = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.squeeze(torch.relu(self.norm(x)))
        return torch.cat([x, self.grow(torch.relu(self.inner_norm(inner)))], 1)


class Transition(nn.Module):
    """BatchNorm, ReLU, 1x1, mean of 2x2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.squeeze = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(self.squeeze(torch.relu(self.norm(x))), 2)


class DenseNetwork(nn.Module):
    """Stem, blocks of miniblocks with transitions between them, BatchNorm, ReLU, mean, linear."""

    min_size = 4

    def __init__(self, genotype: DenseGenotype, n_classes: int) -> None:
        super().__init__()
        self.genotype = genotype
        self.stem = nn.Conv2d(3, genotype.stem, 3, padding=1, bias=False)
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        channels = genotype.stem
        for number, growths in enumerate(genotype.blocks):
            block = nn.ModuleList()
            for growth in growths:
                block.append(Miniblock(channels, growth))
                channels += growth
            self.blocks.append(block)
            if number < len(genotype.transitions):
                self.transitions.append(Transition(channels, genotype.transitions[number]))
                channels = genotype.transitions[number]
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, n_classes)
        initialise(self, "out of a group")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        x = self.stem(images)
        for number, block in enumerate(self.blocks):
            for miniblock in block:  # type: ignore[attr-defined]
                x = miniblock(x)
            if number < len(self.transitions):
                x = self.transitions[number](x)
        return self.head(torch.relu(self.norm(x)).mean((2, 3)))


def build(genotype: PlainGenotype | DenseGenotype, n_classes: int, image_size: int = 32) -> PlainNetwork | DenseNetwork:
    """Untrained network of a genotype."""
    if isinstance(genotype, DenseGenotype):
        return DenseNetwork(genotype, n_classes)
    return PlainNetwork(genotype, n_classes, image_size)


def eas(n_classes: int, image_size: int = 32, variant: str | Genotype = "") -> nn.Module:
    """Network of a genotype file of ``auditor search eas``, or a start network: ``start`` (the default) and
    ``start-dense``, the small ones of the authors' repository, ``start-paper`` and ``start-dense-paper``.

    Raises
    ------
    UnreadableError, UsageError
    """
    plain = {"": SMALL_PLAIN, "start": SMALL_PLAIN, "start-paper": PAPER_PLAIN}
    dense = {"start-dense": SMALL_DENSE, "start-dense-paper": PAPER_DENSE}
    named = plain.get(variant) or dense.get(variant) if isinstance(variant, str) else None
    genotype = named or read_genotype(variant, "eas")
    if not isinstance(genotype, PlainGenotype | DenseGenotype):
        raise UsageError(f"{variant!r} is no network of EAS.")
    return build(genotype, n_classes, image_size)
