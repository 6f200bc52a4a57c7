"""Finished networks as safetensors, with what they are in the header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from auditor.core.errors import MissingExtraError
from auditor.core.files import atomic_path
from auditor.core.reading import reading

if TYPE_CHECKING:
    from auditor.train.base import TrainingData
    from auditor.train.image_network import Fitted


def input_facts(fitted: Fitted, data: TrainingData) -> dict[str, Any]:
    """What the network must be built and fed with: classes, size of the images, mean and deviation per channel of
    pixels from 0 to 255."""
    images = fitted.loop.images
    return {
        "n_classes": data.n_classes,
        "input_size": list(fitted.size),
        "input_mean": images.mean.flatten().tolist(),
        "input_std": images.std.flatten().tolist(),
    }


def save_network(path: Path, model: nn.Module, facts: dict[str, Any]) -> None:
    """Write the state of `model`, with `facts` as JSON in the header.

    Raises
    ------
    MissingExtraError, StorageError
    """
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "torch", "keeping a pruned network") from error
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={"auditor": json.dumps(facts)})


def load_network(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """State and facts of a file of `save_network`.

    Raises
    ------
    UnreadableError
        If it is absent, damaged or not ours.
    """
    from safetensors import safe_open

    with reading(path, "a network kept by auditor") as file, safe_open(str(file), framework="pt") as handle:
        header = handle.metadata() or {}
        return {name: handle.get_tensor(name) for name in handle.keys()}, json.loads(header["auditor"])  # noqa: SIM118
