"""Grad-CAM (Selvaraju et al. 2017), for one logit as well as for many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from auditor.core.errors import UsageError


def last_convolution(model: nn.Module) -> nn.Conv2d:
    """The convolution that is defined last: the target layer, before activation and pooling.

    Raises
    ------
    UsageError
        If the network has none.
    """
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        raise UsageError(f"Grad-CAM needs a convolution; {type(model).__name__} has none.")
    return convolutions[-1]


def class_score(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The evidence a network has for a class.

    With two classes it is the logit of one class minus the other's: all that a binary decision rests on. For a network
    with a single output s this gives s for its class and -s for the other, whose own column is constant and whose map
    would otherwise be empty. With more classes it is the class's own logit.

    Parameters
    ----------
    logits : float tensor (n, n_classes)
    classes : int64 tensor (n,)

    Returns
    -------
    float tensor (n,)
    """
    own = logits.gather(1, classes[:, None])[:, 0]
    if logits.shape[1] != 2:
        return own
    return own - logits.gather(1, 1 - classes[:, None])[:, 0]


@contextmanager
def _output_of(layer: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Outputs of `layer` during the calls inside."""
    outputs: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


#: Names of activation functions, as modules and networks call them.
ACTIVATIONS = frozenset(
    ["relu", "relu_", "relu6", "hardtanh", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "mish", "hardswish"]
)


class _Activated(TorchFunctionMode):
    """Inside, remembers the last maps (n, C, h, w) that an activation function gave, a module's or a function's."""

    maps: torch.Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        # A gate over channels (squeeze and excitation) activates maps of one pixel: no place to look at.
        if getattr(func, "__name__", "") in ACTIVATIONS and out.ndim == 4 and out.shape[2:].numel() > 1:
            self.maps = out
        return out


def coarse_maps(
    model: nn.Module,
    images: torch.Tensor,
    classes: torch.Tensor,
    layer: nn.Module | None = None,
    after_activation: bool = False,
) -> torch.Tensor:
    """Grad-CAM at the resolution of the target layer.

    ``L = ReLU(sum_c w_c A_c)`` with ``w_c`` the mean over the layer's h x w of the gradient of the class's score by
    ``A_c``. Items do not influence each other; the network's mode, weights and gradients stay as they were.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    images : float tensor (n, 3, H, W)
        Prepared for the network.
    classes : int64 tensor (n,)
    layer : nn.Module, optional
        Target layer; by default `last_convolution`.
    after_activation : bool
        Take the maps that the last activation function of the pass gives (post-ReLU, in residual networks after the
        sum) in place of a layer's output.

    Returns
    -------
    float tensor (n, h, w), not negative

    Raises
    ------
    UsageError
        In training mode (BatchNorm would mix the items), if the layer is not used exactly once, if both a layer and
        `after_activation` are asked for, or if no activation function gives maps.
    """
    if model.training:
        raise UsageError("Grad-CAM needs the network in evaluation mode: call model.eval().")
    if after_activation and layer is not None:
        raise UsageError("Grad-CAM takes a layer's output or the last activation's, not both.")
    layer = layer or last_convolution(model)
    with torch.enable_grad(), _output_of(layer) as outputs, _Activated() as activated:
        # The images ask for gradients too, so that frozen weights do not cut the graph.
        score = class_score(model(images.detach().requires_grad_(True)).float(), classes).sum()
        if len(outputs) != 1 and not after_activation:
            raise UsageError(f"the target layer was used {len(outputs)} times in one pass; it must be once.")
        if after_activation and activated.maps is None:
            raise UsageError(f"{type(model).__name__} passes no maps through an activation function.")
        activation = activated.maps if after_activation and activated.maps is not None else outputs[0]
        (gradient,) = torch.autograd.grad(score, activation)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return F.relu((weights * activation).sum(dim=1)).detach()


def enlarge(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Maps (n, h, w) at `size`, bilinear, each divided by its maximum where that is above 0: float (n, *size)."""
    large = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    peak = large.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0, large / peak.clamp_min(torch.finfo(large.dtype).tiny), large)


def grad_cam(
    model: nn.Module,
    images: torch.Tensor,
    classes: torch.Tensor,
    batch: int = 200,
    layer: nn.Module | None = None,
    after_activation: bool = False,
) -> torch.Tensor:
    """Maps at the images' size, in [0, 1]: float tensor (n, H, W). Errors as `coarse_maps`."""
    parts = [
        enlarge(coarse_maps(model, x, k, layer, after_activation), (images.shape[2], images.shape[3]))
        for x, k in zip(images.split(batch), classes.split(batch), strict=True)
    ]
    return torch.cat(parts) if parts else images.new_zeros(0, *images.shape[2:])
