"""Networks that can predict: kept by a run, as they were after their last step, or with the weights of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.core.errors import RunError, UnreadableError
from auditor.core.files import load_npz, read_sealed
from auditor.core.hashing import hash_file
from auditor.core.reading import parsing
from auditor.models.registry import build_model, kept_name, stored_name
from auditor.models.weights import LARGEST_SIDE, Weights, read_state
from auditor.train.base import FitResult
from auditor.train.batches import by_channel, normalised
from auditor.train.loop import PREDICT_PIXELS
from auditor.train.results import WEIGHTS, weights_path

#: Outputs of a network that is only built to see which of its tensors have as many rows.
_PROBE = 1009


@dataclass(frozen=True)
class KeptNetwork:
    """A trained network with its own normalisation, on the CPU, in evaluation mode and float32.

    Attributes
    ----------
    task : str
        The fit it comes from, or its name.
    model : nn.Module
    mean, std : float tensors (1, 3, 1, 1)
        Per channel, of pixels from 0 to 255 of its training images.
    size : (height, width)
        What images are resized to.
    n_classes : int
    network : str
        Its architecture, e.g. ``"resnet56"``.
    facts : mapping
        Where it comes from, as JSON values.
    """

    task: str
    model: nn.Module
    mean: torch.Tensor
    std: torch.Tensor
    size: tuple[int, int]
    n_classes: int
    network: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def images(self, features: np.ndarray) -> torch.Tensor:
        """uint8 images (n, H, W, 3) as the network sees them, float32 (n, 3, *size)."""
        return normalised(torch.from_numpy(np.array(features, order="C")), self.size, self.mean, self.std)

    def logits(self, images: torch.Tensor, batch: int = 500) -> torch.Tensor:
        """Logits (n, n_classes) of prepared images, without gradients."""
        with torch.no_grad():
            return torch.cat([self.model(part).float() for part in images.split(batch)])

    def on(self, device: str) -> KeptNetwork:
        """The same network on a device."""
        return replace(self, model=self.model.to(device), mean=self.mean.to(device), std=self.std.to(device))

    def probabilities(self, features: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Probabilities, float32 (m, n_classes), of uint8 images (n, H, W, 3), or of some `rows` of them: one look at
        each image, a batch in memory at a time."""
        rows = np.arange(len(features)) if rows is None else rows
        step = max(1, PREDICT_PIXELS // (self.size[0] * self.size[1]))
        parts = [np.zeros((0, self.n_classes), np.float32)]
        for start in range(0, len(rows), step):
            pixels = torch.from_numpy(np.ascontiguousarray(features[rows[start : start + step]])).to(self.mean.device)
            logits = self.logits(normalised(pixels, self.size, self.mean, self.std))
            parts.append(logits.double().softmax(1).float().cpu().numpy())
        return np.concatenate(parts)


def keep(
    result: FitResult,
    model: nn.Module,
    network: str,
    n_classes: int,
    size: tuple[int, int],
    mean: torch.Tensor,
    std: torch.Tensor,
    options: Mapping[str, Any],
    image_size: int,
) -> FitResult:
    """A result with the weights of its network, and in its details how `load_kept` rebuilds it.

    Parameters
    ----------
    result : FitResult
    model : nn.Module
    network : str
        By name.
    n_classes : int
    size : (height, width)
    mean, std : float tensors (1, 3, 1, 1)
    options : mapping
        Of `build_model`.
    image_size : int
        Side the network was built for.
    """
    rebuild = {"network": stored_name(network), "options": dict(options), "n_classes": n_classes}
    rebuild |= {"image_size": image_size, "size": list(size)}
    weights = {f"model.{name}": value.cpu().numpy() for name, value in model.state_dict().items()}
    weights |= {"input.mean": mean.numpy(), "input.std": std.numpy()}
    return replace(result, weights=weights, details={**result.details, "rebuild": rebuild})


def kept_tasks(folder: Path) -> list[str]:
    """Names of the fits in a tasks folder (``tasks`` of a run) that kept their network, sorted."""
    tasks = (p.name.removesuffix(WEIGHTS) for p in (Path(folder) / "results").glob(f"*{WEIGHTS}"))
    return sorted(name for name in tasks if (Path(folder) / "results" / f"{name}.json").is_file())


def load_kept(folder: Path, task: str) -> KeptNetwork:
    """The network of one fit.

    Parameters
    ----------
    folder : Path
        Tasks folder of a run.
    task : str

    Raises
    ------
    RunError
        If the fit kept none, or its weights do not fit the network it names.
    UnreadableError
        If a file is damaged.
    """
    results = Path(folder) / "results"
    path = weights_path(results, task)
    if not path.is_file():
        raise RunError(
            f"the fit {task!r} in {str(folder)!r} kept no network.",
            "Networks are kept by image models since they can be explained; repeat the run in another folder (--out).",
        )
    arrays, described = load_npz(path), read_sealed(results / f"{task}.json")
    if described.get("weights") not in (None, hash_file(path)):
        raise UnreadableError(f"{str(path)!r} is damaged.", "Restore it from a copy.")
    try:
        spec = described["details"]["rebuild"]
        name = kept_name(spec["network"])
        model = build_model(name, spec["n_classes"], spec["image_size"], 0, **spec["options"])
        state = {k.removeprefix("model."): torch.from_numpy(v) for k, v in arrays.items() if k.startswith("model.")}
        model.load_state_dict(state)
        mean, std = torch.from_numpy(arrays["input.mean"]), torch.from_numpy(arrays["input.std"])
        height, width = map(int, spec["size"])
        if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
            raise ValueError(f"images of {height} x {width} pixels")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise RunError(
            f"the network of the fit {task!r} cannot be rebuilt: {error}.", "Repeat the run in another folder (--out)."
        ) from error
    facts = {"fit": task, "file": str(path.absolute()), "sha256": hash_file(path)}
    return KeptNetwork(task, model.eval(), mean, std, (height, width), int(spec["n_classes"]), name, facts)


def published_network(weights: Weights) -> KeptNetwork:
    """The network of `weights`, with what its file holds.

    Raises
    ------
    UnreadableError
        If the file is absent, damaged, or holds the weights of another network.
    UnsafeFileError
        If it holds anything but tensors.
    UnknownNameError, MissingExtraError
        As `build_model`.
    """
    path = Path(weights.file)
    probe = build_model(weights.network, _PROBE, weights.size, 0)
    own_name = getattr(probe, "own_name", str)
    state = {own_name(name): value for name, value in read_state(path).items()}
    shapes = {name: tuple(value.shape) for name, value in probe.state_dict().items()}
    outputs = {len(state[name]) for name, shape in shapes.items() if shape[:1] == (_PROBE,) and name in state}
    rows = outputs.pop() if len(outputs) == 1 else 0
    wanted = {name: tuple(rows if n == _PROBE else n for n in shape) for name, shape in shapes.items()}
    if problems := _differences(wanted, state):
        told = "; ".join(problems)
        raise UnreadableError(
            f"{str(path)!r} does not hold the weights of {weights.network!r}: {told}.",
            "Name the network they were saved from, and its variant: auditor models.",
        )
    n_classes = max(2, rows)  # one output tells two classes apart
    model = build_model(weights.network, n_classes, weights.size, 0)
    with parsing(path, f"weights of {weights.network}"):
        model.load_state_dict(state, strict=False)
    if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
        raise UnreadableError(f"{str(path)!r} holds weights that are no finite numbers.", "Fetch it again.")
    mean, std = by_channel(weights.mean), by_channel(weights.std)
    size = (weights.size, weights.size)
    return KeptNetwork(weights.name, model.eval(), mean, std, size, n_classes, weights.network, weights.facts())


def _differences(wanted: Mapping[str, tuple[int, ...]], state: Mapping[str, torch.Tensor]) -> list[str]:
    """How names and shapes of tensors differ from those of a network; counts of batches may be missing."""
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in wanted]
    shared = [name for name in wanted if name in state]
    other = [name for name in shared if tuple(state[name].shape) != wanted[name]]
    problems = [
        f"{len(names)} {what}, e.g. {names[0]!r}"
        for names, what in ((missing, "tensor(s) missing"), (unknown, "tensor(s) that it has not"))
        if names
    ]
    if other:
        theirs, ours = (" x ".join(map(str, shape)) for shape in (state[other[0]].shape, wanted[other[0]]))
        problems.append(f"{len(other)} of another shape, e.g. {other[0]!r} with {theirs} instead of {ours}")
    return problems
