"""Training state after an epoch: written whole or not at all, read without unpickling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from auditor.core.errors import UnreadableError
from auditor.core.files import atomic_path
from auditor.core.reading import reading

#: Raise when the meaning of the state changes: older checkpoints are then started over.
SCHEMA = 1


def random_state() -> dict[str, torch.Tensor]:
    """States of torch's global generators (networks with dropout draw from them)."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, torch.Tensor]) -> None:
    """Set the generators back to `random_state`."""
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


def save_checkpoint(path: Path, key: str, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) under `path`, with the key of what it belongs to."""
    with atomic_path(path) as temporary:
        torch.save({"schema": SCHEMA, "key": key, **state}, temporary)


def load_checkpoint(path: Path, key: str, device: str) -> tuple[dict[str, Any] | None, str]:
    """Read a checkpoint if it belongs to `key`.

    Returns
    -------
    state : dict or None
        None if there is no usable checkpoint.
    reason : str
        Why there is none, empty if there is one or if the file does not exist.
    """
    if not path.is_file():
        return None, ""
    try:
        # weights_only: a checkpoint can never run code, whoever wrote it.
        with reading(path, "a checkpoint") as file:
            state = torch.load(file, map_location=device, weights_only=True)
    except UnreadableError as error:
        reason = type(error.__cause__ or error).__name__
        return None, f"the checkpoint {path.name} cannot be read ({reason}); training starts over"
    if not isinstance(state, dict) or state.get("schema") != SCHEMA or state.get("key") != key:
        return None, f"the checkpoint {path.name} belongs to other data or another recipe; training starts over"
    return state, ""
