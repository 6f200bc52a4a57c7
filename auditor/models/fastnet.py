"""A small convolutional network that trains in seconds to minutes.

Architecture in the style of airbench (Jordan 2024, arXiv:2404.00498), written from the description: a frozen
whitening layer, three groups of two convolutions with pooling in front of the first BatchNorm, a global
maximum and a scaled linear head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError

#: 2x2 patches of 3 channels: 12 eigenvectors and their negatives.
WHITENED = 24


def _norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with a frozen scale and quickly moving statistics (trainings last a few hundred steps)."""
    layer = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


def _group(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        _norm(outputs),
        nn.GELU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        _norm(outputs),
        nn.GELU(),
    ]


class FastNet(nn.Module):
    """Whitening, three convolution groups, linear head.

    Parameters
    ----------
    n_classes : int
    image_size : int
        Accepted for uniformity; the network is fully convolutional up to the global maximum.
    widths : three ints
        Output channels of the groups.

    Notes
    -----
    `fit_input` must be called once with training images before training; without it the first layer is random.
    """

    min_size = 16

    def __init__(self, n_classes: int, image_size: int = 32, widths: Sequence[int] = (32, 128, 128)) -> None:
        super().__init__()
        if len(widths) != 3 or min(widths) < 1:
            raise UsageError(f"fastnet: widths must be three positive numbers, not {tuple(widths)!r}.")
        self.whiten = nn.Conv2d(3, WHITENED, 2)
        self.whiten.weight.requires_grad_(False)
        channels = (WHITENED, *widths)
        self.body = nn.Sequential(*(layer for i in range(3) for layer in _group(channels[i], channels[i + 1])))
        self.head = nn.Linear(widths[-1], n_classes, bias=False)
        self.scale = 1.0 / widths[-1]
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                # Identity start: the first filters hand their input on, the rest are random.
                nn.init.dirac_(layer.weight[: layer.in_channels])
        self.head.weight /= self.head.weight.std()

    @torch.no_grad()
    def fit_input(self, images: torch.Tensor) -> None:
        """Set the whitening filters from normalised training images (n, 3, H, W).

        The filters are the eigenvectors of the uncentred 2x2x3 patch covariance, each divided by the root of
        its eigenvalue, and their negatives.
        """
        patches = F.unfold(images.float().contiguous(), 2).transpose(1, 2).reshape(-1, 12)
        # The CPU in double: 12 x 12 costs nothing, and the sign and order of eigenvectors then do not
        # depend on the accelerator's solver.
        covariance = (patches.T @ patches / len(patches)).double().cpu()
        values, vectors = torch.linalg.eigh(covariance)
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0).reshape(12, 3, 2, 2)
        self.whiten.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        features = self.body(F.gelu(self.whiten(images)))
        return self.head(features.amax((2, 3))) * self.scale
