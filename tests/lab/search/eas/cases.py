"""Networks with settled, random statistics, and the distance between two networks' functions."""

from __future__ import annotations

import torch
from torch import nn

from auditor.lab.search.eas.space import WIDTHS
from auditor.models.eas import build
from auditor.models.genotype import DenseGenotype, PlainGenotype, PlainLayer

SIZE = 16
CLASSES = 7


def settled(genotype: PlainGenotype | DenseGenotype, seed: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A network in evaluation mode in which no BatchNorm is trivial."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(genotype, CLASSES, SIZE)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0.0, 0.5)
                module.running_mean.normal_(0.0, 0.5)
                module.running_var.uniform_(0.3, 3.0)
    return network.to(dtype).eval()


def gap(one: nn.Module, two: nn.Module, n: int = 4) -> float:
    """Largest difference of the logits on random images."""
    dtype = next(one.parameters()).dtype
    images = torch.randn(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(99), dtype=torch.float64).to(dtype)
    with torch.no_grad():
        return float((one(images) - two(images)).abs().max())


def images(n: int = 8, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Random images for measured statistics."""
    return scale * torch.randn(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5), dtype=dtype)


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain(text: str, **options: object) -> PlainGenotype:
    """``"c4k3 p m f8"`` as in the models."""
    layers = []
    for word in text.split():
        if word[0] == "c":
            width, kernel = word[1:].split("k")
            layers.append(PlainLayer(kind="conv", width=int(width), kernel=int(kernel)))
        elif word[0] == "f":
            layers.append(PlainLayer(kind="fc", width=int(word[1:])))
        else:
            layers.append(PlainLayer(kind="pool" if word == "p" else "mean"))
    return PlainGenotype(layers=tuple(layers), **options)


def random_plain(seed: int) -> PlainGenotype:
    """A random chain with or without a mean over the pixels."""
    random = draws(seed)

    def pick(values: tuple) -> object:
        return values[int(torch.randint(len(values), (1,), generator=random))]

    words = []
    for _ in range(pick((1, 2, 3))):
        words += [f"c{pick(WIDTHS['small']['conv'][:5])}k{pick((1, 3, 5))}" for _ in range(pick((1, 2)))] + ["p"]
    words += [f"c{pick(WIDTHS['small']['conv'][:5])}k3"] + ["m"] * pick((0, 1))
    words += [f"f{pick(WIDTHS['small']['fc'][:5])}" for _ in range(pick((0, 1, 2)))]
    return plain(" ".join(words))


def random_dense(seed: int) -> DenseGenotype:
    """Three blocks of one or two miniblocks."""
    random = draws(seed)
    blocks = tuple(
        tuple(2 * int(torch.randint(2, 5, (1,), generator=random)) for _ in range(1 + (seed + b) % 2)) for b in range(3)
    )
    return DenseGenotype(stem=6 + seed % 3, blocks=blocks, transitions=(5, 7))
