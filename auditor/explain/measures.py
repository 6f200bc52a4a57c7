"""How much a map explains: where its mass lies, and what happens when the pixels it points at go or come.

Every measure of a map is taken of a control too: the same map with its coarse cells shuffled. That keeps the values and
their smoothness and destroys the place, so what is left of an effect in the control has nothing to do with where the
network looked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from auditor.core.errors import DataError
from auditor.core.seeds import derive_seed
from auditor.explain.gradcam import class_score


def centre_mask(size: tuple[int, int], side: float = 0.5) -> np.ndarray:
    """The middle rectangle with `side` of height and width (a quarter of the area at one half), bool (H, W)."""
    if not 0 < side < 1:
        raise DataError(f"the centre's side is {side}; it must lie between 0 and 1.")
    mask = np.zeros(size, bool)
    height, width = (round(side * s) for s in size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    mask[top : top + height, left : left + width] = True
    return mask


def centre_share(maps: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Share of each map's mass inside the mask, float64 (n,); NaN for an empty map.

    An indifferent map has ``mask.mean()``.
    """
    maps = np.asarray(maps, np.float64)
    total = maps.sum(axis=(1, 2))
    inside = maps[:, mask].sum(axis=1)
    return np.divide(inside, total, out=np.full(len(maps), np.nan), where=total > 0)


def shuffled(coarse: torch.Tensor, seed: int) -> torch.Tensor:
    """Each coarse map (n, h, w) with its cells in a random order of its own."""
    random = torch.Generator().manual_seed(derive_seed(seed, "shuffled"))
    flat = coarse.reshape(len(coarse), -1)
    order = torch.rand(flat.shape, generator=random).argsort(dim=1)
    return flat.gather(1, order).reshape(coarse.shape)


@dataclass(frozen=True)
class Curves:
    """Probability of the class against the share of pixels changed, most important first.

    Attributes
    ----------
    share : float64 array (steps + 1,)
        From 0 to 1.
    deletion, insertion : float64 arrays (n, steps + 1)
        Deletion greys pixels of the image (channel means of the training images); insertion puts them onto a grey
        picture. A map that points at what matters makes the first fall early and the second rise early.
    """

    share: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    def areas(self) -> tuple[np.ndarray, np.ndarray]:
        """Area under each item's deletion and insertion curve, in [0, 1]: two float64 arrays (n,)."""
        return np.trapezoid(self.deletion, self.share, axis=1), np.trapezoid(self.insertion, self.share, axis=1)


def curves(
    model: nn.Module, images: torch.Tensor, classes: torch.Tensor, maps: torch.Tensor, steps: int = 16, seed: int = 0
) -> Curves:
    """Deletion and insertion curves of maps.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    images : float tensor (n, 3, H, W)
        Normalised: 0 is the training images' mean.
    classes : int64 tensor (n,)
        Whose probability is followed.
    maps : float tensor (n, H, W)
    steps : int
    seed : int
        Equal map values (large flat parts) are ordered at random.
    """
    n, pixels = len(images), maps.shape[1] * maps.shape[2]
    if steps < 1 or maps.shape[1:] != images.shape[2:]:
        raise DataError(f"maps of {tuple(maps.shape[1:])} do not fit images of {tuple(images.shape[2:])}.")
    random = torch.Generator().manual_seed(derive_seed(seed, "ties"))
    ties = torch.rand((n, pixels), generator=random).argsort(dim=1)
    values = maps.reshape(n, pixels).gather(1, ties)
    order = ties.gather(1, values.argsort(dim=1, descending=True, stable=True))
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(pixels).expand(n, pixels))
    rank = rank.reshape(n, 1, *maps.shape[1:])
    share = np.linspace(0, 1, steps + 1)
    deletion, insertion = [], []
    for part in share:
        gone = rank < round(float(part) * pixels)
        deletion.append(_probability(model, images.masked_fill(gone, 0.0), classes))
        insertion.append(_probability(model, images.masked_fill(~gone, 0.0), classes))
    return Curves(share, np.stack(deletion, axis=1), np.stack(insertion, axis=1))


def occlusion(model: nn.Module, images: torch.Tensor, classes: torch.Tensor, mask: np.ndarray) -> np.ndarray:
    """Probability of the class with the masked pixels greyed, float64 (n,). Needs no map."""
    return _probability(model, images.masked_fill(torch.from_numpy(mask)[None, None], 0.0), classes)


def _probability(model: nn.Module, images: torch.Tensor, classes: torch.Tensor, batch: int = 500) -> np.ndarray:
    parts = []
    with torch.no_grad():
        for x, k in zip(images.split(batch), classes.split(batch), strict=True):
            logits = model(x).double()
            two = logits.shape[1] == 2
            parts.append(class_score(logits, k).sigmoid() if two else logits.softmax(1).gather(1, k[:, None])[:, 0])
    return torch.cat(parts).numpy() if parts else np.empty(0)
