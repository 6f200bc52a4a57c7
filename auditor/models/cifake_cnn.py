"""The CNN family of CIFAKE (Bird and Lotfi 2024): convolution blocks, dense layers, one logit for two classes.

What the paper says of its grid is "36 topologies"; how a block looks is not known from it. The block here is
``Conv2d(3x3, same) -> ReLU -> MaxPool2d(2)``, repeated at one width, then dense layers with ReLU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import nn

from auditor.core.errors import UnknownNameError, UsageError

#: Stage 1 of the grid: 12 feature extractors.
FILTERS = (16, 32, 64, 128)
CONVOLUTIONS = (1, 2, 3)
#: Stage 2: 24 dense heads on the best extractor.
NEURONS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
DENSE = (1, 2, 3)
#: (neurons, layers) of the one head all extractors of stage 1 get. Not one of stage 2's, so that the 36 networks of
#: a grid are distinct.
FIRST_HEAD = (16, 1)

_NAME = re.compile(r"f(\d+)-c(\d+)-d(\d+)-n(\d+)")


@dataclass(frozen=True)
class Topology:
    """One network of the family.

    Attributes
    ----------
    filters, convolutions : int
        Filters of every convolution, and how many convolutions there are; each halves height and width.
    neurons, dense : int
        Neurons of every dense layer, and how many there are before the output layer.
    """

    filters: int
    convolutions: int
    neurons: int
    dense: int

    def __post_init__(self) -> None:
        if min(self.filters, self.convolutions, self.neurons, self.dense) < 1:
            raise UsageError(f"topology {self.name!r}: every number must be at least 1.")

    @property
    def name(self) -> str:
        """E.g. ``"f32-c2-d64-n1"``: 32 filters, 2 convolutions, 64 neurons, 1 dense layer."""
        return f"f{self.filters}-c{self.convolutions}-d{self.neurons}-n{self.dense}"

    @property
    def network(self) -> str:
        """Name for `auditor.models.registry.build_model`, e.g. ``"cifake_cnn:f32-c2-d64-n1"``."""
        return f"cifake_cnn:{self.name}"

    @classmethod
    def parse(cls, name: str) -> Topology:
        """Read `name`.

        Raises
        ------
        UnknownNameError
            If it has another form.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise UnknownNameError("topology", name, ["f32-c2-d64-n1 and the like"], ["f32-c2-d64-n1"])
        return cls(*(int(number) for number in match.groups()))

    def flat(self, image_size: int = 32) -> int:
        """Length of the vector between convolutions and dense layers: ``filters x (image_size / 2^convolutions)^2``."""
        return self.filters * (image_size >> self.convolutions) ** 2

    def parameters(self, n_classes: int = 2, image_size: int = 32) -> int:
        """Number of parameters, by formula."""
        convolutions = 9 * 3 * self.filters + self.filters
        convolutions += (self.convolutions - 1) * (9 * self.filters**2 + self.filters)
        dense = self.flat(image_size) * self.neurons + self.neurons
        dense += (self.dense - 1) * (self.neurons**2 + self.neurons)
        outputs = _outputs(n_classes)
        return convolutions + dense + self.neurons * outputs + outputs

    def macs(self, n_classes: int = 2, image_size: int = 32) -> int:
        """Multiply-accumulates of one image, by formula."""
        sides = [image_size >> k for k in range(self.convolutions)]
        convolutions = 9 * self.filters * (3 * sides[0] ** 2 + self.filters * sum(side**2 for side in sides[1:]))
        dense = self.flat(image_size) * self.neurons + (self.dense - 1) * self.neurons**2
        return convolutions + dense + self.neurons * _outputs(n_classes)


def _outputs(n_classes: int) -> int:
    return 1 if n_classes == 2 else n_classes


def extractors() -> tuple[Topology, ...]:
    """Stage 1 of the grid: 12 feature extractors with the same small head."""
    return tuple(Topology(f, c, *FIRST_HEAD) for f in FILTERS for c in CONVOLUTIONS)


def heads(extractor: Topology) -> tuple[Topology, ...]:
    """Stage 2 of the grid: 24 dense heads on the filters and convolutions of `extractor`."""
    return tuple(Topology(extractor.filters, extractor.convolutions, d, n) for d in NEURONS for n in DENSE)


class CifakeCnn(nn.Module):
    """One topology.

    With two classes the network has a single output s, the logit of class 0 (FAKE in ``cifake``), and returns
    (s, 0): the softmax of that is the sigmoid of s, and its cross-entropy is the binary cross-entropy with logits.
    Only the *difference* of the two columns has a meaning, and class 1 in particular has no logit of its own: its
    evidence is -s.

    Parameters
    ----------
    topology : Topology
    n_classes : int
    image_size : int
        Height and width of the images; the dense layers fix it.
    """

    def __init__(self, topology: Topology, n_classes: int, image_size: int = 32) -> None:
        super().__init__()
        if image_size >> topology.convolutions < 1:
            raise UsageError(
                f"topology {topology.name!r} halves the image {topology.convolutions} times; "
                f"{image_size} px are too few."
            )
        self.topology = topology
        self.min_size = image_size
        blocks: list[nn.Module] = []
        inputs = 3
        for _ in range(topology.convolutions):
            # ReLU and maximum change places without changing a value; a quarter of the ReLU's work, 2.4 times as fast.
            blocks += [nn.Conv2d(inputs, topology.filters, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
            inputs = topology.filters
        self.features = nn.Sequential(*blocks)
        layers: list[nn.Module] = []
        length = topology.flat(image_size)
        for _ in range(topology.dense):
            layers += [nn.Linear(length, topology.neurons), nn.ReLU()]
            length = topology.neurons
        self.head = nn.Sequential(*layers, nn.Linear(length, _outputs(n_classes)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, image_size, image_size)."""
        if images.shape[2:] != (self.min_size, self.min_size):
            raise UsageError(
                f"network {self.topology.network!r} was built for images of {self.min_size}x{self.min_size} px, "
                f"not {images.shape[2]}x{images.shape[3]}.",
                "Its dense layers need one square size; take another network (auditor models).",
            )
        out = self.head(self.features(images).flatten(1))
        return torch.cat([out, torch.zeros_like(out)], dim=1) if out.shape[1] == 1 else out


def cifake_cnn(n_classes: int, image_size: int = 32, variant: str = "f32-c2-d64-n1") -> CifakeCnn:
    """Factory for the registry; `variant` is a topology's name."""
    return CifakeCnn(Topology.parse(variant), n_classes, image_size)
