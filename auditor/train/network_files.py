"""Finished networks as safetensors files, with what they are in the header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from auditor.core.errors import MissingExtraError
from auditor.core.files import atomic_path
from auditor.core.reading import reading
from auditor.models.registry import GENOTYPES, split_variant, stored_name

if TYPE_CHECKING:
    from auditor.train.base import TrainingData
    from auditor.train.image_network import Fitted

#: What such a file is read as.
FORM = "a network kept by auditor"


def input_facts(fitted: Fitted, data: TrainingData) -> dict[str, Any]:
    """What the network must be built and fed with: ``rebuild`` as `auditor.train.networks` reads it, classes, size of
    the images, mean and deviation per channel of pixels from 0 to 255."""
    images, trainer = fitted.loop.images, fitted.trainer
    base, variant = split_variant(trainer.network)
    rebuild: dict[str, Any] = {"network": stored_name(trainer.network), "options": trainer.training.model_options()}
    rebuild["image_size"] = trainer._image_size(images)
    if base in GENOTYPES and variant.endswith(".json"):  # the file of the genotype may be gone one day
        genotype: Any = getattr(fitted.model, "backbone", fitted.model).genotype
        rebuild |= {"network": base, "genotype": genotype.model_dump(mode="json")}
    if (wrapping := cast(Any, getattr(fitted.model, "wrapping", None))) is not None:
        rebuild["wrapper"] = list(wrapping())
    return {
        "rebuild": rebuild,
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
        raise MissingExtraError("safetensors", "torch", "keeping a network") from error
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

    with reading(path, FORM) as file, safe_open(str(file), framework="pt") as handle:
        header = handle.metadata() or {}
        return {name: handle.get_tensor(name) for name in handle.keys()}, json.loads(header["auditor"])  # noqa: SIM118
