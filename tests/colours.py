"""Three colours as classes: images, and a network that tells them apart without having been trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("blue", "green", "red")  # in the order of their folders
#: Channels of pixels that the classes are bright in.
CHANNELS = (2, 1, 0)
NETWORK = "cifake_cnn:f16-c1-d32-n1"
#: What the file of `save_network` does not say of its images.
INPUT = "?mean=.5/.5/.5&std=.25/.25/.25&size=16"


def make_images(root: Path, side: int = 16, **sizes: int) -> Path:
    """An image folder with `sizes` images of each class in the splits of that name; the first one of every class has
    the next class's label."""
    random = np.random.default_rng(0)
    for split, n in sizes.items():
        for label, name in enumerate(NAMES):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = random.integers(0, 160, (side, side, 3))
                pixels[:, :, CHANNELS[(label + (i == 0)) % 3]] += 90
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")
    return root


def colour_state(order: tuple[int, ...] = (0, 1, 2)) -> dict[str, object]:
    """Weights of `NETWORK` at 16 px: output k is the mean of the channel of class ``order[k]``."""
    import torch

    from auditor.models.registry import build_model

    network = build_model(NETWORK, 3, 16, 0)
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for k, label in enumerate(order):
        state["features.0.weight"][k, CHANNELS[label], 1, 1] = 1
        state["head.0.weight"][k].view(16, 8, 8)[k] = 0.1
        state["head.2.weight"][k, k] = 1
    return state


def save_network(path: Path, order: tuple[int, ...] = (0, 1, 2)) -> Path:
    """A file of weights of `NETWORK`, in the form that its ending says."""
    import torch
    from safetensors.torch import save_file

    if path.suffix == ".safetensors":
        save_file(colour_state(order), path, metadata={"source": "tests", "license": "none"})  # type: ignore[arg-type]
    else:
        torch.save(colour_state(order), path)
    return path
