"""Networks of torchvision and timm by their names there, and how their images must look. Nothing is downloaded."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from auditor.core.errors import UnknownNameError, UsageError, require


def _known_to_torchvision(variant: str) -> Any:
    require("torchvision", "torch", f"the network 'torchvision:{variant}'")
    from torchvision import models

    if variant not in (known := models.list_models(module=models)):
        raise UnknownNameError("torchvision model", variant, known)
    return models


def torchvision_network(n_classes: int, image_size: int = 224, variant: str = "") -> nn.Module:
    """The classification network that torchvision calls `variant`, untrained; built for the images it has there.

    Raises
    ------
    UnknownNameError, MissingExtraError
    """
    models = _known_to_torchvision(variant)
    # These draw their initial weights for minutes.
    quick = {"init_weights": False} if variant in ("inception_v3", "googlenet") else {}
    network: nn.Module = models.get_model(variant, weights=None, num_classes=n_classes, **quick)
    return network


def _known_to_timm(variant: str) -> Any:
    require("timm", "timm", f"the network 'timm:{variant}'")
    import timm

    if variant.partition(".")[0] not in (known := timm.list_models()):
        raise UnknownNameError("timm model", variant, known)
    return timm


def timm_network(n_classes: int, image_size: int = 224, variant: str = "") -> nn.Module:
    """The network that timm calls `variant`, untrained. Errors as `torchvision_network`."""
    network: nn.Module = _known_to_timm(variant).create_model(variant, pretrained=False, num_classes=n_classes)
    return network


def library_input(network: str, identity: str) -> dict[str, Any]:
    """How images of a library's network must look: ``mean, std, size, source`` of torchvision's own weights, told by
    the hash that the names of their files hold; ``mean, std, size`` that timm lists. Empty for other files.

    Parameters
    ----------
    network : str
        ``torchvision:NAME`` or ``timm:NAME``.
    identity : str
        ``sha256:<hex>`` of the file of its weights.

    Raises
    ------
    UsageError, UnknownNameError, MissingExtraError
    """
    library, _, variant = network.partition(":")
    if not variant:
        raise UsageError(f"{network!r} names no network.", f"Write {library}:resnet18@FILE.")
    if library == "timm":
        _known_to_timm(variant)
        from timm.models import get_pretrained_cfg

        config = get_pretrained_cfg(variant)
        if config is None:
            return {}
        row = config.to_dict()  # whether the file is timm's own cannot be told: no source is claimed
        return {"mean": row["mean"], "std": row["std"], "size": row["input_size"][-1]}
    models = _known_to_torchvision(variant)
    for weights in models.get_model_weights(variant):
        begins = re.search(r"-([0-9a-f]{8,})\.\w+$", str(weights.url))
        if begins and identity.startswith(f"sha256:{begins[1]}"):
            preset = weights.transforms()
            told = {"mean": preset.mean, "std": preset.std, "size": preset.crop_size[0]}
            return {**told, "source": weights.url}
    return {}
