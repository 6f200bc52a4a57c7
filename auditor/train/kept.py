"""Networks that a run kept: rebuilt from its folder, as they were after their last step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from auditor.core.errors import RunError, UnreadableError
from auditor.core.files import load_npz, read_sealed
from auditor.core.hashing import hash_file
from auditor.models.registry import build_model
from auditor.train.batches import normalised
from auditor.train.results import weights_path

#: Height and width of images that a network takes.
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class KeptNetwork:
    """A trained network with its own normalisation, on the CPU, in evaluation mode and float32.

    Attributes
    ----------
    task : str
        The fit it comes from.
    model : nn.Module
    mean, std : float tensors (1, 3, 1, 1)
        Per channel, of its training images.
    size : (height, width)
        What images are resized to.
    n_classes : int
    """

    task: str
    model: nn.Module
    mean: torch.Tensor
    std: torch.Tensor
    size: tuple[int, int]
    n_classes: int

    def images(self, features: np.ndarray) -> torch.Tensor:
        """uint8 images (n, H, W, 3) as the network sees them, float32 (n, 3, *size)."""
        return normalised(torch.from_numpy(np.array(features, order="C")), self.size, self.mean, self.std)

    def logits(self, images: torch.Tensor, batch: int = 500) -> torch.Tensor:
        """Logits (n, n_classes) of prepared images, without gradients."""
        with torch.no_grad():
            return torch.cat([self.model(part).float() for part in images.split(batch)])


def kept_tasks(folder: Path) -> list[str]:
    """Names of the fits in a tasks folder (``tasks`` of a run) that kept their network, sorted."""
    suffix = ".weights.npz"
    tasks = (p.name.removesuffix(suffix) for p in (Path(folder) / "results").glob(f"*{suffix}"))
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
        model = build_model(spec["network"], spec["n_classes"], spec["image_size"], 0, **spec["options"])
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
    return KeptNetwork(task, model.eval(), mean, std, (height, width), int(spec["n_classes"]))
