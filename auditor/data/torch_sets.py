"""What torch and torchvision data sets say of their items without reading them. torch is never imported here."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.data.held import array_of, is_frame, of


@dataclass(frozen=True)
class Pair:
    """``(X, y)`` that brings the names of its classes."""

    X: Any
    y: Any
    class_names: tuple[str, ...] | None


def is_torch(data: Any) -> bool:
    """A torch data set with a length, or what has the same two methods and is no sequence, array or frame."""
    if of(data, "torch", "Tensor") or isinstance(data, Mapping | Sequence | np.ndarray) or hasattr(data, "shape"):
        return False
    if of(data, "torch.utils.data", "IterableDataset") or hasattr(data, "iloc") or is_frame(data):
        return False
    return hasattr(type(data), "__getitem__") and hasattr(type(data), "__len__") and not hasattr(data, "__array__")


def _is_torchvision(data: Any) -> bool:
    """Whether what reads the items is torchvision's own; a subclass may do anything."""
    return of(data, "torchvision.datasets", "VisionDataset") and type(data).__module__.startswith("torchvision.")


def as_stored(data: Any, notes: list[str]) -> Any:
    """The data set without the transforms of torchvision; a copy that shares everything else."""
    if of(data, "torch.utils.data", "Subset"):
        inner = as_stored(data.dataset, notes)
        return data if inner is data.dataset else type(data)(inner, data.indices)
    if of(data, "torch.utils.data", "ConcatDataset"):
        return type(data)([as_stored(part, notes) for part in data.datasets])
    bare_already = getattr(data, "transform", None) is None and getattr(data, "transforms", None) is None
    if bare_already or not _is_torchvision(data):
        return data
    bare = copy.copy(data)
    bare.transform = None
    bare.transforms = None
    if data.target_transform is not None:
        bare.transforms = type(data.transforms)(None, data.target_transform)
    notes.append(f"transforms of the {type(data).__name__} are left out: its images are audited as they are stored")
    return bare


def whole_arrays(data: Any, labels: Any, classes: tuple[str, ...] | None) -> Any:
    """``(X, y)`` where a data set holds its items as two arrays."""
    if of(data, "torch.utils.data", "TensorDataset") and len(data.tensors) == 2:
        return Pair(data.tensors[0], data.tensors[1], None)
    pixels: Any = getattr(data, "data", None)
    if (
        _is_torchvision(data)
        and labels is not None
        and hasattr(pixels, "shape")
        and len(pixels) == len(data)
        and len(pixels.shape) in (3, 4)
    ):
        return Pair(pixels, labels, classes)
    return None


def targets_of(data: Any) -> tuple[Any, tuple[str, ...] | None]:
    """Labels of all items without reading these, and the class names; None where a data set does not say."""
    if of(data, "torch.utils.data", "Subset"):
        labels, classes = targets_of(data.dataset)
        return None if labels is None else np.asarray(array_of(labels))[np.asarray(data.indices)], classes
    if of(data, "torch.utils.data", "ConcatDataset"):
        parts = [targets_of(part) for part in data.datasets]
        if any(labels is None for labels, _ in parts):
            return None, None
        same = len({classes for _, classes in parts}) == 1
        return np.concatenate([np.asarray(array_of(labels)) for labels, _ in parts]), parts[0][1] if same else None
    if getattr(data, "target_transform", None) is not None or not of(data, "torchvision.datasets", "VisionDataset"):
        return None, None
    labels = next((v for key in ("targets", "labels") if (v := getattr(data, key, None)) is not None), None)
    if labels is None or not hasattr(labels, "__len__") or len(labels) != len(data) or np.ndim(array_of(labels)) != 1:
        return None, None
    names = getattr(data, "classes", None)
    known = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return labels, tuple(names) if known and names is not None else None


def files_of(data: Any) -> list[str]:
    """The files of a torchvision folder, which need not be decoded to be known."""
    if of(data, "torch.utils.data", "Subset"):
        paths = files_of(data.dataset)
        return [paths[int(k)] for k in data.indices] if paths else []
    loader = getattr(getattr(data, "loader", None), "__module__", "")
    if of(data, "torchvision.datasets", "ImageFolder") and loader.startswith("torchvision."):
        return [str(Path(path).absolute()) for path, _ in data.samples]
    return []
